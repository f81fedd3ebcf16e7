package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/urfave/cli/v2"

	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/part"
)

func catCommand() *cli.Command {
	return &cli.Command{
		Name:      "cat",
		Usage:     "print the rows of parts as Jetstream JSON lines",
		ArgsUsage: "PART…",
		Description: `Every line is the event as it came, equal as a JSON value. For a file below _rejected,
the reason and the raw fields, in base64, are printed instead.

Examples:
   datawriter cat data/2026/11/23/10/likes/20261123T100500Z-5m-00.parquet | head
   datawriter cat data/2026/11/23/*/posts/*.parquet | jq -r .commit.record.text`,
		Action: catAction,
	}
}

func catAction(c *cli.Context) error {
	if !c.Args().Present() {
		return usage("cat needs at least one PART (see `datawriter cat --help`)")
	}
	out := bufio.NewWriterSize(c.App.Writer, 1<<16)
	for _, name := range c.Args().Slice() {
		if err := catFile(out, name); err != nil {
			return errors.Join(err, out.Flush())
		}
	}
	return out.Flush()
}

func catFile(out *bufio.Writer, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return usage("%w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return usage("%w", err)
	}
	opened, err := part.Open(file, info.Size())
	if err != nil {
		return fmt.Errorf("%s: %w: %w", name, drain.ErrIntegrity, err)
	}
	if opened.IsRejects() {
		err = part.ReadRows(opened, event.RejectColumns(), func(r *event.Reject) error { return catReject(out, r) })
	} else {
		err = catRows(out, opened)
	}
	var disk syscall.Errno // of the disk, or of whoever reads the output
	switch {
	case err == nil:
		return nil
	case errors.As(err, &disk):
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("%s: %w: %w", name, drain.ErrIntegrity, err)
}

func catRows(out io.Writer, f *part.File) error {
	kind := f.Meta().Kind
	var text []byte
	var line bytes.Buffer
	return part.ReadRows(f, event.RowColumns(kind), func(r *event.Row) error {
		text = event.AppendEvent(text[:0], kind, r)
		line.Reset()
		// An event that was kept byte for byte may be spread over several lines.
		if err := json.Compact(&line, text); err != nil {
			return err
		}
		line.WriteByte('\n')
		_, err := line.WriteTo(out)
		return err
	})
}

// rejectLine is a reject as cat prints it. Fields are base64, because they may
// be no text at all.
type rejectLine struct {
	ID     event.ID `json:"id"`
	Reason string   `json:"reason"`
	Fields [][]byte `json:"fields_base64"`
}

func catReject(out io.Writer, r *event.Reject) error {
	return json.NewEncoder(out).Encode(rejectLine{ID: r.ID(), Reason: string(r.Reason), Fields: r.Fields})
}
