package drain_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"datawriter/worker/drain"
	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/window"
)

// backlogOf adds likes to n windows from win on, and returns the last of them.
func backlogOf(r *rig, n int) (last window.Window) {
	last = win
	for i := range n {
		if i > 0 {
			last = last.Next()
		}
		r.addAt(last.StartMS()+1, last.StartMS()+2)
	}
	return last
}

func TestAKindThatFailsStopsTheOthersAtMostOneWindowLater(t *testing.T) {
	r := newRig(t)
	r.addRaw(event.ID{MS: s}, "event", "nope") // only the likes have rejects, so only they fail
	last := backlogOf(r, 5)
	r.cfg.Faults = withFault(t, "rejects.synced=EIO")
	records, err := r.drainer().Run(context.Background(), last)
	if drain.Classify(err) != drain.Unavailable {
		t.Fatalf("got %v, class %q; the fault did not happen or has the wrong class", err, drain.Classify(err))
	}
	if len(records) > 2 || records[0].Status != runlog.Failed {
		t.Fatalf("%d records, the first %+v; want the failed window and at most the one after it", len(records), records[0])
	}
	for _, k := range records[len(records)-1].Kinds {
		if begun := len(k.Parts) == 1; begun == (k.Error != "") {
			t.Errorf("%s: parts %v and error %q: want either", k.Kind, k.Parts, k.Error)
		}
	}
	if len(records) == 2 && !strings.Contains(likes(records).Error, "not begun") {
		t.Errorf("likes of the window after: %q", likes(records).Error)
	}
	for path := range r.files() { // the failed window, and the one behind it in the plan
		if !strings.Contains(path, "/"+win.Stem()) && !strings.Contains(path, "/"+last.Stem()) {
			t.Errorf("%s is of a window that nobody should have begun", path)
		}
	}
	r.cfg.Faults = nil
	r.drain(last)
	r.want("likes of the first window", r.ids(likesPath(0)), fmt.Sprintf("%d-0", s+1), fmt.Sprintf("%d-0", s+2))
	if n := len(r.files()); n != 5*len(event.Kinds())+1 {
		t.Errorf("%d files, want five windows of one a kind and the rejects", n)
	}
	r.settled()
}

func TestAStoppedBacklogSaysWhichWindowItStoppedIn(t *testing.T) {
	r := newRig(t)
	last := backlogOf(r, 5)
	ctx, stop := context.WithCancelCause(context.Background())
	stop(drain.ErrStopped)
	records, err := r.drainer().Run(ctx, last)
	if drain.Classify(err) != drain.Stop {
		t.Fatalf("got %v, class %q", err, drain.Classify(err))
	}
	if slices.ContainsFunc(records, func(r runlog.Record) bool { return r.Status != runlog.Stopped }) {
		t.Errorf("records %+v, want none but stopped ones", records)
	}
	r.drain(last)
	r.settled()
}

func TestTheRecordsOfABacklogAreInTheOrderOfThePlan(t *testing.T) {
	r := newRig(t)
	last := backlogOf(r, 8)
	records := r.drain(last)
	r.want("windows", starts(records), "10:05", "10:40", "10:10", "10:15", "10:20", "10:25", "10:30", "10:35")
	for i, record := range records {
		if record.Status != runlog.Drained || record.Kinds[event.Likes].Rows != 2 {
			t.Errorf("record %d: %+v", i, record)
		}
	}
	r.settled()
}
