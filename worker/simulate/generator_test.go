package simulate_test

import (
	"bytes"
	"encoding/base32"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/simulate"
)

var update = flag.Bool("update", false, "rewrite testdata/golden")

var noon = time.Date(2026, 11, 23, 12, 0, 0, 123_456_000, time.UTC)

func generator(t *testing.T, traits simulate.Traits) *simulate.Generator {
	t.Helper()
	g, err := simulate.NewGenerator(traits)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestASeedAlwaysMakesTheSameEvents(t *testing.T) {
	for _, kind := range event.Kinds() {
		g := generator(t, simulate.Traits{Seed: 7})
		var got []byte
		for i := range 8 {
			got = append(g.Append(got, kind, noon.Add(time.Duration(i)*time.Second).UnixMicro()), '\n')
		}
		path := filepath.Join("testdata", "golden", kind.String()+".jsonl")
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v: run go test -update and look at the difference", err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("the events differ from %s: run go test -update and look at the difference", path)
		}
	}
}

func TestAnotherSeedMakesOtherAuthors(t *testing.T) {
	first, second := generator(t, simulate.Traits{Seed: 1}), generator(t, simulate.Traits{Seed: 2})
	seen := make(map[string]bool)
	for range 1000 {
		seen[decode(t, first.Next(event.Likes, noon)).DID] = true
	}
	for range 1000 {
		if did := decode(t, second.Next(event.Likes, noon)).DID; seen[did] {
			t.Fatalf("%s occurs with both seeds", did)
		}
	}
}

// commit is an event as encoding/json sees it.
type commit struct {
	DID    string
	TimeUS int64 `json:"time_us"`
	Kind   string
	Commit struct {
		Rev, Operation, Collection, RKey, CID string
		Record                                map[string]any
	}
}

func decode(t *testing.T, ev []byte) (c commit) {
	t.Helper()
	if err := json.Unmarshal(ev, &c); err != nil {
		t.Fatalf("%v: %s", err, ev)
	}
	return c
}

func TestEveryWellFormedEventIsARow(t *testing.T) {
	var decoder event.Decoder
	var row event.Row
	for _, kind := range event.Kinds() {
		g := generator(t, simulate.Traits{Seed: 3})
		for range 4_000 {
			ev := g.Next(kind, noon)
			entry := event.Entry{ID: event.ID{MS: 5}, Fields: [][]byte{[]byte("event"), ev}}
			if reason := decoder.Decode(kind, &entry, &row); reason != "" {
				t.Fatalf("%s is rejected as %s: %s", kind, reason, ev)
			}
			if kind != event.Posts && row.EventJSON != nil {
				t.Fatalf("%s do not fit their columns: %s", kind, ev)
			}
			if !json.Valid(ev) {
				t.Fatalf("not JSON: %s", ev)
			}
		}
	}
}

var (
	didForm = regexp.MustCompile(`^did:plc:[a-z2-7]{24}$`)
	tidForm = regexp.MustCompile(`^[234567a-j][234567a-z]{12}$`) // the first character holds 4 bits, its top bit 0
)

func TestIdentifiersAreValid(t *testing.T) {
	for _, kind := range event.Kinds() {
		g := generator(t, simulate.Traits{Seed: 4})
		for range 1000 {
			ev := g.Next(kind, noon)
			c := decode(t, ev)
			if !didForm.MatchString(c.DID) || !tidForm.MatchString(c.Commit.Rev) || !tidForm.MatchString(c.Commit.RKey) {
				t.Fatalf("DID, rev or rkey is not valid: %s", ev)
			}
			if age := noon.UnixMicro() - tidTime(c.Commit.Rev); age < 0 || age > 2_000_000 {
				t.Fatalf("rev is %d µs old: %s", age, ev)
			}
			if c.Commit.Operation == "create" && tidTime(c.Commit.RKey) > tidTime(c.Commit.Rev) {
				t.Fatalf("rkey is younger than rev: %s", ev)
			}
			if c.TimeUS != noon.UnixMicro() || c.Kind != "commit" || c.Commit.Collection != kind.Collection() {
				t.Fatalf("envelope: %s", ev)
			}
			for _, cid := range cidForm.FindAllString(string(ev), -1) {
				checkCID(t, cid)
			}
			if deleted := c.Commit.Operation == "delete"; deleted != (c.Commit.Record == nil) || deleted != (c.Commit.CID == "") {
				t.Fatalf("a delete, and only that, has neither record nor cid: %s", ev)
			}
		}
	}
}

