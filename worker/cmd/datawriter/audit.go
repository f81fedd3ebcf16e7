package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"datawriter/worker/audit"
	"datawriter/worker/event"
	"datawriter/worker/stream"
)

func auditCommand() *cli.Command {
	return &cli.Command{
		Name:  "audit",
		Usage: "hold a Redis against what the buffer needs, and say how to mend it",
		Description: `Prints every requirement: what it is, what is wanted, why, and the CONFIG SET and
redis.conf lines that meet it. The profile met-001 wants allkeys-lru at the memory limit,
noeviction refuses producers instead. What a managed Redis forbids to look at is said.

With --fix it shows what it would set and asks first; --rewrite also writes the server's
configuration file.

Exit codes: 0 no gap · 2 usage, or no access · 4 a gap · 75 Redis away.

Examples:
   datawriter audit
   datawriter audit --redis-url redis://10.0.0.5:6379 --profile noeviction --output markdown
   datawriter audit --fix --rewrite`,
		Flags: flags([]cli.Flag{
			&cli.StringFlag{Name: "profile", Value: string(audit.MET001), Usage: "`NAME` of the requirements: met-001 or noeviction"},
			&cli.StringFlag{Name: "output", Value: "table", Usage: "`FORM` of the report: table, json or markdown"},
			&cli.BoolFlag{Name: "fix", Usage: "set what can be set while the server runs, after asking"},
			&cli.BoolFlag{Name: "yes", Usage: "with --fix: do not ask"},
			&cli.BoolFlag{Name: "rewrite", Usage: "with --fix: CONFIG REWRITE afterwards, so that a restart keeps it"},
		}, connectionFlags()),
		Action: auditAction,
	}
}

func auditAction(c *cli.Context) error {
	profile, err := audit.ParseProfile(c.String("profile"))
	if err != nil {
		return usage("--profile: %w", err)
	}
	if o := c.String("output"); o != "table" && o != "json" && o != "markdown" {
		return usage("--output %q is none of table, json, markdown", o)
	}
	if !c.Bool("fix") && (c.Bool("yes") || c.Bool("rewrite")) {
		return usage("--yes and --rewrite belong to --fix")
	}
	client, err := openStream(c)
	if err != nil {
		return err
	}
	defer client.Close()
	report, err := audit.Run(c.Context, client.Redis(), profile, allStreams(client)...)
	if err != nil {
		return err
	}
	if c.Bool("fix") {
		if report, err = fixed(c, client, report); err != nil {
			return err
		}
	}
	return errors.Join(report.Err(), printAudit(c, report))
}

// fixed sets what can be set, after asking, and audits again.
func fixed(c *cli.Context, client *stream.Client, report audit.Report) (audit.Report, error) {
	found := report.Fixable()
	if len(found) == 0 {
		fmt.Fprintln(c.App.ErrWriter, "There is nothing that can be set while the server runs.")
		return report, nil
	}
	for _, f := range found {
		fmt.Fprintf(c.App.ErrWriter, "%-7s %s    (is %q)\n", f.Verdict, f.Fix.Command, f.Is)
	}
	if c.Bool("rewrite") {
		fmt.Fprintln(c.App.ErrWriter, "then    CONFIG REWRITE")
	}
	if !c.Bool("yes") && !confirmed(c.App.ErrWriter, c.App.Reader) {
		fmt.Fprintln(c.App.ErrWriter, "Nothing was changed.")
		return report, nil
	}
	if err := audit.Apply(c.Context, client.Redis(), found, c.Bool("rewrite")); err != nil {
		return report, fmt.Errorf("fix: %w: %w", stream.ErrMisconfigured, err)
	}
	return audit.Run(c.Context, client.Redis(), report.Profile, allStreams(client)...)
}

// allStreams returns the streams of all kinds, raw ones too.
func allStreams(client *stream.Client) (all []*stream.Stream) {
	for _, kind := range event.AllKinds() {
		all = append(all, client.Stream(kind))
	}
	return all
}

// confirmed asks a person; no answer is a no.
func confirmed(w io.Writer, in io.Reader) bool {
	fmt.Fprint(w, "Set these? [y/N] ")
	answer, _ := bufio.NewReader(in).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

func printAudit(c *cli.Context, report audit.Report) error {
	switch c.String("output") {
	case "json":
		encoder := json.NewEncoder(c.App.Writer)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(report)
	case "markdown":
		return report.WriteMarkdown(c.App.Writer)
	}
	return report.WriteTable(c.App.Writer)
}
