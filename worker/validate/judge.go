package validate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"datawriter/worker/runlog"
	"datawriter/worker/window"
)

// judge turns a recording into criteria and plots. It looks at nothing else.
type judge struct {
	*Session
	rec     *recording
	windows []window.Window
	commits map[window.Window]commit
}

// commit is what the run log tells of the drain that published a window.
type commit struct {
	at      time.Time
	seconds float64
	entries int64
	times   int // how many runs published a part 0 of it
}

func newJudge(s *Session, rec *recording) *judge {
	j := &judge{Session: s, rec: rec, windows: between(rec.First, rec.Last), commits: make(map[window.Window]commit)}
	for _, r := range rec.Runs {
		if r.Status != runlog.Drained {
			continue
		}
		c := j.commits[r.Window]
		c.at, c.seconds, c.times = r.End, c.seconds+r.Seconds, c.times+1
		for _, k := range r.Kinds {
			c.entries += k.Rows + k.Rejected
		}
		j.commits[r.Window] = c
	}
	return j
}

// since is how long after its end a window was in files; +Inf when it never was.
func (j *judge) since(w window.Window) float64 {
	c, ok := j.commits[w]
	if !ok {
		return math.Inf(1)
	}
	return c.at.Sub(w.End()).Seconds()
}

// traffic: what the plan asks for was sent, and taken.
func (j *judge) traffic() {
	t := j.rec.Traffic
	j.criterion(Criterion{Name: "events produced", Value: float64(t.Added), Unit: "events", Bar: atLeast(float64(j.rec.Count)), First: j.firstCount(),
		Detail: fmt.Sprintf("in %s", time.Duration(t.Seconds*float64(time.Second)).Round(time.Second))})
	j.criterion(Criterion{Name: "rate of the producer", Value: t.Rate, Unit: "events/s", Bar: j.timed(atLeast(0.99 * j.rec.Rate)), First: j.firstRate()})
	if b := j.rec.Burst; b != nil {
		j.criterion(Criterion{Name: "rate of the burst", Value: b.Rate + j.rec.Rate, Unit: "events/s", Bar: j.timed(atLeast(10_000)),
			Detail: fmt.Sprintf("%s events beside the traffic", Number(float64(b.Added), ""))})
	}
	j.criterion(Criterion{Name: "events that Redis refused", Value: float64(t.Refusals), Bar: exactly(0), First: "0"})
}

// firstCount and firstRate are what the notes have for the same size of trial.
func (j *judge) firstCount() string {
	if j.rec.Step == "load" {
		return "2,700,000 planned"
	}
	return ""
}

func (j *judge) firstRate() string { return "1,500 events/s (throughput test)" }

// memory: Redis has room while a window waits.
func (j *judge) memory() {
	most, base := 0.0, 0.0
	for _, s := range j.rec.Samples {
		if s.MaxMemory > 0 {
			most = max(most, 100*s.Memory/s.MaxMemory)
		}
		base = max(base, s.MaxMemory)
	}
	j.criterion(Criterion{Name: "memory of Redis at its highest", Value: nanIf(base == 0, most), Unit: "%", Bar: below(80), First: "78.5 % (2.7 M events waiting)",
		Detail: fmt.Sprintf("of %s MB", Number(math.Round(base/1e6), ""))})
}

func nanIf(bad bool, v float64) float64 {
	if bad {
		return math.NaN()
	}
	return v
}

// windowsDrained: every window once, by a run of its own slot, in time.
func (j *judge) windowsDrained() {
	drained, slowest, latest, total := 0, 0.0, 0.0, 0.0
	for _, w := range j.windows {
		c, ok := j.commits[w]
		if ok && c.times == 1 {
			drained++
		}
		slowest, total = max(slowest, c.seconds), total+c.seconds
		if !j.touched(w) {
			latest = max(latest, j.since(w))
		}
	}
	j.criterion(Criterion{Name: "windows drained, each by one run", Value: float64(drained), Unit: "windows", Bar: exactly(float64(len(j.windows))), First: "not run",
		Detail: fmt.Sprintf("%s to %s", j.rec.First, j.rec.Last)})
	j.criterion(Criterion{Name: "drain of a window, the slowest", Value: slowest, Unit: "s", Bar: below(240), First: "< 240 s",
		Detail: fmt.Sprintf("mean %.1f s", total/float64(len(j.windows)))})
	j.criterion(Criterion{Name: "from a window's end to its files, the longest", Value: latest, Unit: "s", Bar: j.timed(below(j.rec.First.Length.Seconds())),
		Detail: j.besideFaults()})
	good, others := 0, []string{}
	for _, f := range j.slotRuns() {
		if f.Type == "COMPLETED" {
			good++
		} else {
			others = append(others, f.Name+" "+f.State)
		}
	}
	j.criterion(Criterion{Name: "scheduled runs that completed", Value: float64(good), Unit: "runs", Bar: atLeast(float64(len(j.windows) - j.forgiven())),
		Detail: strings.Join(others, ", ")})
}

