package ingest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"datawriter/worker/ingest"
)

// tally compares what the network sent, what the servers have and what the
// archive has.
type tally struct {
	c        *course
	span     map[string]time.Time // what was sent since the ingest had a position, and when
	all      map[string]bool      // what was ever sent
	stores   []store              // of each gate: what its servers have or left behind
	newest   []store              // of each gate: what its last server has
	expected int                  // events that must be there

	unverified map[string]bool // identities whose commits a newer server refused
	faults     map[string]int  // what is wrong, by kind
	lost       []string
	found      map[string]int
	told       []toldGap
}

// newTally reads the stores of all servers.
func (c *course) newTally() *tally {
	c.t.Helper()
	t := &tally{c: c, span: make(map[string]time.Time), all: make(map[string]bool), faults: make(map[string]int)}
	sent, _ := c.relay.sent()
	kept := c.kinds()
	for n, f := range c.relay.network.frames[:sent] {
		for _, e := range f.events {
			t.all[e.key] = true
			if n >= c.first && slices.Contains(kept, e.kind) {
				t.span[e.key] = c.relay.sentAt(n)
			}
		}
	}
	for _, g := range c.gates {
		now := c.dumped(g.now, func(s store) bool { return c.hasNewest(s, sent) })
		t.newest = append(t.newest, now)
		t.stores = append(t.stores, c.had(g, maps.Clone(now)))
	}
	t.unverified = c.unverifiedIdentities() // by now
	for key := range t.span {
		if t.isExpected(key) {
			t.expected++
		}
	}
	return t
}

// isExpected reports whether an event must be in the archive or in a gap. A newer
// server loses nothing that its relay still has, but events of an identity whose
// commits it could not verify, as it had left one out that came too fast. The legacy
// one loses what it takes in when it is killed. What a server has never had, nobody
// can miss there.
func (t *tally) isExpected(key string) bool {
	for n, s := range t.stores {
		if len(s[key]) == 0 && (t.c.gates[n].everLegacy() || t.unverified[identityOf(key)]) {
			return false
		}
	}
	return true
}

// identityOf returns whose event a key names.
func identityOf(key string) string {
	for part := range strings.FieldsSeq(key) {
		if strings.HasPrefix(part, "did:") {
			return part
		}
	}
	return ""
}

var unverified = regexp.MustCompile(`"msg":"(?:verification failure|verify queue overflow dropped event)".*?"did":"(did:[^"]+)"`)

// unverifiedIdentities reads in the log of the servers whose commits they refused.
func (c *course) unverifiedIdentities() map[string]bool {
	text, err := os.ReadFile(c.log.Name())
	if err != nil {
		c.t.Fatal(err)
	}
	refused := make(map[string]bool)
	for _, match := range unverified.FindAllSubmatch(text, -1) {
		refused[string(match[1])] = true
	}
	return refused
}

func (g *gate) everLegacy() bool {
	return g.now.version == legacy || slices.ContainsFunc(g.before, func(j *jetstream) bool { return j.version == legacy })
}

// had returns what the servers of a gate have or had.
func (c *course) had(g *gate, all store) store {
	quiet := startRelay(c.t, c.relay.network)
	quiet.mute = true
	for _, j := range g.before {
		j.start(quiet)
		for key, places := range c.dumped(j, func(store) bool { return true }) {
			all[key] = append(all[key], places...)
		}
		j.kill()
	}
	return all
}

