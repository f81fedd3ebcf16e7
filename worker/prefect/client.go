package prefect

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// ErrLogin: the server wants another login than it was given.
var ErrLogin = errors.New("it refuses the login; --prefect-auth-file names a file that holds USER:PASSWORD")

// maxAnswer bounds what is read of one answer.
const maxAnswer = 16 << 20

// Client asks one server. It may be used by several goroutines.
type Client struct {
	url  string
	auth string
	id   string // names this client to the server, which keeps one token for each

	mu    sync.Mutex
	token string // empty until a server asked for one
}

// New returns a client of the API at url, such as http://127.0.0.1:4200/api.
// auth is USER:PASSWORD as in PREFECT_API_AUTH_STRING, or an API key; empty for a
// server that wants neither.
func New(url, auth string) *Client {
	return &Client{url: strings.TrimSuffix(url, "/"), auth: auth, id: rand.Text()}
}

// Ask sends a question as JSON, unless it is nil, to a path below the API, and
// reads the answer into answer. Errors name the path, never the login.
func (c *Client) Ask(ctx context.Context, method, path string, question, answer any) error {
	text, err := c.ask(ctx, method, path, question)
	if err == nil {
		err = json.Unmarshal(text, answer)
		if err != nil {
			err = fmt.Errorf("the answer is not what Prefect 3 gives: %w", err)
		}
	}
	if err != nil {
		return fmt.Errorf("ask prefect for %s: %w", path, err)
	}
	return nil
}

// ask sends a request, and once more with a token where the server misses one:
// it asks for none, or the one at hand has expired.
func (c *Client) ask(ctx context.Context, method, path string, question any) ([]byte, error) {
	c.mu.Lock()
	token := c.token
	c.mu.Unlock()
	status, text, err := c.send(ctx, method, path, question, token)
	if err == nil && status == http.StatusForbidden && bytes.Contains(text, []byte("CSRF token")) {
		if token, err = c.newToken(ctx); err != nil {
			return nil, err
		}
		status, text, err = c.send(ctx, method, path, question, token)
	}
	if err != nil {
		return nil, err
	}
	return text, statusError(status, text)
}

// newToken asks for a token. Prefect's own clients do the same
// (prefect/client/base.py).
func (c *Client) newToken(ctx context.Context) (string, error) {
	status, text, err := c.send(ctx, http.MethodGet, "/csrf-token?client="+url.QueryEscape(c.id), nil, "")
	if err == nil {
		err = statusError(status, text)
	}
	if err != nil {
		return "", fmt.Errorf("its CSRF token: %w", err)
	}
	var created struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(text, &created); err != nil {
		return "", fmt.Errorf("its CSRF token: %w", err)
	}
	c.mu.Lock()
	c.token = created.Token
	c.mu.Unlock()
	return created.Token, nil
}

// send sends one request and returns the status and the body of the answer.
func (c *Client) send(ctx context.Context, method, path string, question any, token string) (int, []byte, error) {
	var body io.Reader
	if question != nil {
		text, err := json.Marshal(question)
		if err != nil {
			return 0, nil, err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Prefect-Csrf-Client", c.id)
		request.Header.Set("Prefect-Csrf-Token", token)
	}
	if user, password, basic := strings.Cut(c.auth, ":"); basic {
		request.SetBasicAuth(user, password)
	} else if c.auth != "" {
		request.Header.Set("Authorization", "Bearer "+c.auth)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return response.StatusCode, text, err
}

func statusError(status int, text []byte) error {
	switch {
	case status == http.StatusUnauthorized:
		return fmt.Errorf("it answered %d: %w", status, ErrLogin)
	case status/100 != 2: // a run that was made is 201
		return fmt.Errorf("it answered %d %s: %.200s", status, http.StatusText(status), text)
	}
	return nil
}