// forgiven is how many scheduled runs the recording's faults may cost.
func (j *judge) forgiven() (n int) {
	for _, i := range j.rec.Incidents {
		if i.What == workerKilled || i.What == serverGone {
			n++
		}
	}
	return n
}

// besideFaults says which windows were left out, since a fault fell into them.
func (j *judge) besideFaults() string {
	if len(j.rec.Incidents) == 0 {
		return ""
	}
	return "of the windows that no fault fell into"
}

// touched reports whether a fault fell into a window, or into the slot at its end.
func (j *judge) touched(w window.Window) bool {
	return slices.ContainsFunc(j.rec.Incidents, func(i incident) bool { return i.touches(w) })
}

// touches reports whether the fault lay between a window's start and the time at
// which its run is at work.
func (i incident) touches(w window.Window) bool {
	return w.End().Add(w.Length/10).After(i.Begin) && w.Start.Before(i.End)
}

// slotRuns are the scheduled runs of the recording's windows.
func (j *judge) slotRuns() (found []flowRun) {
	for _, f := range j.rec.Flows {
		if f.Auto && f.Expected.After(j.rec.First.Start) && !f.Expected.After(j.rec.Last.End()) {
			found = append(found, f)
		}
	}
	return found
}

// integrity: the journal, and verify.
func (j *judge) integrity() {
	uncertain := j.rec.Traffic.Uncertain
	if b := j.rec.Burst; b != nil {
		uncertain += b.Uncertain
	}
	j.rec.Found.judge(j.Session, uncertain)
	v := j.rec.Verified
	detail := fmt.Sprintf("%d windows, %s rows and rejects in %d files", v.Windows, Number(float64(v.Rows+v.Rejects), ""), v.Files)
	if len(v.Violations) > 0 {
		detail = v.Violations[0].String()
	}
	j.criterion(Criterion{Name: "promises that verify finds broken", Value: float64(len(v.Violations)), Bar: exactly(0), Detail: detail})
	j.criterion(Criterion{Name: "entries that still stand in Redis", Value: float64(j.rec.Left), Bar: exactly(0)})
	lost := int64(0)
	for _, l := range v.Losses {
		lost += max(1, l.Count)
	}
	j.criterion(Criterion{Name: "entries that Redis lost by itself, as runs tell", Value: float64(lost), Bar: exactly(0)})
}

// mostLate is within how many lengths of a window's end its files must be there,
// whatever went wrong: a run that crashed is made up for by the next one. At two
// windows of backlog an alert warns.
const mostLate = 2

// disturbances: each took place, and the windows around it were drained by
// themselves.
func (j *judge) disturbances() {
	for _, i := range j.rec.Incidents {
		worst, what := 0.0, ""
		for _, w := range j.windows {
			if i.touches(w) {
				worst, what = max(worst, j.since(w)), "of "+w.String()
			}
		}
		j.criterion(Criterion{Name: "fault: " + i.What + ": files of the windows around it, after their end", Value: worst, Unit: "s", Bar: j.timed(below(mostLate * j.rec.First.Length.Seconds())),
			Detail: strings.TrimSpace(fmt.Sprintf("%s %s; %s", i.Begin.Format(time.TimeOnly), cmp.Or(i.Error, i.Proof), what))})
		if i.Error != "" || i.Proof == "" {
			j.note(Check{Name: "fault: " + i.What + ": took place", Status: Failed, Detail: cmp.Or(i.Error, "nothing shows that it did")})
		}
	}
}

