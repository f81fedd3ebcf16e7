package main

import (
	"fmt"
	"runtime"

	"github.com/urfave/cli/v2"
)

// version is the release; the build sets it with -ldflags "-X main.version=…".
var version = "0.1.0-dev"

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "print the version",
		Action: func(c *cli.Context) error {
			_, err := fmt.Fprintf(c.App.Writer, "datawriter %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
