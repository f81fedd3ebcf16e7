package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"datawriter/worker/fault"
	"datawriter/worker/window"
)

// archiveFile holds what is true of a whole archive, for ever.
const archiveFile = "_archive.json"

// ErrOtherArchive: the archive was begun with another window length, layout or
// schema. Two lengths over one archive could publish the same entries under two
// names, which nothing else would notice.
var ErrOtherArchive = errors.New("the archive has another shape")

// Archive is the shape of an archive.
type Archive struct {
	WindowLength  time.Duration
	Layout        Layout
	SchemaVersion int
}

// archiveJSON is the shape as it stands in the file.
type archiveJSON struct {
	WindowLength  string `json:"window_length"`
	Layout        Layout `json:"layout"`
	SchemaVersion int    `json:"schema_version"`
}

// Claim makes want the archive's shape if it has none yet, else compares:
// ErrOtherArchive when it differs.
func Claim(ctx context.Context, s Sink, want Archive) error {
	have, err := ReadArchive(ctx, s)
	if errors.Is(err, fs.ErrNotExist) {
		if err = publishArchive(ctx, s, want); err == nil {
			return nil
		}
		if errors.Is(err, ErrExists) { // another run was faster
			have, err = ReadArchive(ctx, s)
		}
	}
	if err != nil {
		return err
	}
	if have != want && !fault.OtherLength.Is() {
		return fmt.Errorf("%w: its windows are %s long, its layout is %s and its schema is %d, but this run asks for %s, %s and %d: use those, or another data folder",
			ErrOtherArchive, window.Label(have.WindowLength), have.Layout, have.SchemaVersion,
			window.Label(want.WindowLength), want.Layout, want.SchemaVersion)
	}
	return s.Harden(ctx, ".")
}

// ReadArchive returns the archive's shape; fs.ErrNotExist when it has none yet.
func ReadArchive(ctx context.Context, s Sink) (Archive, error) {
	text, err := readText(ctx, s, archiveFile)
	if err != nil {
		return Archive{}, err
	}
	var have archiveJSON
	if err := json.Unmarshal(text, &have); err != nil {
		return Archive{}, fmt.Errorf("read %s: %w: %w", archiveFile, ErrOtherArchive, err)
	}
	length, err := window.ParseLength(have.WindowLength)
	if err != nil {
		return Archive{}, fmt.Errorf("read %s: %w: %w", archiveFile, ErrOtherArchive, err)
	}
	return Archive{WindowLength: length, Layout: have.Layout, SchemaVersion: have.SchemaVersion}, nil
}

func publishArchive(ctx context.Context, s Sink, want Archive) error {
	text, err := json.Marshal(archiveJSON{window.Label(want.WindowLength), want.Layout, want.SchemaVersion})
	if err != nil {
		return fmt.Errorf("write %s: %w", archiveFile, err)
	}
	return publishText(ctx, s, "archive", archiveFile, text)
}