// redis: nothing was pushed out, and how long it takes to answer.
func (j *judge) redis() {
	evicted, clients, waiting, pending := 0.0, 0.0, int64(0), int64(0)
	for _, s := range j.rec.Samples {
		evicted, clients = max(evicted, s.Evicted), max(clients, s.Clients)
		waiting, pending = max(waiting, s.Waiting), max(pending, s.Pending)
	}
	j.criterion(Criterion{Name: "keys that Redis evicted", Value: evicted, Bar: exactly(0), First: "0"})
	p := j.rec.Pings
	j.criterion(Criterion{Name: "Redis answers, P50", Value: p.P50, Unit: "ms", Bar: j.timed(below(10)), First: "< 1 ms", Detail: fmt.Sprintf("%s pings", Number(float64(p.Count), ""))})
	j.criterion(Criterion{Name: "Redis answers, P95", Value: p.P95, Unit: "ms", Bar: j.timed(below(50)), First: "< 2 ms"})
	j.criterion(Criterion{Name: "Redis answers, P99", Value: p.P99, Unit: "ms", Bar: measured(), First: "< 5 ms", Detail: fmt.Sprintf("longest %.0f ms", p.Most)})
	j.criterion(Criterion{Name: "entries that waited at once", Value: float64(waiting), Bar: measured(), Detail: fmt.Sprintf("%d claimed and not settled", pending)})
	j.criterion(Criterion{Name: "connections to Redis, the most", Value: clients, Bar: below(100)})
}

// plots draws what the samples and the run log tell, with the faults as marks.
func (j *judge) plots() {
	rate := j.timeline("Throughput: what Redis took, what drains filed", "events/s")
	memory := j.timeline("Memory of Redis", "MB")
	backlog := j.timeline("Backlog: entries that wait in Redis", "events")
	ping := j.timeline("How long Redis takes to answer", "ms")
	processes := j.timeline("Memory of the processes", "MB")
	files := j.timeline("Open files of the processes", "files")
	disk := j.timeline("Append-only file and SQLite", "MB")
	for n, s := range j.rec.Samples {
		if n > 0 {
			before := j.rec.Samples[n-1]
			rate.addAt(s.At, "produced", float64(s.Produced-before.Produced)/s.At.Sub(before.At).Seconds())
		}
		if s.Redis {
			memory.addAt(s.At, "used", s.Memory/1e6)
			memory.Limit = 0.8 * s.MaxMemory / 1e6
			backlog.addAt(s.At, "waiting", float64(s.Waiting))
			backlog.addAt(s.At, "claimed, not settled", float64(s.Pending))
			ping.addAt(s.At, "slowest of 5 s", s.Ping)
			ping.addAt(s.At, "P50", s.PingP50)
			disk.addAt(s.At, "append-only file", s.AOF/1e6)
		}
		disk.addAt(s.At, "SQLite of Prefect", float64(s.SQLite)/1e6)
		for _, role := range trendRoles {
			if u := s.Usage[role]; u != nil {
				processes.addAt(s.At, role, float64(u.Memory)/1e6)
				files.addAt(s.At, role, float64(u.Files))
			}
		}
	}
	j.plotWindows()
}

// trendRoles are the processes that live for long.
var trendRoles = []string{"redis", "server", "worker", "exporter", "supervisor"}

func (j *judge) plotWindows() {
	seconds, ages := j.timeline("Drain of a window", "s"), j.timeline("From a window's end to its files", "s")
	for _, w := range j.windows {
		if c, ok := j.commits[w]; ok {
			seconds.addAt(w.End(), "seconds", c.seconds)
			ages.addAt(w.End(), "seconds", j.since(w))
		}
	}
}

// timeline begins a plot over the time of the recording, with the faults in it.
func (j *judge) timeline(title, unit string) *Plot {
	p := &Plot{Title: title, Unit: unit, start: j.rec.Start}
	for _, i := range j.rec.Incidents {
		p.Marks = append(p.Marks, Mark{At: i.Begin.Sub(j.rec.Start).Seconds(), What: i.mark()})
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.report.Plots = append(j.report.Plots, p)
	return p
}

// shortly are the words of faults for which a plot has room.
var shortly = map[string]string{
	workerKilled: "worker killed", redisRestarted: "Redis restarted", serverGone: "server away", diskFull: "disk full", burstOfEvents: "burst",
	workerGone: "worker away", workerAway: "worker away", slowRun: "slow run", runAgain: "run again",
}

// mark is what a plot calls the fault.
func (i incident) mark() string { return cmp.Or(shortly[i.What], i.What) }

// undisturbed are the samples that no fault touched, nor what it left to be done.
func (j *judge) undisturbed() (found []reading) {
	for _, s := range j.rec.Samples {
		touched := slices.ContainsFunc(j.rec.Incidents, func(i incident) bool {
			return s.At.After(i.Begin) && s.At.Before(i.End.Add(j.rec.First.Length))
		})
		if !touched && s.At.After(j.rec.Start) && s.At.Before(j.rec.Last.End()) {
			found = append(found, s)
		}
	}
	return found
}
