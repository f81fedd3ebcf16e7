package main

import (
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"datawriter/worker/monitor"
)

func ackCommand() *cli.Command {
	return &cli.Command{
		Name:      "ack",
		Usage:     "acknowledge an alert: no more messages of it, no escalation, for a while",
		ArgsUsage: "[ALERT]",
		Description: `Creates a silence in Alertmanager for every alert of that name. Without ALERT it
lists the alerts that fire. An alert that does not fire is refused, since a typo would
silence nothing; --anyway takes it.

Exit codes: 0 done · 2 usage, or no such alert · 75 Alertmanager away.

Examples:
   datawriter ack
   datawriter ack RedisMemoryHigh --for 2h --comment "raised maxmemory, watching"
   datawriter ack BacklogGrowing --label kind=likes
   datawriter ack --end 7c4e5f1a-…`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "alertmanager-url", EnvVars: env("alertmanager-url"), Value: "http://127.0.0.1:9093", Usage: "`URL` of Alertmanager"},
			&cli.StringFlag{Name: "alertmanager-auth-file", EnvVars: env("alertmanager-auth-file"), Usage: "`FILE` that holds USER:PASSWORD"},
			&cli.DurationFlag{Name: "for", Value: 2 * time.Hour, Usage: "`TIME` after which messages come again"},
			&cli.StringFlag{Name: "comment", Usage: "`TEXT` for those who look later"},
			&cli.StringFlag{Name: "by", EnvVars: env("by"), Usage: "`NAME` of who acknowledges (default: your user name)"},
			&cli.StringSliceFlag{Name: "label", Usage: "only alerts with this `NAME=VALUE`; repeatable"},
			&cli.BoolFlag{Name: "anyway", Usage: "also if the alert does not fire"},
			&cli.StringFlag{Name: "end", Usage: "end the silence with this `ID` instead"},
		},
		Action: ackAction,
	}
}

func ackAction(c *cli.Context) error {
	if err := flagsBehind(c, "one ALERT"); err != nil {
		return err
	}
	address, err := alertmanager(c)
	if err != nil {
		return err
	}
	server := monitor.Alertmanager(address)
	if id := c.String("end"); id != "" {
		if err := server.Expire(c.Context, id); err != nil {
			return refusal(err)
		}
		_, err := fmt.Fprintf(c.App.Writer, "ended silence %s\n", id)
		return err
	}
	alerts, err := server.Alerts(c.Context)
	if err != nil {
		return refusal(err)
	}
	if !c.Args().Present() {
		return listAlerts(c, alerts)
	}
	return acknowledge(c, server, alerts)
}

// alertmanager returns the address of --alertmanager-url with the login of
// --alertmanager-auth-file.
func alertmanager(c *cli.Context) (string, error) {
	login, err := readSecret(c.String("alertmanager-auth-file"))
	if err != nil {
		return "", err
	}
	address, err := monitor.WithLogin(c.String("alertmanager-url"), login)
	if err != nil {
		return "", usage("--alertmanager-url: %w", err)
	}
	return address, nil
}

// flagsBehind reads flags that stand behind the one argument of a command, where
// people write them and the library does not look. takes is what it is.
func flagsBehind(c *cli.Context, takes string) error {
	rest := c.Args().Tail()
	for len(rest) > 0 {
		name, value, joined := strings.Cut(strings.TrimLeft(rest[0], "-"), "=")
		flag := slices.IndexFunc(c.Command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
		if !strings.HasPrefix(rest[0], "-") || flag < 0 {
			return usage("%s takes %s and flags, but not %q (see `datawriter %s --help`)", c.Command.Name, takes, rest[0], c.Command.Name)
		}
		rest = rest[1:]
		if _, isBool := c.Command.Flags[flag].(*cli.BoolFlag); isBool && !joined {
			value, joined = "true", true
		}
		if !joined {
			if len(rest) == 0 {
				return usage("--%s needs a value", name)
			}
			value, rest = rest[0], rest[1:]
		}
		if err := c.Set(name, value); err != nil {
			return usage("--%s %q: %w", name, value, err)
		}
	}
	return nil
}

func acknowledge(c *cli.Context, server monitor.Alertmanager, alerts []monitor.Alert) error {
	name, length := c.Args().First(), c.Duration("for")
	if length <= 0 {
		return usage("--for %s is not positive", length)
	}
	matchers, err := silenceMatchers(name, c.StringSlice("label"))
	if err != nil {
		return err
	}
	firing := slices.ContainsFunc(alerts, func(a monitor.Alert) bool { return matches(a, matchers) })
	if !firing && !c.Bool("anyway") {
		return usage("no alert matches %s now. Firing: %s. Write one of them, or --anyway", strings.Join(append([]string{name}, c.StringSlice("label")...), " "), namesOf(alerts))
	}
	now := time.Now().UTC()
	silence := monitor.Silence{
		Matchers: matchers, StartsAt: now, EndsAt: now.Add(length), CreatedBy: author(c.String("by")), Comment: c.String("comment"),
	}
	if silence.Comment == "" {
		silence.Comment = "acknowledged"
	}
	id, err := server.Silence(c.Context, silence)
	if err != nil {
		return refusal(err)
	}
	_, err = fmt.Fprintf(c.App.Writer, "acknowledged %s until %s; `datawriter ack --end %s` takes it back\n", name, silence.EndsAt.Format(time.RFC3339), id)
	return err
}

func silenceMatchers(alert string, labels []string) ([]monitor.Matcher, error) {
	matchers := []monitor.Matcher{{Name: "alertname", Value: alert, IsEqual: true}}
	for _, label := range labels {
		name, value, ok := strings.Cut(label, "=")
		if !ok || name == "" {
			return nil, usage("--label %q is not NAME=VALUE", label)
		}
		matchers = append(matchers, monitor.Matcher{Name: name, Value: value, IsEqual: true})
	}
	return matchers, nil
}

func matches(a monitor.Alert, matchers []monitor.Matcher) bool {
	for _, m := range matchers {
		if a.Labels[m.Name] != m.Value {
			return false
		}
	}
	return true
}

func namesOf(alerts []monitor.Alert) string {
	var names []string
	for _, a := range alerts {
		names = append(names, a.Name())
	}
	slices.Sort(names)
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(slices.Compact(names), ", ")
}

func author(name string) string {
	if name != "" {
		return name
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "datawriter ack"
}

// listAlerts prints what fires, the oldest first.
func listAlerts(c *cli.Context, alerts []monitor.Alert) error {
	slices.SortFunc(alerts, func(a, b monitor.Alert) int { return a.StartsAt.Compare(b.StartsAt) })
	table := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "alert\tseverity\tsince\tstate\tsummary")
	for _, a := range alerts {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", a.Name(), a.Labels["severity"], a.StartsAt.UTC().Format(time.RFC3339), a.Status.State, a.Annotations["summary"])
	}
	return table.Flush()
}

// refusal makes an answer that no retry changes an error in what the user wrote.
func refusal(err error) error {
	if errors.Is(err, monitor.ErrLogin) {
		return usage("%w: --alertmanager-auth-file names a file that holds USER:PASSWORD", err)
	}
	if errors.Is(err, monitor.ErrRefused) {
		return usage("%w", err)
	}
	return err
}
