package verify

import (
	"context"
	"fmt"
	"time"

	"datawriter/worker/part"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

// checkArchive: two window lengths over one archive could hold the same entries
// under two names, which nothing else would notice.
var checkArchive = check{
	Name:    "archive",
	Promise: "_archive.json says which shape the archive has, and every file has it",
	hour:    func(v *Verifier, h sink.Hour, _ sayer) { v.shapes.see(v.shape.WindowLength, h) },
	end:     endArchive,
}

// shapes counts the files whose windows are not as long as the archive says.
type shapes struct {
	odd   int64
	first sink.Name
}

func (s *shapes) see(length time.Duration, h sink.Hour) {
	for _, n := range h.Names {
		if length == 0 || n.Window.Length == length {
			continue
		}
		if s.odd == 0 {
			s.first = n
		}
		s.odd++
	}
}

func endArchive(_ context.Context, v *Verifier, say sayer) error {
	switch {
	case v.shapeless != nil:
		say(Violation{Detail: v.shapeless.Error()})
	case v.shape.SchemaVersion != part.SchemaVersion:
		say(Violation{Detail: fmt.Sprintf("the schema is %d, and this program reads %d", v.shape.SchemaVersion, part.SchemaVersion)})
	}
	if v.shapes.odd > 0 {
		say(Violation{Count: v.shapes.odd, Detail: fmt.Sprintf("%s is not of a window of %s",
			v.shape.Layout.Path(v.shapes.first), window.Label(v.shape.WindowLength))})
	}
	return nil
}