var cidForm = regexp.MustCompile(`\bbaf[a-z0-9]{20,}`)

func checkCID(t *testing.T, cid string) {
	t.Helper()
	strict := base32.StdEncoding.WithPadding(base32.NoPadding)
	raw, err := strict.DecodeString(strings.ToUpper(cid[1:]))
	if err != nil || len(cid) != 59 || len(raw) != 36 {
		t.Fatalf("CID %s: %d characters, %d bytes, %v", cid, len(cid), len(raw), err)
	}
	if raw[0] != 1 || raw[1] != 0x71 && raw[1] != 0x55 || raw[2] != 0x12 || raw[3] != 0x20 {
		t.Fatalf("CID %s is not CIDv1, dag-cbor or raw, sha2-256 of 32 bytes: % x", cid, raw[:4])
	}
	if strings.ToLower(strict.EncodeToString(raw)) != cid[1:] {
		t.Fatalf("CID %s has bits in its padding", cid)
	}
}

func tidTime(tid string) (us int64) {
	var n uint64
	for _, c := range tid {
		n = n<<5 | uint64(strings.IndexRune("234567abcdefghijklmnopqrstuvwxyz", c))
	}
	return int64(n >> 10)
}

func TestTheMixIsTheMeasuredOne(t *testing.T) {
	g := generator(t, simulate.Traits{Seed: 5})
	const n = 40_000
	counts := make(map[string]int)
	sizes := make([]int, 0, n)
	authors := make(map[string]int)
	for range n {
		kind := g.Kind()
		ev := g.Next(kind, noon)
		c := decode(t, ev)
		sizes = append(sizes, len(ev))
		authors[c.DID]++
		count(counts, kind.String(), c)
	}
	for _, c := range []struct {
		what     string
		of, over int
		want     float64
		give     float64
	}{
		{"likes among events", counts["likes"], n, 67 / 98.2, 0.01},
		{"posts among events", counts["posts"], n, 11.7 / 98.2, 0.005},
		{"reposts among events", counts["reposts"], n, 11 / 98.2, 0.005},
		{"follows among events", counts["follows"], n, 7.8 / 98.2, 0.005},
		{"blocks among events", counts["blocks"], n, 0.7 / 98.2, 0.002},
		{"deletes among follows", counts["follows delete"], counts["follows"], 0.13, 0.015},
		{"updates among posts", counts["posts update"], counts["posts"], 0.005, 0.003},
		{"posts without langs", counts["posts without langs"], counts["posts with record"], 0.117, 0.012},
		{"likes with via", counts["likes with via"], counts["likes with record"], 0.2, 0.02},
	} {
		if got := float64(c.of) / float64(c.over); math.Abs(got-c.want) > c.give {
			t.Errorf("%s: got %.4f, want %.4f ± %.4f", c.what, got, c.want, c.give)
		}
	}
	slices.Sort(sizes)
	if median := sizes[n/2]; median != 503 && median != 502 {
		t.Errorf("the median event has %d bytes, want 503 as measured", median)
	}
	if top := busiest(authors); top < n/1000 || top > n/50 {
		t.Errorf("the busiest author made %d of %d events", top, n)
	}
}

func count(counts map[string]int, kind string, c commit) {
	counts[kind]++
	counts[kind+" "+c.Commit.Operation]++
	if c.Commit.Record == nil {
		return
	}
	counts[kind+" with record"]++
	if c.Commit.Record["langs"] == nil {
		counts[kind+" without langs"]++
	}
	if c.Commit.Record["via"] != nil {
		counts[kind+" with via"]++
	}
}

func busiest(authors map[string]int) (most int) {
	for _, n := range authors {
		most = max(most, n)
	}
	return most
}

func TestPostsHaveEveryFeature(t *testing.T) {
	g := generator(t, simulate.Traits{Seed: 6})
	seen := make(map[string]int)
	for range 10_000 {
		record := decode(t, g.Next(event.Posts, noon)).Commit.Record
		for name := range record {
			seen[name]++
		}
		if embed, ok := record["embed"].(map[string]any); ok {
			seen[fmt.Sprint(embed["$type"])]++
		}
		checkFacets(t, record, seen)
		for _, r := range fmt.Sprint(record["text"]) {
			seen[fmt.Sprintf("%d bytes a character", len(string(r)))]++
		}
	}
	for _, want := range []string{
		"text", "createdAt", "langs", "reply", "embed", "facets", "labels", "tags", "bridgyOriginalUrl",
		"app.bsky.embed.external", "app.bsky.embed.images", "app.bsky.embed.record", "app.bsky.embed.recordWithMedia", "app.bsky.embed.video",
		"app.bsky.richtext.facet#link", "app.bsky.richtext.facet#mention", "app.bsky.richtext.facet#tag",
		"1 bytes a character", "2 bytes a character", "3 bytes a character", "4 bytes a character",
	} {
		if seen[want] < 40 {
			t.Errorf("%s occurs %d times in 10,000 posts", want, seen[want])
		}
	}
}