// dumped reads a store, again until it is whole.
func (c *course) dumped(j *jetstream, whole func(store) bool) store {
	c.t.Helper()
	for began := time.Now(); ; {
		s, err := j.dump(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		if whole(s) {
			return s
		}
		if time.Since(began) > time.Minute {
			c.t.Fatalf("a server of version %s has not caught up with the relay; the log: %s", j.version, c.log.Name())
		}
	}
}

// hasNewest reports whether a store has what was sent last.
func (c *course) hasNewest(s store, sent int) bool {
	refused := c.unverifiedIdentities()
	for n := sent - 1; n > sent-20; n-- {
		for _, e := range c.relay.network.frames[n].events {
			if len(s[e.key]) == 0 && !refused[identityOf(e.key)] {
				return false
			}
		}
	}
	return true
}

// toldGap is a gap as it is reported: by time and, where that is known, by the
// numbers of its host, both bounds not included.
type toldGap struct {
	After, Until time.Time
	Host         string
	AfterSeq     int64 `json:"after_seq"`
	UntilSeq     int64 `json:"until_seq"`
}

func (r *rig) gapsTold() (told []toldGap) {
	r.t.Helper()
	gaps, err := ingest.ReadGaps(r.data + "/_state")
	if err != nil {
		r.t.Fatal(err)
	}
	text, err := json.Marshal(gaps)
	if err == nil {
		err = json.Unmarshal(text, &told)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return told
}

// compare fails the test for every event that is missing and in no gap, for each
// that stands twice or was never sent, and for each gap in which nothing is missing
// and its host has everything.
func (t *tally) compare(found map[string]int, gaps []toldGap) {
	t.c.t.Helper()
	t.found, t.told = found, gaps
	empty := slices.Clone(gaps)
	for key, sentAt := range t.span {
		if found[key] > 0 {
			continue
		}
		in := slices.IndexFunc(gaps, func(g toldGap) bool { return t.covers(g, key, sentAt) })
		if in < 0 && t.isExpected(key) {
			t.faults["lost"]++
			t.lost = append(t.lost, key)
		}
	}
	for key, sentAt := range t.span {
		empty = slices.DeleteFunc(empty, func(g toldGap) bool { return (found[key] == 0 || t.lacks(g.Host, key)) && t.covers(g, key, sentAt) })
	}
	for key, n := range found {
		if n > 1 {
			t.faults["twice"]++
			t.complain("%s stands in the files %d times; the servers have it at %s", key, n, t.places(key))
		}
		if !t.all[key] {
			t.faults["never sent"]++
			t.complain("%s was never sent", key)
		}
	}
	for _, g := range empty {
		t.faults["false gap"]++
		t.complain("a gap is told in which nothing is missing: %+v", g)
	}
	slices.SortFunc(t.lost, func(a, b string) int { return t.span[a].Compare(t.span[b]) })
	for _, key := range t.lost {
		t.complain("%s is lost: sent at %s; the servers have it at %s", key, t.span[key].UTC().Format("15:04:05.000000"), t.places(key))
	}
	if len(t.faults) > 0 {
		t.c.t.Errorf("seed %d: %v of %d events, gaps %+v; the log: %s", t.c.seed, t.faults, len(t.span), gaps, t.c.log.Name())
	}
}

// complain writes what is wrong into the log, and the first of each kind into
// the test's.
func (t *tally) complain(format string, args ...any) {
	t.c.note("WRONG: "+format, args...)
	if t.faults["complaints"]++; t.faults["complaints"] <= 4 {
		t.c.t.Errorf(format, args...)
	}
}

// lagging is how far a server that was killed may be behind its relay on a busy
// machine: it takes in again what it had not written.
const lagging = time.Minute

// covers reports whether an event lies within the bounds of a gap: by the number
// or the time that a server gave it, or by when it was sent. One that no server has
// kept may have been sent before the gap, when its server lagged; and where the
// bounds are by the clocks of two servers, the later may be the first.
func (t *tally) covers(g toldGap, key string, sentAt time.Time) bool {
	inside := func(at time.Time) bool { return !at.Before(g.After) && !at.After(g.Until) }
	if inside(sentAt) {
		return true
	}
	if t.places(key) == "" {
		first, last := g.After, g.Until
		if last.Before(first) {
			first, last = last, first
		}
		return sentAt.After(first.Add(-lagging)) && sentAt.Before(last)
	}
	for n, s := range t.stores {
		for _, h := range s[key] {
			if inside(time.UnixMicro(h.us)) || t.c.gates[n].url() == g.Host && g.AfterSeq < h.seq && h.seq < g.UntilSeq {
				return true
			}
		}
	}
	return false
}

// lacks reports whether a host has an event no more: what it could not send another
// host may have sent later, and the gap is one all the same.
func (t *tally) lacks(host, key string) bool {
	n := slices.IndexFunc(t.c.gates, func(g *gate) bool { return g.url() == host })
	return len(t.newest[n][key]) == 0
}

func (t *tally) places(key string) (text string) {
	for n, s := range t.stores {
		for _, h := range s[key] {
			text += fmt.Sprintf("[host %d: %s seq %d]", n, time.UnixMicro(h.us).UTC().Format("2006-01-02T15:04:05.000000"), h.seq)
		}
	}
	return text
}

func (t *tally) summary() map[string]any {
	hosts := make([]string, 0, len(t.c.plan.hosts))
	for _, v := range t.c.plan.hosts {
		hosts = append(hosts, string(v))
	}
	delete(t.faults, "complaints")
	rows := 0
	for key := range maps.Keys(t.found) {
		if _, in := t.span[key]; in {
			rows++
		}
	}
	return map[string]any{
		"seed": t.c.seed, "hosts": hosts, "wire": t.c.plan.wire, "also": len(t.c.plan.also) > 0, "events": len(t.span), "expected": t.expected, "rows": rows,
		"gaps": len(t.told), "mishaps": t.c.fired, "wrong": t.faults, "ok": !t.c.t.Failed(),
	}
}
