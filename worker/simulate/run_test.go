package simulate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/simulate"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
	"datawriter/worker/window"
)

var tenOFive = window.Window{Start: time.Date(2026, 11, 23, 10, 5, 0, 0, time.UTC), Length: 5 * time.Minute}

func open(t *testing.T, options ...string) (*streamtest.Server, *stream.Client) {
	t.Helper()
	server := streamtest.Start(t, options...)
	client, err := stream.Open(stream.Config{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return server, client
}

func run(t *testing.T, client *stream.Client, o simulate.Options) simulate.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // a producer never gives up by itself
	defer cancel()
	result, err := simulate.Run(ctx, client, o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// sent collects what OnAdded reports.
type sent struct {
	ids    map[event.Kind][]event.ID
	hashes map[event.Kind]map[event.ID]uint64
}

func newSent() *sent {
	return &sent{ids: make(map[event.Kind][]event.ID), hashes: make(map[event.Kind]map[event.ID]uint64)}
}

func (s *sent) add(a stream.Addition, id event.ID) {
	if s.hashes[a.Kind] == nil {
		s.hashes[a.Kind] = make(map[event.ID]uint64)
	}
	entry := event.Entry{ID: id, Fields: a.Fields}
	s.ids[a.Kind] = append(s.ids[a.Kind], id)
	s.hashes[a.Kind][id] = entry.Hash()
}

func (s *sent) count() (n int) {
	for _, ids := range s.ids {
		n += len(ids)
	}
	return n
}

// held reads everything that the streams hold.
func held(t *testing.T, client *stream.Client) *sent {
	t.Helper()
	s := newSent()
	var page stream.Page
	for _, kind := range event.Kinds() {
		from := event.ID{}
		for {
			if err := client.Stream(kind).Range(t.Context(), &page, from, event.ID{MS: 1 << 62}, 1000); err != nil {
				t.Fatal(err)
			}
			if len(page.Entries) == 0 {
				break
			}
			for _, e := range page.Entries {
				s.add(stream.Addition{Kind: kind, Fields: e.Fields}, e.ID)
				from = event.ID{MS: e.ID.MS, Seq: e.ID.Seq + 1}
			}
		}
	}
	return s
}

// equal compares what was reported as added with what is there.
func (s *sent) equal(t *testing.T, there *sent) {
	t.Helper()
	for _, kind := range event.Kinds() {
		if len(s.ids[kind]) != len(there.ids[kind]) {
			t.Errorf("%s: %d were reported as added, %d are there", kind, len(s.ids[kind]), len(there.ids[kind]))
		}
		for id, hash := range s.hashes[kind] {
			if there.hashes[kind][id] != hash {
				t.Fatalf("%s: entry %s is not there as it was reported", kind, id)
			}
		}
	}
}

func TestALiveRunAddsExactlyTheCountToTheFiveStreams(t *testing.T) {
	_, client := open(t)
	added := newSent()
	result := run(t, client, simulate.Options{Count: 20_345, Traits: simulate.Traits{Malformed: 0.01}, OnAdded: added.add})
	there := held(t, client)
	added.equal(t, there)
	if result.Added != 20_345 || there.count() != 20_345 {
		t.Errorf("%d reported, %d there, want 20,345", result.Added, there.count())
	}
	if result.Malformed < 100 || result.Malformed > 320 || len(result.Reasons) < 8 {
		t.Errorf("%d malformed for %d reasons, want about 200 for 10", result.Malformed, len(result.Reasons))
	}
	for _, kind := range event.Kinds() {
		ids := there.ids[kind]
		if got := result.Kinds[kind]; got.Added != int64(len(ids)) || got.FirstID != ids[0] || got.LastID != ids[len(ids)-1] {
			t.Errorf("%s: the result says %+v, there are %d from %s to %s", kind, got, len(ids), ids[0], ids[len(ids)-1])
		}
	}
}

func TestARateIsKept(t *testing.T) {
	_, client := open(t)
	result := run(t, client, simulate.Options{Rate: 700, Duration: time.Second})
	if result.Added+result.Forgone != 700 {
		t.Errorf("%d added and %d forgone, want 700 together", result.Added, result.Forgone)
	}
}

func TestAWindowIsFilledFromItsStartToItsEnd(t *testing.T) {
	for name, o := range map[string]simulate.Options{
		"by count":               {Count: 30_000},
		"by rate":                {Rate: 100},
		"denser than a kHz":      {Count: 3_000, Window: window.Window{Start: tenOFive.Start, Length: time.Second}},
		"with a single entry":    {Count: 1},
		"with numbered entries":  {Count: 5_000, Sequence: true},
		"with malformed entries": {Count: 5_000, Traits: simulate.Traits{Malformed: 0.5}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, client := open(t)
			if o.Window.Length == 0 {
				o.Window = tenOFive
			}
			added := newSent()
			o.OnAdded = added.add
			result := run(t, client, o)
			there := held(t, client)
			added.equal(t, there)
			if want := max(o.Count, int64(o.Rate*o.Window.Length.Seconds())); result.Added != want {
				t.Errorf("%d were added, want %d", result.Added, want)
			}
			for kind, ids := range there.ids {
				if !o.Window.ContainsMS(ids[0].MS) || !o.Window.ContainsMS(ids[len(ids)-1].MS) {
					t.Errorf("%s from %s to %s are not all in %s", kind, ids[0], ids[len(ids)-1], o.Window)
				}
			}
			if result.FirstID.MS != o.Window.StartMS() {
				t.Errorf("the first ID is %s, want the window's start %d", result.FirstID, o.Window.StartMS())
			}
		})
	}
}

func TestTheTimeOfAnEventAgreesWithItsID(t *testing.T) {
	_, client := open(t)
	run(t, client, simulate.Options{Count: 3_000, Window: tenOFive, OnAdded: func(a stream.Addition, id event.ID) {
		if us := decode(t, a.Fields[1]).TimeUS; uint64(us/1000) != id.MS {
			t.Fatalf("time_us %d under the ID %s", us, id)
		}
	}})
}

func TestASequenceCountsEachStream(t *testing.T) {
	_, client := open(t)
	run(t, client, simulate.Options{Count: 3_000, Window: tenOFive, Sequence: true})
	var page stream.Page
	for _, kind := range event.Kinds() {
		if err := client.Stream(kind).Range(t.Context(), &page, event.ID{}, event.ID{MS: 1 << 62}, 5000); err != nil {
			t.Fatal(err)
		}
		for i, e := range page.Entries {
			if n := len(e.Fields); n != 4 || string(e.Fields[0]) != "event" || string(e.Fields[2]) != "seq" || string(e.Fields[3]) != fmt.Sprint(i+1) {
				t.Fatalf("%s: entry %d has the fields %q", kind, i+1, e.Fields)
			}
		}
	}
}

func TestAFilledWindowCanBeFilledAgainWithTheSameSeedOnly(t *testing.T) {
	_, client := open(t)
	options := simulate.Options{Count: 5_000, Window: tenOFive, Traits: simulate.Traits{Seed: 1}}
	run(t, client, options)
	there := held(t, client)
	again := run(t, client, options)
	if again.Added != 5_000 || held(t, client).count() != 5_000 {
		t.Errorf("%d were counted and %d are there, want 5,000", again.Added, held(t, client).count())
	}
	options.Seed = 2
	other, err := simulate.Run(t.Context(), client, options)
	if other.Added != 0 {
		t.Errorf("%d events of another seed were taken for those that are there", other.Added)
	}
	if !errors.Is(err, simulate.ErrClosed) || !strings.Contains(err.Error(), "bluesky:{") {
		t.Errorf("another seed: got %v, want ErrClosed and the stream's name", err)
	}
	there.equal(t, held(t, client))
}

// recorded is a file with what a recording holds: three events of two streams,
// and lines that belong to none.
var recorded = []string{
	`{"did":"did:plc:a","time_us":1,"kind":"commit","commit":{"collection":"app.bsky.feed.like", "odd spacing" : 1}}`,
	`{"did":"did:plc:a","time_us":2,"kind":"identity","identity":{"did":"did:plc:a","seq":3}}`,
	`{"did":"did:plc:a","time_us":3,"kind":"account","account":{"active":true}}`,
	`{"did":"did:plc:b","time_us":4,"kind":"commit","commit":{"collection":"app.bsky.actor.profile"}}`,
	``,
	`not an event`,
	`{"commit":{"collection":"app.bsky.feed.post","record":{"text":"\u00e9 é ` + "\t" + `"}}}`, // a raw tab: not JSON
	`{"commit":{"collection":"app.bsky.feed.post","record":{"text":"\u00e9 é 😂"}}}` + "\r",
	`{"did":"did:plc:c","commit":{"collection":"app.bsky.feed.like"}}`,
}

func TestAReplayIsByteForByte(t *testing.T) {
	for name, w := range map[string]window.Window{"live": {}, "into a window": tenOFive} {
		t.Run(name, func(t *testing.T) {
			_, client := open(t)
			path := filepath.Join(t.TempDir(), "recorded.jsonl")
			if err := os.WriteFile(path, []byte(strings.Join(recorded, "\n")), 0o644); err != nil {
				t.Fatal(err)
			}
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			result := run(t, client, simulate.Options{Replay: file, Window: w})
			wantEvents(t, client, event.Likes, recorded[0], recorded[8])
			wantEvents(t, client, event.Posts, recorded[7])
			want := map[string]int64{"identity": 1, "account": 1, "other_collection": 1, "not_an_event": 2}
			if fmt.Sprint(result.Skipped) != fmt.Sprint(want) {
				t.Errorf("skipped %v, want %v", result.Skipped, want)
			}
			if w.Length > 0 && (!w.ContainsMS(result.FirstID.MS) || !w.ContainsMS(result.LastID.MS)) {
				t.Errorf("IDs from %s to %s are not in %s", result.FirstID, result.LastID, w)
			}
		})
	}
}

func wantEvents(t *testing.T, client *stream.Client, kind event.Kind, want ...string) {
	t.Helper()
	var page stream.Page
	if err := client.Stream(kind).Range(t.Context(), &page, event.ID{}, event.ID{MS: 1 << 62}, 100); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range page.Entries {
		got = append(got, string(e.Fields[1]))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s hold %q, want %q", kind, got, want)
	}
}

func TestAReplayOfAHugeEventGoesThrough(t *testing.T) {
	_, client := open(t)
	huge := `{"commit":{"collection":"app.bsky.feed.post","record":{"text":"` + strings.Repeat("x", 5<<20) + `"}}}`
	result := run(t, client, simulate.Options{Replay: strings.NewReader(strings.Repeat(huge+"\n", 3)), Window: tenOFive})
	if result.Added != 3 {
		t.Errorf("%d of 3 were added", result.Added)
	}
}

// A refusal in the middle of a pipeline, which is where entries get lost or
// doubled if the sender is careless.
func TestRefusedEntriesAreSentAgainOnce(t *testing.T) {
	for name, w := range map[string]window.Window{"live": {}, "into a window": tenOFive} {
		t.Run(name, func(t *testing.T) {
			server, client := open(t, "--maxmemory", "6mb", "--maxmemory-policy", "noeviction")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			added := newSent()
			var raise sync.Once
			unlimited := func() {
				if err := server.Client().ConfigSet(ctx, "maxmemory", "0").Err(); err != nil {
					t.Error(err)
				}
			}
			log, refused := watchLog("redis takes no entries")
			go func() { <-refused; raise.Do(unlimited) }()
			result, err := simulate.Run(ctx, client, simulate.Options{Count: 20_000, Window: w, IgnoreMemory: true, Log: log, OnAdded: added.add})
			if err != nil {
				t.Fatal(err)
			}
			if result.Refusals == 0 {
				t.Error("Redis refused nothing; the fault did not happen")
			}
			there := held(t, client)
			added.equal(t, there)
			if result.Added != 20_000 || there.count() != 20_000 {
				t.Errorf("%d reported, %d there, want 20,000", result.Added, there.count())
			}
		})
	}
}

func TestAProducerWaitsWhileRedisIsAway(t *testing.T) {
	// everysec may lose what it acknowledged when the disk is busy: here the
	// producer is looked at, not the server.
	server, client := open(t, "--appendonly", "yes", "--appendfsync", "always")
	added := newSent()
	var once sync.Once
	log, away := watchLog("redis takes no entries")
	go func() { <-away; server.Restart() }()
	result := run(t, client, simulate.Options{Count: 30_000, Window: tenOFive, Log: log, OnAdded: func(a stream.Addition, id event.ID) {
		added.add(a, id)
		if id.MS > tenOFive.StartMS()+100_000 {
			once.Do(server.Kill)
		}
	}})
	if result.Outages == 0 {
		t.Error("Redis was never away; the fault did not happen")
	}
	there := held(t, client)
	added.equal(t, there)
	if result.Added != 30_000 || there.count() != 30_000 || result.Uncertain != 0 {
		t.Errorf("%d reported, %d there, %d uncertain, want 30,000 and none", result.Added, there.count(), result.Uncertain)
	}
}

func TestAProducerStopsBeforeRedisIsFullAndResumes(t *testing.T) {
	server, client := open(t, "--maxmemory", "8mb", "--maxmemory-policy", "noeviction")
	ctx := t.Context()
	admin := server.Client()
	log, stopped := watchLog("nearly full")
	go func() {
		<-stopped
		_ = admin.ConfigSet(ctx, "maxmemory", "0").Err()
	}()
	result := run(t, client, simulate.Options{Rate: 4000, Count: 16_000, Log: log})
	if result.Added != 16_000 || result.Refusals != 0 {
		t.Errorf("%d of 16,000 were added with %d refusals, want all with none", result.Added, result.Refusals)
	}
}

func TestGivingUpNamesTheReason(t *testing.T) {
	server, client := open(t)
	server.Kill()
	result, err := simulate.Run(t.Context(), client, simulate.Options{Count: 10, GiveUp: 50 * time.Millisecond})
	if !errors.Is(err, stream.ErrUnavailable) || !strings.Contains(err.Error(), "no success for 50ms") {
		t.Errorf("got %v, want ErrUnavailable after 50ms", err)
	}
	if result.Unsent != 10 || result.Uncertain != 0 {
		t.Errorf("%d unsent and %d uncertain, want 10 and 0", result.Unsent, result.Uncertain)
	}
}

func TestAStopFinishesThePipelineAndReports(t *testing.T) {
	_, client := open(t)
	ctx, stop := context.WithCancel(t.Context())
	added := newSent()
	result, err := simulate.Run(ctx, client, simulate.Options{OnAdded: func(a stream.Addition, id event.ID) {
		added.add(a, id)
		stop()
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's cause", err)
	}
	there := held(t, client)
	added.equal(t, there)
	if result.Added == 0 || result.Added != int64(there.count()) {
		t.Errorf("%d reported, %d there", result.Added, there.count())
	}
}

func TestAMisconfiguredServerIsNamedAtOnce(t *testing.T) {
	_, client := open(t, "--requirepass", "secret-word")
	if _, err := simulate.Run(t.Context(), client, simulate.Options{Count: 1}); !errors.Is(err, stream.ErrMisconfigured) {
		t.Errorf("got %v, want ErrMisconfigured", err)
	}
}

func TestContradictingOptionsAreRefused(t *testing.T) {
	_, client := open(t)
	for want, o := range map[string]simulate.Options{
		"count -1":           {Count: -1},
		"rate -3":            {Rate: -3},
		"duration -1s":       {Duration: -time.Second},
		"give-up -1s":        {GiveUp: -time.Second},
		"-1 authors":         {Traits: simulate.Traits{Authors: -1}},
		"malformed share 2":  {Traits: simulate.Traits{Malformed: 2}},
		"how many entries":   {Window: tenOFive},
		"filled as fast":     {Window: tenOFive, Count: 1, Duration: time.Second},
		"one of rate":        {Window: tenOFive, Count: 1, Rate: 1},
		"Give a count":       {Window: tenOFive, Replay: bytes.NewBufferString("")},
		"recorded events as": {Replay: bytes.NewBufferString(""), Traits: simulate.Traits{Malformed: 0.1}},
	} {
		_, err := simulate.Run(t.Context(), client, o)
		if !errors.Is(err, simulate.ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want ErrUsage with %q", err, want)
		}
	}
}
