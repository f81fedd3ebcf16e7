package verify_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
	"datawriter/worker/verify"
	"datawriter/worker/window"
)

// do runs a Redis command on the stream of the likes: its name replaces "$".
func (p *place) do(args ...any) {
	p.Helper()
	for i, arg := range args {
		if arg == "$" {
			args[i] = p.client.Name(event.Likes)
		}
	}
	p.ok(p.client.Redis().Do(context.Background(), args...).Err())
}

// unfence lets IDs below the fence appear again, as a server does that was
// rolled back and whose clock stepped back. The counter goes on.
func (p *place) unfence() {
	p.Helper()
	info, err := p.client.Redis().XInfoStream(context.Background(), p.client.Name(event.Likes)).Result()
	p.ok(err)
	p.do("XSETID", "$", "1-0", "ENTRIESADDED", info.EntriesAdded, "MAXDELETEDID", "0-0")
}

// claim lets the group read everything again from the beginning.
func (p *place) claim() {
	p.Helper()
	p.do("XGROUP", "SETID", "$", stream.DefaultGroup, "0")
	p.do("XREADGROUP", "GROUP", stream.DefaultGroup, "datawriter", "STREAMS", "$", ">")
}

func (p *place) hold() {
	p.Helper()
	lease, err := p.client.Stream(event.Likes).TakeLease(context.Background(), time.Minute)
	p.ok(err)
	p.Cleanup(func() { _ = lease.Release(context.Background()) })
}

// Each begins with two drained windows and an empty stream.
var leftovers = []struct {
	name  string
	leave func(p *place)
	want  []string
}{
	{"nothing left", func(*place) {}, nil},
	{"entries of a window that is not drained yet", func(p *place) { p.fill(w3) }, nil},
	{"claimed entries of a window that is not drained yet", func(p *place) { p.fill(w3); p.claim() }, nil},
	{"entries of a window before the archive begins", func(p *place) { p.unfence(); p.add(event.Likes, before, 7, like(7)) }, nil},
	{"an entry that is in no part", func(p *place) { p.unfence(); p.add(event.Likes, w1, 500, like(500)) }, []string{"drained"}},
	{"a malformed entry that is in no part", func(p *place) { p.unfence(); p.add(event.Likes, w2, 500, broken) }, []string{"drained"}},
	{"another entry under the ID of one in a part", func(p *place) { p.unfence(); p.add(event.Likes, w2, 5, like(77)) }, []string{"drained"}},
	{"an entry that is in a part", func(p *place) { p.unfence(); p.add(event.Likes, w2, 5, like(5)) }, []string{"settled"}},
	{"an entry that is in the rejects", func(p *place) { p.unfence(); p.add(event.Likes, w2, 1000, broken) }, []string{"settled"}},
	{"an entry with the largest sequence", func(p *place) {
		p.unfence()
		p.addAll(addition(event.Likes, event.ID{MS: w1.StartMS() + 9, Seq: 1<<64 - 1}, like(1)))
	}, []string{"drained"}},
	{"both in two windows", func(p *place) {
		p.unfence()
		p.add(event.Likes, w1, 5, like(5))
		p.add(event.Likes, w2, 500, like(500))
	}, []string{"drained", "settled"}},
	{"a claimed entry that is in a part", func(p *place) { p.unfence(); p.add(event.Likes, w2, 5, like(5)); p.claim() }, []string{"settled", "pending"}},
	{"a claimed entry that is gone", func(p *place) {
		p.unfence()
		p.add(event.Likes, w2, 5, like(5))
		p.claim()
		p.do("XDEL", "$", idIn(w2, 5).String())
	}, []string{"pending"}},
	{"an entry in a part that another group still reads", func(p *place) {
		p.unfence()
		p.do("XGROUP", "CREATE", "$", "other", "0")
		p.add(event.Likes, w2, 5, like(5))
	}, nil},
	{"an entry in no part that another group reads too", func(p *place) {
		p.unfence()
		p.do("XGROUP", "CREATE", "$", "other", "0")
		p.add(event.Likes, w2, 500, like(500))
	}, []string{"drained"}},
	{"an entry in a part, and no group", func(p *place) {
		p.unfence()
		p.add(event.Likes, w2, 5, like(5))
		p.do("XGROUP", "DESTROY", "$", stream.DefaultGroup)
	}, []string{"settled"}},
	{"no group", func(p *place) { p.do("XGROUP", "DESTROY", "$", stream.DefaultGroup) }, nil},
	{"a run at work", func(p *place) {
		p.unfence()
		p.add(event.Likes, w2, 5, like(5))
		p.add(event.Likes, w2, 500, like(500))
		p.claim()
		p.hold()
	}, nil},
	{"a run at work that has published one kind of the last window", func(p *place) {
		p.remove(sink.Name{Window: w2, Kind: event.Likes}, sink.Name{Window: w2, Kind: event.Likes, Rejects: true})
		p.hold()
	}, nil},
	{"a run that ended after one kind of the last window", func(p *place) {
		p.remove(sink.Name{Window: w2, Kind: event.Likes}, sink.Name{Window: w2, Kind: event.Likes, Rejects: true})
	}, []string{"missing"}},
	{"a stream that is gone", func(p *place) { p.do("DEL", "$") }, []string{"counter"}},
	{"a stream that began again", func(p *place) { p.do("DEL", "$"); p.add(event.Likes, w3, 1, like(1)) }, []string{"counter"}},
	{"an ID from the future", func(p *place) { p.do("XADD", "$", "1895428300000-0", "event", like(1)) }, []string{"ahead"}},
	{"the last ID there is", func(p *place) {
		p.do("XADD", "$", "18446744073709551615-18446744073709551615", "event", like(1))
	}, []string{"ahead"}},
	{"a rescue that was killed", func(p *place) { p.do("XADD", p.client.Name(event.Likes)+":rescue", "*", "event", like(1)) }, []string{"ahead"}},
	{"a last ID from the future, of which nothing is left", func(p *place) { p.do("XSETID", "$", "1895428300000-0") }, []string{"ahead"}},
	{"a damaged part beside entries", func(p *place) {
		p.unfence()
		p.add(event.Likes, w2, 5, like(5))
		p.write(p.path(likes2), []byte("nothing"))
	}, []string{"readable"}},
}

