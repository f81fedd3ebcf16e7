package monitor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Errors of this package.
var (
	// ErrUnavailable: the server cannot be reached, or says so itself. The same
	// call may succeed later.
	ErrUnavailable = errors.New("the server is unavailable")
	// ErrRefused: the server understood and said no; no retry helps.
	ErrRefused = errors.New("the server refused")
)

// maxAnswer bounds what is read of one answer.
const maxAnswer = 32 << 20

// Get returns the body of an answer with status 200. The URL may carry a user
// and a password.
func Get(ctx context.Context, address string) ([]byte, error) {
	return call(ctx, http.MethodGet, address, nil)
}

// call sends one request, with body as JSON unless it is nil.
func call(ctx context.Context, method, address string, body any) ([]byte, error) {
	operation := method + " " + redacted(address)
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", operation, err)
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", operation, ErrRefused, err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) { // it repeats method and address
			err = failed.Err
		}
		return nil, fmt.Errorf("%s: %w: %w", operation, ErrUnavailable, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", operation, ErrUnavailable, err)
	}
	return text, statusError(operation, response.StatusCode, text)
}

func statusError(operation string, status int, text []byte) error {
	kind := ErrRefused
	switch {
	case status < http.StatusMultipleChoices:
		return nil
	case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests:
		kind = ErrUnavailable
	}
	return fmt.Errorf("%s: %w: %d %s: %.300s", operation, kind, status, http.StatusText(status), bytes.TrimSpace(text))
}

// redacted is an address as errors may show it: a webhook's path and a password
// are secrets.
func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an address that is none"
	}
	u.RawQuery = ""
	return u.Redacted()
}

// Post sends a JSON document. The address is a secret, as that of a webhook, and
// no error repeats more of it than its host.
func Post(ctx context.Context, address string, document any) error {
	_, err := call(ctx, http.MethodPost, address, document)
	if u, bad := url.Parse(address); err != nil && bad == nil {
		return errors.New(strings.ReplaceAll(err.Error(), u.Redacted(), u.Scheme+"://"+u.Host+"/…"))
	}
	return err
}

func decode(text []byte, to any) error {
	if err := json.Unmarshal(text, to); err != nil {
		return fmt.Errorf("%w: the answer is not the document that was expected: %w", ErrRefused, err)
	}
	return nil
}

func join(base, path string) string { return strings.TrimSuffix(base, "/") + path }