// checkFacets checks that every facet marks what the text shows there.
func checkFacets(t *testing.T, record map[string]any, seen map[string]int) {
	t.Helper()
	facets, _ := record["facets"].([]any)
	text := fmt.Sprint(record["text"])
	for _, f := range facets {
		index := f.(map[string]any)["index"].(map[string]any)
		feature := f.(map[string]any)["features"].([]any)[0].(map[string]any)
		seen[fmt.Sprint(feature["$type"])]++
		shown := text[int(index["byteStart"].(float64)):int(index["byteEnd"].(float64))]
		switch name, is := feature["tag"]; {
		case is && shown != "#"+name.(string):
			t.Fatalf("the tag %v is marked at %q", name, shown)
		case feature["uri"] != nil && !strings.HasPrefix(feature["uri"].(string), "https://"+strings.TrimSuffix(shown, "...")):
			t.Fatalf("the link %v is marked at %q", feature["uri"], shown)
		case feature["did"] != nil && shown[0] != '@':
			t.Fatalf("a mention is marked at %q", shown)
		}
	}
}

func TestCreatedAtIsMostlyUsualAndSometimesNot(t *testing.T) {
	g := generator(t, simulate.Traits{Seed: 8})
	usual := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
	const n = 20_000
	odd, forms := 0, make(map[string]bool)
	for range n {
		record := decode(t, g.Next(event.Blocks, noon)).Commit.Record
		if record == nil {
			continue
		}
		created := record["createdAt"].(string)
		if !usual.MatchString(created) {
			odd++
			forms[regexp.MustCompile(`\d`).ReplaceAllString(created, "0")] = true
		}
	}
	if odd < n/200 || odd > n/20 || len(forms) < 8 {
		t.Errorf("%d of %d are odd, in %d forms", odd, n, len(forms))
	}
}

func TestAMalformedEntryIsRejectedForItsReason(t *testing.T) {
	g := generator(t, simulate.Traits{Seed: 9, Malformed: 1})
	var decoder event.Decoder
	var row event.Row
	seen := make(map[event.Reason]int)
	for i := range 20_000 {
		kind := event.Kinds()[i%len(event.Kinds())]
		_, fields, want := g.Entry(nil, kind, noon.UnixMicro())
		got := decoder.Decode(kind, &event.Entry{ID: event.ID{MS: 5}, Fields: fields}, &row)
		if got != want || got == "" {
			t.Fatalf("rejected as %q, intended as %q: %q", got, want, fields)
		}
		seen[got]++
	}
	for _, reason := range []event.Reason{
		event.ReasonNoEvent, event.ReasonNotUTF8, event.ReasonNotJSON, event.ReasonNoDID, event.ReasonNoTime, event.ReasonTimeOutOfRange,
		event.ReasonNoCommit, event.ReasonOperation, event.ReasonCollection, event.ReasonNoRKey,
	} {
		if seen[reason] < 1000 {
			t.Errorf("%s occurs %d times in 20,000", reason, seen[reason])
		}
	}
}

func TestTheMalformedShareIsKept(t *testing.T) {
	g := generator(t, simulate.Traits{Seed: 10, Malformed: 0.02})
	malformed := 0
	for range 50_000 {
		if _, _, reason := g.Entry(nil, event.Likes, noon.UnixMicro()); reason != "" {
			malformed++
		}
	}
	if malformed < 800 || malformed > 1200 {
		t.Errorf("%d of 50,000 are malformed, want about 1,000", malformed)
	}
}

func TestTraitsOutOfRangeAreNamed(t *testing.T) {
	for want, traits := range map[string]simulate.Traits{
		"-1 authors":          {Authors: -1},
		"malformed share 1.5": {Malformed: 1.5},
		"malformed share NaN": {Malformed: math.NaN()},
	} {
		_, err := simulate.NewGenerator(traits)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}
