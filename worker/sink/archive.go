package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"datawriter/worker/event"
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
// ErrOtherArchive when it differs, or when parts stand and their shape is lost.
func Claim(ctx context.Context, s Sink, want Archive) error {
	have, err := ReadArchive(ctx, s)
	if errors.Is(err, fs.ErrNotExist) {
		err = unshaped(ctx, s, want)
		if err == nil {
			err = publishArchive(ctx, s, want)
		}
		if err == nil {
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

// unshaped returns nil for an archive that has no part either. Where parts stand
// without the file that says how long their windows are, a run with another length
// would publish the same entries under other names, so the file has to be put back.
func unshaped(ctx context.Context, s Sink, want Archive) error {
	for _, layout := range []Layout{Plain, Hive} {
		found, ok, err := anyPart(ctx, s, layout)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if _, err := ReadArchive(ctx, s); !errors.Is(err, fs.ErrNotExist) {
			return ErrExists // another run has claimed the archive, and drained, meanwhile
		}
		text, err := json.Marshal(archiveJSON{window.Label(found.Window.Length), layout, want.SchemaVersion})
		if err != nil {
			return err
		}
		return fmt.Errorf("%w: it has parts, such as %s, but no %s any more, which says how long its windows are: put the file back from a copy, or write into it %s",
			ErrOtherArchive, layout.Path(found), archiveFile, text)
	}
	return nil
}

// anyPart returns the name of one of the youngest parts, whatever its kind.
func anyPart(ctx context.Context, s Sink, layout Layout) (found Name, ok bool, err error) {
	for _, kind := range event.AllKinds() {
		found, ok, err = newestBelow(ctx, s, layout, kind, "")
		if ok || err != nil {
			return found, ok, err
		}
	}
	return Name{}, false, nil
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
