package simulate

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"datawriter/worker/event"
)

// DefaultAuthors is the population from which authors are drawn.
const DefaultAuthors = 1_000_000

// Traits say what a Generator makes. Zero values mean the defaults.
type Traits struct {
	Seed      uint64
	Authors   int     // size of the population; DefaultAuthors when 0
	Malformed float64 // share of entries that cannot be rows, 0..1
}

func (t Traits) check() error {
	switch {
	case t.Authors < 0:
		return fmt.Errorf("%d authors: the population needs at least one", t.Authors)
	case !(t.Malformed >= 0 && t.Malformed <= 1): // NaN as well
		return fmt.Errorf("malformed share %v is outside 0..1: 0.001 means one entry in a thousand", t.Malformed)
	}
	return nil
}

// Generator makes events as Jetstream sends them, one commit each. The same
// traits and calls give the same bytes. It is not safe for concurrent use.
type Generator struct {
	population
	malformed float64
	shares    []float64 // cumulative, by kind

	text   []byte  // scratch of one post's text, unescaped
	facets []facet // what stands in that text
}

// NewGenerator returns a generator, or an error that names the wrong trait.
func NewGenerator(t Traits) (*Generator, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if t.Authors == 0 {
		t.Authors = DefaultAuthors
	}
	rng := rand.New(rand.NewPCG(t.Seed, mix(t.Seed)))
	return &Generator{
		population: newPopulation(rng, t.Authors, t.Seed),
		malformed:  t.Malformed,
		shares:     cumulativeShares(),
	}, nil
}

// recipe is what distinguishes the events of one kind.
type recipe struct {
	share   float64 // of all events, in percent
	deletes float64 // of the kind's events, 0..1
	updates float64
	// record appends the members of the record behind $type, from createdAt on.
	record func(g *Generator, dst []byte, by author, us int64) []byte
}

// recipes: shares and the deletes among follows as measured over 240 million
// events in April 2026, the other deletes as in smaller samples.
var recipes = [...]recipe{
	event.Posts:   {share: 11.7, deletes: 0.10, updates: 0.005, record: (*Generator).postRecord},
	event.Likes:   {share: 67, deletes: 0.03, updates: 0.0002, record: (*Generator).likeRecord},
	event.Reposts: {share: 11, deletes: 0.04, updates: 0.0002, record: (*Generator).likeRecord},
	event.Follows: {share: 7.8, deletes: 0.13, updates: 0.0005, record: (*Generator).followRecord},
	event.Blocks:  {share: 0.7, deletes: 0.15, updates: 0.0005, record: (*Generator).blockRecord},
}

func cumulativeShares() []float64 {
	sums := make([]float64, len(recipes))
	total := 0.0
	for i, r := range recipes {
		total += r.share
		sums[i] = total
	}
	return sums
}

// Kind draws a kind from the measured mix.
func (g *Generator) Kind() event.Kind {
	x := g.rng.Float64() * g.shares[len(g.shares)-1]
	for kind, sum := range g.shares {
		if x < sum {
			return event.Kind(kind)
		}
	}
	return event.Kind(len(g.shares) - 1)
}

// Next returns a well-formed event of a kind whose time_us is at.
func (g *Generator) Next(kind event.Kind, at time.Time) []byte {
	return g.Append(nil, kind, at.UnixMicro())
}

// Append appends a well-formed event of a kind whose time_us is us. Events have
// the member order and the spacing of Jetstream.
func (g *Generator) Append(dst []byte, kind event.Kind, us int64) []byte {
	by := g.actor()
	operation := g.operation(kind)
	// The server writes the record, then the repository's new revision; the
	// event arrives here some hundred milliseconds later.
	rev := us - 50_000 - g.rng.Int64N(900_000)
	rkey := rev - 200 - g.rng.Int64N(3_000)
	if operation != "create" {
		rkey = g.post(us).us
	}
	dst = append(dst, `{"did":"`...)
	dst = by.appendDID(dst)
	dst = append(dst, `","time_us":`...)
	dst = strconv.AppendInt(dst, us, 10)
	dst = append(dst, `,"kind":"commit","commit":{"rev":"`...)
	dst = appendTID(dst, rev, by.clock())
	dst = append(dst, `","operation":"`...)
	dst = append(dst, operation...)
	dst = append(dst, `","collection":"`...)
	dst = append(dst, kind.Collection()...)
	dst = append(dst, `","rkey":"`...)
	dst = appendTID(dst, rkey, by.clock())
	if operation != "delete" {
		dst = g.appendRecord(dst, kind, by, rkey)
	}
	return append(dst, `"}}`...)
}

func (g *Generator) operation(kind event.Kind) string {
	x := g.rng.Float64()
	switch r := &recipes[kind]; {
	case x < r.deletes:
		return "delete"
	case x < r.deletes+r.updates:
		return "update"
	}
	return "create"
}

func (g *Generator) appendRecord(dst []byte, kind event.Kind, by author, us int64) []byte {
	dst = append(dst, `","record":{"$type":"`...)
	dst = append(dst, kind.Collection()...)
	dst = append(dst, `",`...)
	dst = recipes[kind].record(g, dst, by, us)
	dst = append(dst, `},"cid":"`...)
	return appendCID(dst, recordCID, g.rng.Uint64())
}

// likely is true with probability p.
func (g *Generator) likely(p float64) bool { return g.rng.Float64() < p }

// among returns one of the choices.
func (g *Generator) among(choices []string) string { return choices[g.rng.IntN(len(choices))] }
