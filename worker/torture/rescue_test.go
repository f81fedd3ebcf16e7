package torture

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/fault"
)

// wreck is a stream of likes with an ID from the future in its middle. Its entries
// get other IDs on the way, so they are known by the hash of their content.
type wreck struct {
	*world
	sent map[uint64]bool
}

// Sizes: more than a page of a rescue on either side of the ID from the future.
const (
	honest = 1300
	ahead  = 2200
)

// newWreck fills the stream. What has honest IDs is drained before where that is asked for.
func newWreck(w *world) *wreck {
	w.scene() // starts a server
	k := &wreck{w, make(map[uint64]bool)}
	now := time.Now()
	for n := range honest {
		k.send(fmt.Sprintf("%d-%d", now.Add(-3*time.Second).UnixMilli()+int64(n), n%3))
	}
	k.send(fmt.Sprintf("%d-0", now.UnixMicro())) // microseconds for milliseconds
	for range ahead - 1 {
		k.send("*")
	}
	return k
}

// send adds one like.
func (k *wreck) send(id string) {
	fields := k.producer.fields(event.Likes)
	e := event.Entry{}
	args := []any{"XADD", k.stream(event.Likes), id}
	for _, f := range fields {
		e.Fields = append(e.Fields, []byte(f))
		args = append(args, f)
	}
	k.redis.do(args...)
	k.sent[e.Hash()] = true
}

// run runs a command of the program with a fault, and returns its exit code and
// what it said.
func (k *wreck) run(fault string, args ...string) (code int, said string) {
	cmd := exec.Command(k.binary, append(args, "--redis-url", k.url, "--data", k.data, "--state-dir", k.state, "--lease", lease.String())...)
	cmd.Env = k.environ(fault)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		fail("datawriter %v: %w", args, err)
	}
	k.note("datawriter %v with fault %q: exit %d", args, fault, cmd.ProcessState.ExitCode())
	return cmd.ProcessState.ExitCode(), out.String()
}

// standing counts how often each entry stands in Redis, in whichever key.
func (k *wreck) standing() map[uint64]int {
	found := make(map[uint64]int)
	for _, name := range []string{"", ":rescue", ":rescue:kept"} {
		for _, e := range k.rangeKey(k.stream(event.Likes) + name) {
			found[e.Hash()]++
		}
	}
	return found
}

// eachStandsOnce expects every entry in one key of Redis or in one file.
func (k *wreck) eachStandsOnce(when string) {
	found := k.standing()
	for _, f := range k.files(false) {
		for _, e := range f.entries {
			found[e.hash]++
		}
	}
	for hash := range k.sent {
		if found[hash] != 1 {
			fail("%s, an entry stands in %d places", when, found[hash])
		}
	}
	if len(found) != len(k.sent) {
		fail("%s, %d entries are there, but %d were sent", when, len(found), len(k.sent))
	}
}

// recover rescues, drains to the end and looks at everything.
func (k *wreck) recover() {
	if code, said := k.run("", "rescue", "likes"); code != exitDrained {
		fail("the rescue that was run again ended with exit %d: %s", code, said)
	}
	k.eachStandsOnce("after the rescue")
	k.send("*")
	k.await("everything being drained", func() bool {
		if code, said := k.run("", "run", "--window", "1s"); code != exitDrained {
			fail("the drain behind the rescue ended with exit %d: %s", code, said)
		}
		return len(k.standing()) == 0
	})
	k.eachStandsOnce("in the archive")
	try(k.reader.end())
}

// rescues lists a rescue that is killed at each of its steps, and what happens then.
func rescues(core bool) (trials []trial) {
	var points []string
	for _, p := range fault.RescuePoints() {
		points = append(points, string(p), string(p)+"#2")
	}
	points = append(points, string(fault.Readded)+"#3", string(fault.LeaseTaken), string(fault.Released))
	if core {
		points = []string{string(fault.Kept) + "#2", string(fault.Swapped), string(fault.Readded)}
	}
	for _, point := range points {
		if point == string(fault.Swapped)+"#2" {
			continue // there is one exchange
		}
		for _, then := range []string{"rerun", "a run comes between", "redis is killed too"} {
			trials = append(trials, trial{"a rescue that is killed at " + point + ", " + then, func(w *world) {
				k := newWreck(w)
				if code, said := k.run(point+"=kill", "rescue", "likes"); code != exitKilled {
					fail("%s: %w: exit %d: %s", point, errNotFired, code, said)
				}
				k.eachStandsOnce("after the kill")
				switch then {
				case "a run comes between":
					unfinished := len(k.rangeKey(k.stream(event.Likes)+":rescue"))+len(k.rangeKey(k.stream(event.Likes)+":rescue:kept")) > 0
					code, said := k.run("", "run", "--window", "1s")
					if unfinished && code != exitIntegrity || strings.Contains(said, "lost entries") {
						fail("a run behind the killed rescue ended with exit %d: %s", code, said)
					}
					k.eachStandsOnce("after the run")
				case "redis is killed too":
					k.redis.rollBack(k.redis.mark())
				}
				k.recover()
			}})
		}
	}
	return trials
}
