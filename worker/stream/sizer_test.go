package stream_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"datawriter/worker/event"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
)

// addSizes adds entries of these sizes, the nth with the ID n-0.
func addSizes(t *testing.T, c *stream.Client, sizes ...int) {
	t.Helper()
	filler := []byte(strings.Repeat("x", 1<<20))
	var batch []stream.Addition
	for i, size := range sizes {
		batch = append(batch, stream.Addition{Kind: event.Likes, ID: event.ID{MS: uint64(i + 1)}, Fields: [][]byte{[]byte("event"), filler[:size]}})
		if len(batch) == 1000 || i+1 == len(sizes) {
			if _, err := c.Add(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			batch = nil
		}
	}
}

func repeat(n, size int) []int {
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = size
	}
	return sizes
}

var everything = event.ID{MS: 1 << 40}

func TestAPageNeverAsksForManyLargeEntries(t *testing.T) {
	for _, of := range []struct {
		name    string
		sizes   []int
		counted bool // the sizes were added up first
	}{
		{"usual events", repeat(5000, 540), false},
		{"very few events", repeat(3, 540), false},
		{"an empty stream", nil, false},
		{"nothing but large ones", repeat(50, 500_000), true},
		{"large ones behind usual ones", append(repeat(1000, 540), repeat(20, 500_000)...), true},
		{"large ones hidden in the mean", append(append(repeat(60_000, 540), repeat(30, 1<<20)...), repeat(60_000, 540)...), true},
		{"large ones hidden at the end", append(repeat(120_000, 540), repeat(30, 1<<20)...), true},
	} {
		t.Run(of.name, func(t *testing.T) {
			_, c, s := open(t)
			addSizes(t, c, of.sizes...)
			size, err := stream.NewSizer(s).Next(t.Context(), event.ID{}, everything)
			ok(t, err)
			equal(t, "counted", size.Counted, of.counted)
			if !of.counted && size.Entries != 32 {
				t.Errorf("the first page asks for %d entries, want 32", size.Entries)
			}
		})
	}
}

// The shipped configuration makes nodes four times as large as Redis's default.
func TestLargeNodesAreNoLargeEntries(t *testing.T) {
	for _, bytes := range []string{"4096", "16384", "0"} {
		_, c, s := open(t, "--stream-node-max-bytes", bytes)
		addSizes(t, c, repeat(100_000, 540)...)
		size, err := stream.NewSizer(s).Next(t.Context(), event.ID{}, everything)
		ok(t, err)
		equal(t, "counted with nodes of "+bytes, size.Counted, false)
	}
}

func TestCountedPagesFit(t *testing.T) {
	ctx := context.Background()
	_, c, s := open(t)
	sizes := append(append(append(repeat(40, 300_000), repeat(500, 100)...), 1<<20, 1<<20, 0), repeat(9000, 300)...)
	addSizes(t, c, sizes...)
	z, page, from, read := stream.NewSizer(s), stream.Page{}, event.ID{}, 0
	for {
		size, err := z.Next(ctx, from, everything)
		ok(t, err)
		if size.Entries == 0 {
			break
		}
		ok(t, s.Range(ctx, &page, from, everything, size.Entries))
		z.Learn(&page)
		if len(page.Entries) != size.Entries || page.Bytes > size.Bytes || size.Bytes > stream.PageBytes && size.Entries > 1 || size.Entries > stream.MaxPage {
			t.Fatalf("behind %s: asked for %+v, got %d entries of %d bytes", from, size, len(page.Entries), page.Bytes)
		}
		read += len(page.Entries)
		from = event.ID{MS: page.Entries[len(page.Entries)-1].ID.MS + 1}
	}
	equal(t, "entries read", read, len(sizes))
	size, err := z.Next(ctx, event.ID{MS: 5}, event.ID{MS: 8})
	ok(t, err)
	equal(t, "entries of a part of the stream", size.Entries, 3)
}

func TestOneLargeEntryMakesTheReaderCareful(t *testing.T) {
	_, c, s := open(t)
	addSizes(t, c, append(repeat(5000, 540), 70_000)...)
	z, page := stream.NewSizer(s), stream.Page{}
	first, err := z.Next(t.Context(), event.ID{}, everything)
	ok(t, err)
	equal(t, "counted before", first.Counted, false)
	ok(t, s.Range(t.Context(), &page, event.ID{MS: 4990}, everything, 100))
	z.Learn(&page)
	next, err := z.Next(t.Context(), event.ID{}, everything)
	ok(t, err)
	equal(t, "counted behind it", next.Counted, true)
}

func TestAUserWhoMayNotAskForSizesReadsAllTheSame(t *testing.T) {
	for _, of := range []struct {
		may     string
		counted bool
		entries int
	}{
		{"+@read +@scripting -memory", true, 4},
		{"+@read +eval +evalsha -memory -eval_ro -evalsha_ro", true, 4},
		{"+@read -memory", false, 1},
	} {
		t.Run(of.may, func(t *testing.T) {
			server := streamtest.Start(t)
			admin, err := stream.Open(stream.Config{URL: server.URL()})
			ok(t, err)
			defer admin.Close()
			addSizes(t, admin, 400_000, 100, 200, 300)
			ok(t, server.Client().Do(t.Context(), words("ACL SETUSER reader on >secret ~* resetchannels "+of.may)...).Err())
			c, err := stream.Open(stream.Config{URL: fmt.Sprintf("redis://reader:secret@127.0.0.1:%d/0", server.Port)})
			ok(t, err)
			defer c.Close()
			s := c.Stream(event.Likes)
			z := stream.NewSizer(s)
			size, err := z.Next(t.Context(), event.ID{}, everything)
			ok(t, err)
			equal(t, "that it could not be told", z.Unknown(), true)
			equal(t, "page", fmt.Sprint(size.Counted, size.Entries), fmt.Sprint(of.counted, of.entries))
			id, found, err := s.First(t.Context(), 2)
			ok(t, err)
			equal(t, "the first entry behind 1", fmt.Sprint(id, found), "2-0 true")
			state, err := s.State(t.Context())
			ok(t, err)
			equal(t, "entries added", state.EntriesAdded, int64(4))
		})
	}
}

func words(command string) (all []any) {
	for _, word := range strings.Fields(command) {
		all = append(all, word)
	}
	return all
}

func TestASweepGoesOnBehindWhatIsStillThere(t *testing.T) {
	ctx := context.Background()
	server, c, s := open(t)
	ok(t, s.EnsureGroup(ctx))
	addSizes(t, c, append(repeat(6000, 10), repeat(40, 1<<20)...)...)
	var page stream.Page
	for range 7 {
		ok(t, s.ReadNew(ctx, &page, 1000, false))
	}
	redis, name := server.Client(), c.Name(event.Likes)
	ok(t, redis.XDel(ctx, name, "3-0", "5500-0", "6035-0").Err())
	info, err := c.Server(ctx)
	ok(t, err)
	gone, err := s.SweepPending(ctx, info.ID(), 0, 1<<40)
	ok(t, err)
	equal(t, "swept", gone, 3)
	left, err := redis.XPending(ctx, name, stream.DefaultGroup).Result()
	ok(t, err)
	equal(t, "still pending", left.Count, int64(6037))
}
