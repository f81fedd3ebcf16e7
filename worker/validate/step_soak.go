package validate

import (
	"context"
	"time"
)

const soakAbout = "Brings up a local stack of its own (Prefect, a worker, Redis) on free ports and sends 1,500 events a second for an hour, twelve windows of the five-minute " +
	"schedule. On the way it kills the worker, restarts Redis, takes the Prefect server away over a slot, fills the disk of the files (a small one of their own, " +
	"which needs root) and sends 10,000 events a second for a minute. Every entry that Redis acknowledged is noted, and looked for in the files at the end."

// burstRate is what the whole network has sent in its busiest moments, and some.
const burstRate = 10_000

// soak shows that the stack stands an hour and what goes wrong in it.
func soak(ctx context.Context, s *Session) error {
	length := s.windowLength(30 * time.Second)
	t := play{windows: s.windowCount(12, 6), length: length, rate: s.trafficRate(1500, 500), every: sampleEvery(length), faults: soakFaults}
	t.disk = quick(s, int64(4)<<30, 256<<20)
	rec, err := s.recorded(ctx, t)
	if err != nil {
		return err
	}
	s.judgeSoak(rec)
	return nil
}

// Faults of the soak. Two of them may cost a scheduled run, whose window the next one then drains: a run
// that the worker had just taken crashes, and a server makes no runs for slots at
// which it is away.
const (
	workerKilled = "the worker is killed while a run is at work"
	serverGone   = "the Prefect server is away over a slot"

	redisRestarted = "Redis is restarted"
	diskFull       = "the disk of the files is full over a slot"
	burstOfEvents  = "a burst of 10,000 events a second"
)

// soakFaults spreads the faults over the windows, with calm ones between them.
func soakFaults(st *stage) []disturbance {
	length := st.length
	slot := func(twelfth int) time.Duration { return time.Duration(max(1, twelfth*st.windows/12)) * length }
	all := []disturbance{
		{workerKilled, slot(2), st.killWorker},
		{redisRestarted, slot(4) + length/2, st.restartRedis},
		{serverGone, slot(6) - 5*time.Second, st.serverAway(min(15*time.Second, length/2))},
	}
	if st.ownDisk {
		all = append(all, disturbance{diskFull, slot(8) - length/15, st.fullDisk(length * 4 / 15)})
	}
	return append(all, disturbance{burstOfEvents, slot(10) + length/4, st.burst(length / 5)})
}

// judgeSoak says whether the recording shows what a soak must show.
func (s *Session) judgeSoak(rec *recording) {
	s.judgeLoad(rec)
	j := newJudge(s, rec)
	j.trends()
	j.baselines()
}
