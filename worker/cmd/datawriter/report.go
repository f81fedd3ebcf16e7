package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/urfave/cli/v2"

	"datawriter/worker/monitor"
	"datawriter/worker/runlog"
	"datawriter/worker/summary"
)

func reportCommand() *cli.Command {
	return &cli.Command{
		Name:  "report",
		Usage: "summarise a day: events, files, rejects, losses, against the day before",
		Description: `Counts the files of the day's windows from their footers, and reads the run log for
durations, failures and losses. With --prometheus-url it also tells how full Redis was
at most. With --webhook-file it posts the summary to Slack; the webhook's URL is a
secret and comes from a file only.

Exit codes: 0 done · 2 usage, or there is no archive · 75 Prometheus or Slack away.

Examples:
   datawriter report --data /data                        # yesterday, in UTC
   datawriter report --data /data --day 2026-11-22 --output json
   datawriter report --data /data --webhook-file /run/secrets/slack_url`,
		Flags: flags([]cli.Flag{
			&cli.StringFlag{Name: "day", Usage: "`DAY` in UTC, such as 2026-11-22 (default: yesterday)"},
			&cli.StringFlag{Name: "output", Value: "text", Usage: "`FORM` of the summary: text, json or slack"},
			&cli.StringFlag{Name: "webhook-file", EnvVars: env("webhook-file"), Usage: "`FILE` that holds the URL of a Slack webhook to post to"},
			&cli.StringFlag{Name: "prometheus-url", EnvVars: env("prometheus-url"), Usage: "`URL` of Prometheus, for the buffer's peak"},
			stateFlag(),
		}, dataFlags()),
		Action: reportAction,
	}
}

func reportAction(c *cli.Context) error {
	day, err := parseDay(c.String("day"), time.Now())
	if err != nil {
		return err
	}
	if o := c.String("output"); o != "text" && o != "json" && o != "slack" {
		return usage("--output %q is none of text, json, slack", o)
	}
	webhook, err := readSecret(c.String("webhook-file"))
	if err != nil {
		return err
	}
	if err := existing(c.String("data")); err != nil {
		return err
	}
	archive, _, err := openSink(c)
	if err != nil {
		return err
	}
	made, err := summary.New(archive, runlog.Open(stateDir(c)), peakOf(c.String("prometheus-url"))).Day(c.Context, day)
	if err != nil {
		return err
	}
	message, err := made.Slack()
	if err != nil {
		return err
	}
	if webhook != "" {
		if err := monitor.Post(c.Context, webhook, message); err != nil {
			return refusal(fmt.Errorf("post the summary: %w", err))
		}
	}
	return printReport(c, made, message)
}

func parseDay(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -1), nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return time.Time{}, usage("--day %q is not a day like 2026-11-22", text)
	}
	if day.After(now) {
		return time.Time{}, usage("--day %s has not begun", text)
	}
	return day, nil
}

// peakOf asks Prometheus how full Redis was at most; nil where there is none.
func peakOf(url string) summary.Peak {
	if url == "" {
		return nil
	}
	return func(ctx context.Context, from, to time.Time) (float64, bool, error) {
		question := fmt.Sprintf("max(max_over_time(datawriter_redis_memory_ratio[%ds]))", int(math.Ceil(to.Sub(from).Seconds())))
		found, err := monitor.Prometheus(url).Query(ctx, question, to)
		if err != nil || len(found) == 0 {
			return 0, false, err
		}
		return found[0].Value, true, nil
	}
}

func printReport(c *cli.Context, made summary.Report, message summary.Slack) error {
	encoder := json.NewEncoder(c.App.Writer)
	encoder.SetEscapeHTML(false)
	switch c.String("output") {
	case "json":
		return encoder.Encode(made)
	case "slack":
		return encoder.Encode(message)
	}
	return made.WriteText(c.App.Writer)
}
