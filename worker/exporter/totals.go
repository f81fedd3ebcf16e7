package exporter

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/window"
)

// totals is everything that the run log and the files have said so far. It
// stands in the checkpoint as JSON.
type totals struct {
	Windows     map[runlog.Status]int64    `json:"windows"`
	Failures    map[string]int64           `json:"failures"`
	Kinds       map[event.Kind]*kindTotals `json:"kinds"`
	Attempts    int64                      `json:"attempts"`
	Broken      int64                      `json:"broken"`
	Recovered   int64                      `json:"recovered"`
	Durations   *histogram                 `json:"durations"`
	LastSuccess time.Time                  `json:"last_success"`
	Last        *lastWindow                `json:"last,omitempty"`
}

// lastWindow is the newest drained window.
type lastWindow struct {
	Window  window.Window `json:"window"`
	Entries int64         `json:"entries"`
	Seconds float64       `json:"seconds"`
}

type kindTotals struct {
	Entries  int64                  `json:"entries"`
	Rows     int64                  `json:"rows"`
	Rejected map[event.Reason]int64 `json:"rejected"`
	Late     int64                  `json:"late"`
	Misdated int64                  `json:"misdated"`
	Settled  int64                  `json:"settled"`
	Vanished int64                  `json:"vanished"`
	Unkept   int64                  `json:"unkept_fields"`
	Lost     map[string]int64       `json:"lost"`
	Parts    int64                  `json:"parts"`
	Bytes    int64                  `json:"bytes"`
	Sizes    *histogram             `json:"sizes"`
}

func newTotals() *totals {
	t := &totals{
		Windows: make(map[runlog.Status]int64), Failures: make(map[string]int64),
		Kinds: make(map[event.Kind]*kindTotals), Durations: newHistogram(durationBuckets),
	}
	for _, kind := range event.Kinds() {
		t.Kinds[kind] = &kindTotals{
			Rejected: make(map[event.Reason]int64), Lost: make(map[string]int64), Sizes: newHistogram(sizeBuckets),
		}
	}
	return t
}

// addRecord counts what a line of the run log says of the window as a whole.
func (t *totals) addRecord(r runlog.Record) {
	t.Windows[r.Status]++
	t.Attempts += int64(r.Attempts)
	switch r.Status {
	case runlog.Failed:
		t.Failures[r.Class]++
	case runlog.Drained:
		t.Durations.observe(r.Seconds)
		t.addSuccess(r)
	case runlog.Nothing:
		t.addSuccess(r)
	}
}

func (t *totals) addSuccess(r runlog.Record) {
	if r.End.After(t.LastSuccess) {
		t.LastSuccess = r.End
	}
	var entries int64
	for _, k := range r.Kinds {
		if !k.Kind.IsRaw() {
			entries += k.Entries
		}
	}
	switch {
	case t.Last == nil || t.Last.Window.Before(r.Window):
		t.Last = &lastWindow{Window: r.Window, Entries: entries, Seconds: r.Seconds}
	case t.Last.Window == r.Window: // drained again: late entries, or the rest after a failure
		t.Last.Entries += entries
		if r.Status == runlog.Drained {
			t.Last.Seconds = r.Seconds
		}
	}
}

// addStream counts what a line of the run log says of Redis.
func (t *totals) addStream(k runlog.Kind) {
	of := t.Kinds[k.Kind]
	of.Settled += k.Settled
	of.Vanished += k.Vanished
	of.Unkept += k.Unkept
	for _, loss := range k.Losses {
		of.Lost[loss.Class] += max(loss.Count, 1) // 0 is a loss of unknown size
	}
}

// addFiles counts what a line of the run log says of the files it names.
func (t *totals) addFiles(k runlog.Kind) {
	of := t.Kinds[k.Kind]
	of.Entries += k.Entries
	of.Rows += k.Rows
	of.Late += k.Late
	of.Misdated += k.Misdated
	for reason, n := range k.RejectedBy {
		of.Rejected[reason] += n
	}
	of.Parts += int64(len(k.Parts))
	of.Bytes += k.Bytes
	for range k.Parts { // exact for one file, which is all that most lines name
		of.Sizes.observe(float64(k.Bytes) / float64(len(k.Parts)))
	}
}

// addFile counts what a published file says of itself.
func (t *totals) addFile(f file) {
	of := t.Kinds[f.kind]
	rejected := int64(0)
	for reason, n := range f.rejected {
		of.Rejected[reason] += n
		rejected += n
	}
	of.Entries += f.rows + rejected
	of.Rows += f.rows
	if f.part > 0 {
		of.Late += f.rows + rejected
	}
	of.Parts++
	of.Bytes += f.size
	of.Sizes.observe(float64(f.size))
}

// metrics returns all series; none that a first record would bring is absent.
func (t *totals) metrics() []prometheus.Metric {
	all := []prometheus.Metric{
		attemptsTotal.value(float64(t.Attempts)),
		brokenLinesTotal.value(float64(t.Broken)),
		recoveredParts.value(float64(t.Recovered)),
		t.Durations.metric(windowDurationSeconds),
	}
	for _, status := range statuses {
		all = append(all, windowsTotal.value(float64(t.Windows[runlog.Status(status)]), status))
	}
	for _, class := range classes {
		all = append(all, runFailuresTotal.value(float64(t.Failures[class]), class))
	}
	for _, kind := range event.Kinds() {
		all = append(all, t.Kinds[kind].metrics(kind.String())...)
	}
	return append(all, t.lastMetrics()...)
}

// lastMetrics describe the newest drained window; there are none before the first.
func (t *totals) lastMetrics() []prometheus.Metric {
	if t.Last == nil {
		return nil
	}
	length := t.Last.Window.Length.Seconds()
	return []prometheus.Metric{
		lastSuccess.value(seconds(t.LastSuccess)),
		lastWindowEnd.value(float64(t.Last.Window.End().Unix())),
		lastWindowRate.value(float64(t.Last.Entries) / length),
		lastWindowDuration.value(t.Last.Seconds),
		windowLength.value(length),
	}
}

func (k *kindTotals) metrics(kind string) []prometheus.Metric {
	all := []prometheus.Metric{
		entriesTotal.value(float64(k.Entries), kind),
		rowsTotal.value(float64(k.Rows), kind),
		lateTotal.value(float64(k.Late), kind),
		misdatedTotal.value(float64(k.Misdated), kind),
		settledTotal.value(float64(k.Settled), kind),
		vanishedTotal.value(float64(k.Vanished), kind),
		unkeptTotal.value(float64(k.Unkept), kind),
		partsTotal.value(float64(k.Parts), kind),
		partBytesTotal.value(float64(k.Bytes), kind),
		k.Sizes.metric(partSizeBytes, kind),
	}
	for _, reason := range event.Reasons() {
		all = append(all, rejectedTotal.value(float64(k.Rejected[reason]), kind, string(reason)))
	}
	for class, n := range k.lostByClass() {
		all = append(all, lostTotal.value(float64(n), kind, class))
	}
	return all
}

// lostByClass adds the classes that had no losses yet.
func (k *kindTotals) lostByClass() map[string]int64 {
	lost := make(map[string]int64)
	for _, class := range account.Classes() {
		lost[string(class)] = 0
	}
	for class, n := range k.Lost {
		lost[class] += n
	}
	return lost
}
