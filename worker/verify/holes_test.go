package verify_test

import (
	"context"
	"strings"
	"testing"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/stream/streamtest"
	"datawriter/worker/verify"
	"datawriter/worker/window"
)

// look verifies against the run log, the state and, where asked, the streams,
// and returns the report and how people see it.
func (p *place) look(book *account.Book, withStreams bool) (verify.Report, string) {
	p.Helper()
	cfg := verify.Config{Layout: sink.Plain, Patience: p.patience, Runs: p.runs(), Book: book}
	if withStreams {
		cfg.Source = p.client
	}
	report := must(verify.New(must(sink.OpenURL(p.data, nil)), cfg).Run(context.Background()))
	var text strings.Builder
	p.ok(report.WriteTable(&text))
	return report, text.String()
}

func (p *place) accept(w window.Window, kinds ...event.Kind) {
	p.Helper()
	for _, kind := range kinds {
		must(sink.AcceptHole(context.Background(), must(sink.OpenURL(p.data, nil)), p.layout, sink.Hole{Window: w, Kind: kind, By: "a@b", Reason: "no copy"}))
	}
}

func TestAMissingPartIsAViolationUntilItsHoleIsAccepted(t *testing.T) {
	rejects := sink.Name{Window: w2, Kind: event.Likes, Rejects: true}
	for name, c := range map[string]struct {
		remove []sink.Name
		says   string
	}{
		"a kind of a window between others": {[]sink.Name{{Window: w2, Kind: event.Posts}}, "its part 0 is missing"},
		"every kind of a window between others": {[]sink.Name{{Window: w2, Kind: event.Posts}, {Window: w2, Kind: event.Likes}, rejects,
			{Window: w2, Kind: event.Reposts}, {Window: w2, Kind: event.Follows}, {Window: w2, Kind: event.Blocks}}, "its parts are missing"},
		"a kind of the newest window": {[]sink.Name{{Window: w3, Kind: event.Blocks}}, "its part 0 is missing"},
		"every kind of the newest window": {[]sink.Name{{Window: w3, Kind: event.Posts}, {Window: w3, Kind: event.Likes}, {Window: w3, Kind: event.Likes, Rejects: true},
			{Window: w3, Kind: event.Reposts}, {Window: w3, Kind: event.Follows}, {Window: w3, Kind: event.Blocks}}, "its parts are missing"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, streamtest.Start(t))
			for _, w := range []window.Window{w1, w2, w3} {
				p.fill(w)
				p.drain(w)
			}
			p.remove(c.remove...)
			report, text := p.look(nil, true)
			if report.Err() == nil || !strings.Contains(text, c.says) || len(report.Holes) > 0 {
				t.Fatalf("before it is accepted: %v, want %q:\n%s", report.Err(), c.says, text)
			}
			for _, n := range c.remove {
				p.accept(n.Window, n.Kind)
			}
			report, text = p.look(nil, true)
			if report.Err() != nil || !strings.Contains(text, "hole: "+c.remove[0].Window.String()+" "+c.remove[0].Kind.String()+": accepted by a@b") {
				t.Errorf("after it is accepted: %v, and no word of it:\n%s", report.Err(), text)
			}
		})
	}
}

func TestTheStateAloneKnowsThatTheNewestPartsAreMissing(t *testing.T) {
	p := newPlace(t, streamtest.Start(t))
	p.drain(w1)
	book := account.OpenBook(t.TempDir())
	p.ok(book.Update("posts", "s", func(s *account.State) error { s.Mark(w1.Span(), w2.Span(), w3.Span()); return nil }))
	report, text := p.look(book, false)
	if report.Err() == nil || !strings.Contains(text, "its parts are missing") || !strings.Contains(text, "(and 1 more)") {
		t.Errorf("the two windows that are missing: %v\n%s", report.Err(), text)
	}
	if report, text = p.look(nil, false); report.Err() != nil {
		t.Errorf("without the state nobody knows, but: %v\n%s", report.Err(), text)
	}
}

func TestAHoleWhosePartCameBackIsNone(t *testing.T) {
	p := newPlace(t, streamtest.Start(t))
	p.fill(w1)
	p.drain(w1)
	p.accept(w1, event.Likes)
	if report, text := p.look(nil, true); report.Err() != nil || len(report.Holes) > 0 {
		t.Errorf("%v, holes %v:\n%s", report.Err(), report.Holes, text)
	}
}
