package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/urfave/cli/v2"
)

func healthCommand() *cli.Command {
	return &cli.Command{
		Name:      "health",
		Usage:     "ask an address whether it is ready",
		ArgsUsage: "URL",
		Description: `Asks once, for the health check of a container that holds this program and nothing
else.

Exit codes: 0 answered 200 · 2 usage or configuration · 75 anything else.

Example:
   datawriter health http://127.0.0.1:9402/readyz`,
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "timeout", Value: 4 * time.Second, Usage: "how long to wait for the answer"},
			&cli.StringFlag{Name: "user", Usage: "`NAME` to log in with"},
			&cli.StringFlag{Name: "password-file", Usage: "`FILE` that holds the password"},
		},
		Action: healthAction,
	}
}

func healthAction(c *cli.Context) error {
	if c.NArg() != 1 {
		return usage("health: give one URL, such as http://127.0.0.1:9402/readyz")
	}
	if u, err := url.Parse(c.Args().First()); err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return usage("health: the URL must begin with http:// or https://, such as http://127.0.0.1:9402/readyz")
	}
	password, err := readSecret(c.String("password-file"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Args().First(), nil)
	if err != nil {
		return usage("health: %w", err)
	}
	if user := c.String("user"); user != "" {
		request.SetBasicAuth(user, password)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotReady, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s answered %s", errNotReady, request.URL.Redacted(), answer.Status)
	}
	return nil
}
