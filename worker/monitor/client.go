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

	"datawriter/worker/failure"
)

// Errors of this package.
var (
	// ErrUnavailable: the server cannot be reached, or says so itself. The same
	// call may succeed later.
	ErrUnavailable = errors.New("the server is unavailable")
	// ErrRefused: the server understood and said no, or the address is wrong; no retry helps.
	ErrRefused = errors.New("the server refused")
	// ErrLogin comes with ErrRefused: the server wants another login, or one at all.
	ErrLogin = errors.New("it wants a login")
)

// maxAnswer bounds what is read of one answer.
const maxAnswer = 32 << 20

// Get returns the body of an answer with status 200. The URL may carry a user
// and a password.
func Get(ctx context.Context, address string) ([]byte, error) {
	return call(ctx, http.MethodGet, address, redacted(address), nil)
}

// WithLogin returns the address with a login, USER:PASSWORD, in it; as it is where
// one of the two is empty. No error of this package repeats the password.
func WithLogin(address, login string) (string, error) {
	if login == "" || address == "" {
		return address, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrRefused, withoutAddress(err))
	}
	user, password, _ := strings.Cut(login, ":")
	u.User = url.UserPassword(user, password)
	return u.String(), nil
}

// call sends one request, with body as JSON unless it is nil. Errors show the
// address as shown.
func call(ctx context.Context, method, address, shown string, body any) ([]byte, error) {
	operation := method + " " + shown
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
		return nil, fmt.Errorf("%s: %w: %w", operation, ErrRefused, withoutAddress(err))
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil && failure.Passing(err) {
		return nil, fmt.Errorf("%s: %w: %w", operation, ErrUnavailable, withoutAddress(err))
	}
	if err != nil { // of the address, or of TLS
		return nil, fmt.Errorf("%s: %w: compare the address: %w", operation, ErrRefused, withoutAddress(err))
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", operation, ErrUnavailable, err)
	}
	return text, statusError(operation, response.StatusCode, text)
}

// withoutAddress takes the address out of an error of net/http.
func withoutAddress(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

func statusError(operation string, status int, text []byte) error {
	kind := ErrRefused
	switch {
	case status < http.StatusMultipleChoices:
		return nil
	case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests:
		kind = ErrUnavailable
	case status == http.StatusUnauthorized:
		return fmt.Errorf("%s: %w: %w: %d %.300s", operation, kind, ErrLogin, status, bytes.TrimSpace(text))
	}
	return fmt.Errorf("%s: %w: %d %s: %.300s", operation, kind, status, http.StatusText(status), bytes.TrimSpace(text))
}

// redacted is an address without password and question.
func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an address that is none"
	}
	u.RawQuery = ""
	return u.Redacted()
}

// Post sends a JSON document to a webhook, whose address is a secret: no error
// repeats more of it than its host.
func Post(ctx context.Context, webhook string, document any) error {
	shown := "the webhook"
	if u, err := url.Parse(webhook); err == nil {
		shown = u.Scheme + "://" + u.Host + "/…"
	}
	_, err := call(ctx, http.MethodPost, webhook, shown, document)
	return err
}

func decode(text []byte, to any) error {
	if err := json.Unmarshal(text, to); err != nil {
		return fmt.Errorf("%w: the answer is not the document that was expected: %w", ErrRefused, err)
	}
	return nil
}

func join(base, path string) string { return strings.TrimSuffix(base, "/") + path }
