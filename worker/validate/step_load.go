package validate

import (
	"context"
	"time"
)

const loadAbout = "Brings up a local stack of its own (Prefect, a worker, Redis) on free ports and sends 1,500 events a second for 30 minutes, six windows of the " +
	"five-minute schedule, with the worker away over one of them. Every entry that Redis acknowledged is noted, and looked for in the files at the end."

// load sends the traffic of a busy evening through the whole stack.
func load(ctx context.Context, s *Session) error {
	length := s.windowLength(20 * time.Second)
	t := play{
		windows: s.windowCount(6, 4), length: length, rate: s.trafficRate(1500, 500), every: sampleEvery(length),
		faults: func(st *stage) []disturbance {
			away := length / 8
			return []disturbance{{workerGone, time.Duration(st.windows/2)*length - away/4, st.workerAway(away)}}
		},
	}
	rec, err := s.recorded(ctx, t)
	if err != nil {
		return err
	}
	s.judgeLoad(rec)
	return nil
}

// judgeLoad says whether the recording shows what a load must show.
func (s *Session) judgeLoad(rec *recording) {
	j := newJudge(s, rec)
	j.traffic()
	j.memory()
	j.windowsDrained()
	j.integrity()
	j.disturbances()
	j.redis()
	j.plots()
}

// recorded performs a trial, or reads the recording of one where that was asked for.
func (s *Session) recorded(ctx context.Context, t play) (*recording, error) {
	if s.cfg.From != "" {
		return readRecording(s.cfg.From, s.report.Step)
	}
	return s.perform(ctx, t)
}

// windowLength is the product's five minutes, unless something else was asked for.
func (s *Session) windowLength(short time.Duration) time.Duration {
	if s.cfg.Window > 0 {
		return s.cfg.Window
	}
	return quick(s, 5*time.Minute, short)
}

func (s *Session) windowCount(full, short int) int {
	if s.cfg.Windows > 0 {
		return s.cfg.Windows
	}
	return quick(s, full, short)
}

func (s *Session) trafficRate(full, short float64) float64 {
	if s.cfg.Rate > 0 {
		return s.cfg.Rate
	}
	return quick(s, full, short)
}

// sampleEvery gives a few hundred samples an hour, and enough of a short trial.
func sampleEvery(length time.Duration) time.Duration {
	return min(5*time.Second, max(time.Second, length/30))
}
