package verify_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/sink"
	"datawriter/worker/stream/streamtest"
	"datawriter/worker/verify"
)

func TestLossesAreShownAndUntoldOnesAreViolations(t *testing.T) {
	p := newPlace(t, streamtest.Start(t))
	p.fill(w1)
	p.drain(w1)
	p.ok(p.runs().Append(runlog.Record{Window: w1, Status: runlog.Drained, Start: time.Now(), End: time.Now(),
		Kinds: []runlog.Kind{{Kind: event.Likes, Parts: []string{}, Losses: []runlog.Loss{{Class: "evicted", Count: 7}}}}}))
	book := account.OpenBook(t.TempDir())
	report := func() (verify.Report, string) {
		to := must(sink.OpenURL(p.data, nil))
		r := must(verify.New(to, verify.Config{Runs: p.runs(), Book: book}).Run(context.Background()))
		var text strings.Builder
		p.ok(r.WriteTable(&text))
		return r, text.String()
	}
	r, text := report()
	if len(r.Losses) != 1 || r.Losses[0].Count != 7 || r.Err() != nil || !strings.Contains(text, "likes: 7 entries at least (evicted)") {
		t.Errorf("losses %v, %v:\n%s", r.Losses, r.Err(), text)
	}
	p.ok(book.Update("posts", "s", func(s *account.State) error {
		s.Pending = []account.Loss{{Class: account.Trimmed, Count: 3}}
		return nil
	}))
	if r, text = report(); r.Err() == nil || !strings.Contains(text, "losses: s: Redis lost entries (trimmed)") {
		t.Errorf("an untold loss is no violation: %v\n%s", r.Err(), text)
	}
}
