package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/failure"
	"datawriter/worker/part"
	"datawriter/worker/sink"
)

func catCommand() *cli.Command {
	return &cli.Command{
		Name:      "cat",
		Usage:     "print the rows of parts as Jetstream JSON lines",
		ArgsUsage: "PART…",
		Description: `Every line is the event as it came, equal as a JSON value. For a file below _rejected,
the reason and the raw fields, in base64, are printed instead. What is no part is named,
and the others are printed all the same.

Exit codes: 0 printed · 2 usage: a file is missing, or is no part · 4 a part is damaged.

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
	var failed error
	for _, name := range c.Args().Slice() {
		err := catFile(out, name)
		if errors.Is(err, errOutput) {
			return errors.Join(failed, err)
		}
		failed = errors.Join(failed, err)
	}
	return errors.Join(failed, out.Flush())
}

// errOutput: nobody takes what is printed, so that more of it helps nobody.
var errOutput = errors.New("the output cannot be written")

// catFile prints one part. A file that is none is an error in what the user wrote;
// a part that is damaged is a violation.
func catFile(out *bufio.Writer, name string) error {
	file, err := openPart(name)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return usage("%w", err)
	}
	opened, err := part.Open(file, info.Size())
	if errors.Is(err, part.ErrVersion) || errors.Is(err, part.ErrForeign) && !sink.IsPartName(filepath.Base(name)) {
		return usage("%s is no part: %w", name, err)
	}
	if err == nil && opened.IsRejects() {
		err = part.ReadRows(opened, event.RejectColumns(), func(r *event.Reject) error { return catReject(out, r) })
	} else if err == nil {
		err = catRows(out, opened)
	}
	var disk *fs.PathError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errOutput), errors.As(err, &disk): // the file may be well
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("%s: %w: %w", name, drain.ErrIntegrity, err)
}

// openPart opens a file, and only a file: a pipe would hang, and Parquet is read
// from its end.
func openPart(name string) (*os.File, error) {
	info, err := os.Stat(name)
	switch {
	case name == "-" && err != nil:
		return nil, usage("cat reads no standard input: Parquet is read from its end, so give the names of files")
	case err != nil:
		return nil, usage("%w", failure.Explained(err))
	case info.IsDir():
		return nil, usage("%s is a folder: give files, such as %s", name, filepath.Join(name, "*.parquet"))
	case !info.Mode().IsRegular():
		return nil, usage("%s is no regular file: Parquet is read from its end, so write it to a file first", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, usage("%w", failure.Explained(err))
	}
	return file, nil
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
		return printed(line.WriteTo(out))
	})
}

// printed marks an error of whoever reads the output.
func printed(_ int64, err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	return nil
}

// rejectLine is a reject as cat prints it. Fields are base64, because they may
// be no text at all.
type rejectLine struct {
	ID     event.ID `json:"id"`
	Reason string   `json:"reason"`
	Fields [][]byte `json:"fields_base64"`
}

func catReject(out io.Writer, r *event.Reject) error {
	return printed(0, json.NewEncoder(out).Encode(rejectLine{ID: r.ID(), Reason: string(r.Reason), Fields: r.Fields}))
}