func TestEveryLeftoverIsSeenByItsCheck(t *testing.T) {
	server := streamtest.Start(t)
	shown := make(map[string]bool)
	for _, l := range leftovers {
		t.Run(l.name, func(t *testing.T) {
			p := newPlace(t, server)
			p.fill(w1)
			p.fill(w2)
			p.drain(w2)
			l.leave(p)
			p.want(theStreams, l.want...)
		})
		for _, check := range l.want {
			shown[check] = true
		}
	}
	for _, check := range []string{"settled", "drained", "pending", "counter", "ahead"} {
		if !shown[check] {
			t.Errorf("nothing shows that the check %s can fail", check)
		}
	}
}

func TestTheNextRunMendsWhatAKilledOneLeft(t *testing.T) {
	p := newPlace(t, streamtest.Start(t))
	p.fill(w1)
	p.drain(w1)
	p.unfence()
	p.add(event.Likes, w1, 5, like(5))
	p.add(event.Likes, w1, 500, like(500))
	p.claim()
	p.want(theStreams, "settled", "drained", "pending")
	p.drain(w1)
	p.want(theStreams)
}

func TestManyLeftoversAreCounted(t *testing.T) {
	p := newPlace(t, streamtest.Start(t))
	p.drain(w1)
	p.unfence()
	const entries = 1700 // more than three pages
	var all []stream.Addition
	for n := range entries {
		all = append(all, addition(event.Likes, idIn(w1, uint64(n)), like(n)))
	}
	p.addAll(all...)
	r := p.want(theStreams, "drained")
	if len(r.Violations) != 1 || r.Violations[0].Count != entries || r.Violations[0].Stream != p.client.Name(event.Likes) {
		t.Errorf("the violations are\n%s", lines(r))
	}
	if line := r.Violations[0].String(); !strings.Contains(line, w1.String()+" "+p.client.Name(event.Likes)+": entry ") {
		t.Errorf("its line is %q", line)
	}
}

func TestARestartedServerExplainsItsCounter(t *testing.T) {
	server := streamtest.Start(t)
	p := newPlace(t, server)
	p.fill(w1)
	p.drain(w1)
	server.Kill()
	server.Restart()
	p.connect()
	p.want(theStreams) // nothing is known of what the new server counts
	p.add(event.Likes, w2, 1, like(1))
	p.drain(w2)
	p.want(theStreams)
}

// TestVerifyingBesideADrain: readers may come at any moment.
func TestVerifyingBesideADrain(t *testing.T) {
	p := newPlace(t, streamtest.Start(t))
	p.fill(w1)
	p.drain(w1)
	p.fill(w2)
	p.fill(w3)
	p.patience = 0
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				report, err := p.verify(theStreams, window.Range{})
				if err != nil || len(report.Violations) > 0 {
					t.Errorf("while a drain is at work: %v\n%s", err, lines(report))
					return
				}
			}
		}
	}()
	p.drain(w2)
	p.drain(w3)
	close(stop)
	<-done
	p.want(theStreams)
}

func TestARedisThatIsAwayIsSaidAfterTheFilesAreSeen(t *testing.T) {
	server := streamtest.Start(t)
	p := newPlace(t, server)
	p.fill(w1)
	p.drain(w1)
	p.write(p.path(likes1), []byte("nothing"))
	server.Kill()
	report, err := p.verify(theStreams, window.Range{})
	if !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	if !errors.Is(report.Err(), verify.ErrViolated) || len(report.Violations) != 1 {
		t.Errorf("the report on the files is lost: %s", lines(report))
	}
}

func TestAStoppedVerificationSaysSo(t *testing.T) {
	p := newPlace(t, streamtest.Start(t))
	p.fill(w1)
	p.drain(w1)
	archive, err := sink.OpenURL(p.data, nil)
	p.ok(err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := verify.New(archive, verify.Config{Source: p.client}).Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
