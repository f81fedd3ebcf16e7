package validate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"datawriter/worker/runlog"
	"datawriter/worker/window"
)

const scheduleAbout = "Brings up a local stack of its own (Prefect, a worker, Redis) on free ports and sends 350 events a second, the network's average. Six windows must each be " +
	"drained by the run of their slot, and by nothing else. Then runs overlap: one that is slow into the next slot, and a second run of a drained window by hand; " +
	"and runs are late: the worker is away over two slots."

// undisturbedRuns are those that must be exactly the schedule's.
const undisturbedRuns = 6

// schedule shows that each scheduled run drains exactly its window, also where
// runs overlap or come late.
func schedule(ctx context.Context, s *Session) error {
	length := s.windowLength(20 * time.Second)
	rec, err := s.recorded(ctx, play{
		windows: undisturbedRuns + 4, length: length, rate: s.trafficRate(350, 200), every: sampleEvery(length), faults: scheduleFaults,
	})
	if err != nil {
		return err
	}
	s.judgeSchedule(rec)
	return nil
}

// What happens after the undisturbed runs, and in load.
const (
	slowRun    = "a run is slow into the next slot"
	runAgain   = "a drained window is run again by hand"
	workerAway = "the worker is away over two slots"
	workerGone = "the worker is away over a slot"
)

func scheduleFaults(st *stage) []disturbance {
	slot := func(n int, share float64) time.Duration {
		return time.Duration((float64(n) + share) * float64(st.length))
	}
	return []disturbance{
		{slowRun, slot(undisturbedRuns, 0.5), st.slowRun},
		{runAgain, slot(undisturbedRuns+2, 0.4), st.runAgain},
		{workerAway, slot(undisturbedRuns+2, 0.6), st.workerAway(slot(2, -0.3))},
	}
}

// slowRun lets the run of the next slot last until after the one behind it.
func (st *stage) slowRun(ctx context.Context) (string, error) {
	if err := st.stack.pause(st.length * 5 / 4); err != nil {
		return "", err
	}
	err := sleep(ctx, st.length) // the next slot is in the middle of that
	if end := st.stack.pause(0); err == nil {
		err = end
	}
	if err == nil { // the run behind it came at the slot, and found it at work
		err = sleep(ctx, st.length*4/5)
	}
	return fmt.Sprintf("a pause of %s before the drain", st.length*5/4), err
}

// runAgain asks Prefect for a run of the first window, as a person does in the UI.
func (st *stage) runAgain(ctx context.Context) (string, error) {
	var deployment struct {
		ID         string         `json:"id"`
		Parameters map[string]any `json:"parameters"`
	}
	api := st.stack.prefect
	if err := api.get(ctx, "/deployments/name/drain-window/drain-window", &deployment); err != nil {
		return "", err
	}
	deployment.Parameters["window"] = st.first.Start.Format(time.RFC3339)
	wanted := map[string]any{"parameters": deployment.Parameters, "state": map[string]any{"type": "SCHEDULED"}}
	var run struct {
		ID    string `json:"id"`
		State string `json:"state_type"`
		Name  string `json:"state_name"`
	}
	// SQLite that is busy answers 503: a person presses the button again.
	for deadline := time.Now().Add(patience); ; {
		err := api.post(ctx, "/deployments/"+deployment.ID+"/create_flow_run", wanted, &run)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			return "", err
		}
		if err := sleep(ctx, time.Second); err != nil {
			return "", err
		}
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if err := api.get(ctx, "/flow_runs/"+run.ID, &run); err == nil && run.State != "SCHEDULED" && run.State != "PENDING" && run.State != "RUNNING" {
			break
		}
		if err := sleep(ctx, 500*time.Millisecond); err != nil {
			return "", err
		}
	}
	if run.State != "COMPLETED" {
		return "", fmt.Errorf("the run by hand is %s", run.Name)
	}
	return "run of " + st.first.String() + " by hand: " + run.Name, nil
}

// judgeSchedule says whether the recording shows what a schedule must show.
func (s *Session) judgeSchedule(rec *recording) {
	j := newJudge(s, rec)
	j.traffic()
	j.ownWindows()
	j.overlap()
	j.windowsDrained()
	j.integrity()
	j.disturbances()
	j.plots()
}

// ownWindows: each undisturbed slot had one run, and that run drained its window
// and no other.
func (j *judge) ownWindows() {
	exact, slowest := 0, 0.0
	var problems []string
	for _, w := range j.windows[:min(undisturbedRuns, len(j.windows))] {
		problem := j.ownWindow(w)
		if problem == "" {
			exact++
		} else {
			problems = append(problems, w.String()+": "+problem)
		}
		slowest = max(slowest, j.since(w))
	}
	j.criterion(Criterion{Name: "runs that drained exactly their window", Value: float64(exact), Unit: "runs", Bar: exactly(undisturbedRuns), First: "6 in 30 min planned, not run",
		Detail: strings.Join(problems, "; ")})
	j.criterion(Criterion{Name: "from slot to files, undisturbed, the longest", Value: slowest, Unit: "s", Bar: j.timed(below(j.rec.First.Length.Seconds()))})
}

// ownWindow returns what is wrong with the run of a window's slot, or nothing.
func (j *judge) ownWindow(w window.Window) string {
	var own []flowRun
	for _, f := range j.rec.Flows {
		if f.Auto && f.Expected.Equal(w.End()) {
			own = append(own, f)
		}
	}
	switch {
	case len(own) != 1:
		return fmt.Sprintf("%d runs at its slot", len(own))
	case own[0].Type != "COMPLETED" || own[0].Start == nil || own[0].End == nil:
		return "its run is " + own[0].State
	}
	drained := j.drainedBy(own[0])
	if len(drained) != 1 || drained[0] != w {
		return fmt.Sprintf("its run drained %v", drained)
	}
	return ""
}

// drainedBy lists the windows that were drained while a run was at work: runs do
// not work side by side.
func (j *judge) drainedBy(f flowRun) (windows []window.Window) {
	for _, r := range j.rec.Runs {
		if r.Status == runlog.Drained && r.Start.After(*f.Start) && r.Start.Before(*f.End) {
			windows = append(windows, r.Window)
		}
	}
	return windows
}

// overlap: runs waited for each other, and none was dropped.
func (j *judge) overlap() {
	runs := j.slotRuns()
	aside, late := 0, 0.0
	for n, f := range runs {
		if f.Start == nil || f.End == nil {
			continue
		}
		late = max(late, f.Start.Sub(f.Expected).Seconds())
		if slices.ContainsFunc(runs[n+1:], func(g flowRun) bool {
			return g.Start != nil && g.End != nil && g.Start.Before(*f.End) && f.Start.Before(*g.End)
		}) {
			aside++
		}
	}
	j.criterion(Criterion{Name: "scheduled runs, none dropped", Value: float64(len(runs)), Unit: "runs", Bar: atLeast(float64(len(j.windows)))})
	j.criterion(Criterion{Name: "runs at work beside another", Value: float64(aside), Unit: "runs", Bar: exactly(0)})
	j.criterion(Criterion{Name: "the latest start of a run", Value: late, Unit: "s", Bar: measured(), Detail: "after its slot"})
}
