package exporter

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/prometheus/client_golang/prometheus"
)

// namespace begins the name of every metric.
const namespace = "datawriter_"

// family is one metric: all series of one name. Names are in base units, label
// sets are closed, and no label ever names a person of the network.
type family struct {
	Name   string
	Type   string // counter, gauge or histogram
	Labels []string
	Help   string
}

// The metrics of the run log, and of the published files where a crash cost the
// run log a line. Counters begin with the archive, not with this process: a
// restart continues them.
var (
	windowsTotal = family{"windows_total", "counter", []string{"status"},
		"Windows that runs tried, by outcome: drained, nothing (there was nothing left to do), held (by another run), failed, stopped."}
	entriesTotal = family{"entries_total", "counter", []string{"kind"},
		"Stream entries that became rows or rejects."}
	rowsTotal = family{"rows_total", "counter", []string{"kind"},
		"Rows in published parts."}
	rejectedTotal = family{"rejected_total", "counter", []string{"kind", "reason"},
		"Entries that could not be rows, in published files of rejects."}
	lateTotal = family{"late_total", "counter", []string{"kind"},
		"Rows and rejects of entries that came after their window was drained, in parts beyond 00."}
	misdatedTotal = family{"misdated_total", "counter", []string{"kind"},
		"Rows and rejects of entries whose ID is more than 31 days older than the window that was due: a producer's clock was wrong."}
	settledTotal = family{"settled_total", "counter", []string{"kind"},
		"Entries acknowledged or deleted in Redis, once they were in a part."}
	unkeptTotal   = family{"unkept_fields_total", "counter", []string{"kind"}, "Fields of entries beside event and seq, which have no column and are in no file."}
	vanishedTotal = family{"vanished_total", "counter", []string{"kind"},
		"Entries in parts that were gone from Redis before they were settled."}
	lostTotal = family{"lost_total", "counter", []string{"kind", "class"},
		"Entries that Redis took and lost before they were in a part, by cause. A loss of unknown size counts as one."}
	partsTotal = family{"parts_total", "counter", []string{"kind"},
		"Published files, those of rejects included."}
	partBytesTotal = family{"part_bytes_total", "counter", []string{"kind"},
		"Bytes of published files, those of rejects included."}
	partSizeBytes = family{"part_size_bytes", "histogram", []string{"kind"},
		"Size of a published file."}
	windowDurationSeconds = family{"window_duration_seconds", "histogram", nil,
		"Time that draining a window took, of windows in which entries were moved."}
	attemptsTotal = family{"attempts_total", "counter", nil,
		"Attempts at windows, the first and the retries within a run."}
	runFailuresTotal = family{"run_failures_total", "counter", []string{"class"},
		"Windows that failed, by class: configuration, integrity, unavailable."}
	lastSuccess = family{"last_success_timestamp_seconds", "gauge", nil,
		"When a run last ended a window as drained or nothing."}
	lastWindowEnd = family{"last_window_end_timestamp_seconds", "gauge", nil,
		"End of the newest window that is drained."}
	lastWindowRate = family{"last_window_events_per_second", "gauge", nil,
		"Entries of the newest drained window per second of its length: how fast events came."}
	lastWindowDuration = family{"last_window_duration_seconds", "gauge", nil,
		"Time that draining the newest drained window took."}
	windowLength = family{"window_length_seconds", "gauge", nil,
		"Length of the archive's windows."}
	brokenLinesTotal = family{"runlog_broken_lines_total", "counter", nil,
		"Lines of the run log that a crash left unreadable. Their files are counted all the same."}
	recoveredParts = family{"recovered_parts_total", "counter", nil,
		"Published files that no line of the run log names, counted from the files themselves."}
)

// The metrics of what was drained and is not there.
var (
	missingParts = family{"missing_parts", "gauge", []string{"kind"},
		"Windows that were drained, whose part is gone, and whose hole nobody has accepted, as the last run found them."}
	acceptedHoles = family{"accepted_holes", "gauge", []string{"kind"},
		"Windows whose part is gone for good, as a person has accepted; those whose part came back since count too."}
)

// The metrics of Redis, beside those of redis_exporter. Ages are by Redis's clock.
var (
	streamEntries = family{"stream_entries", "gauge", []string{"kind"},
		"Entries in the stream."}
	streamAdded = family{"stream_entries_added_total", "counter", []string{"kind"},
		"Entries ever added to the stream. It goes back when Redis loses the stream."}
	streamOldestAge = family{"stream_oldest_age_seconds", "gauge", []string{"kind"},
		"Age of the oldest entry that is not drained; 0 if there is none, negative if its ID is ahead of the clock."}
	otherGroups = family{"other_groups", "gauge", []string{"kind"},
		"Consumer groups of the stream beside the archive's own. What they need stays in the stream."}
	otherGroupAge = family{"other_group_age_seconds", "gauge", []string{"kind"},
		"Age of the oldest entry that the slowest other group has not acked; 0 if there is none."}
	streamAhead = family{"stream_ahead_seconds", "gauge", []string{"kind"},
		"How far the stream's last ID is ahead of the clock of Redis; negative is usual. What is added waits behind that ID. Absent before the first."}
	undrainedWindows = family{"undrained_windows", "gauge", nil,
		"Closed windows of which a stream holds entries that are not drained. 1 is usual for the seconds that a run takes."}
	redisMemoryRatio = family{"redis_memory_ratio", "gauge", nil,
		"Used share of maxmemory, 0 to 1; absent without a limit."}
	redisSecondsUntilFull = family{"redis_seconds_until_full", "gauge", nil,
		"Time until maxmemory is reached, if memory goes on growing as in the last two minutes; +Inf when it does not grow, absent without a limit."}
	redisPing = family{"redis_ping_seconds", "gauge", nil,
		"Slowest of three PINGs from here, network included."}
	redisRefusedTotal = family{"redis_refused_commands_total", "counter", []string{"code"},
		"Commands that Redis refused, by code: oom (memory is full under noeviction), misconf (it cannot write its files)."}
)

// The metrics of the Prefect API.
var (
	prefectFlowRuns = family{"prefect_flow_runs", "gauge", []string{"deployment", "state"},
		"Flow runs whose time fell into the last 24 hours or comes within the next, by type of state."}
	prefectLateRuns = family{"prefect_late_runs", "gauge", []string{"deployment"},
		"Flow runs that should have started and have not: the state Late."}
	prefectWorkersOnline = family{"prefect_workers_online", "gauge", []string{"pool"},
		"Workers of the pool that the server counts as online."}
	prefectHeartbeatAge = family{"prefect_heartbeat_age_seconds", "gauge", []string{"pool"},
		"Time since the pool's liveliest worker was last heard of; absent while it never had one."}
	prefectNextRun = family{"prefect_next_run_timestamp_seconds", "gauge", []string{"deployment"},
		"When the next scheduled run is due; absent if none is."}
	prefectPaused = family{"prefect_deployment_paused", "gauge", []string{"deployment"},
		"1 while the deployment's schedules are paused."}
)

// The metrics of the sources themselves: runlog, archive, holes, redis, prefect. A
// source that is not configured has none.
var (
	sourceUp = family{"source_up", "gauge", []string{"source"},
		"1 if the source answered in time; 0 if not, and then its metrics are absent instead of old."}
	sourceDuration = family{"source_scrape_duration_seconds", "gauge", []string{"source"},
		"Time that the source last took to answer, or to fail."}
	sourceLastSuccess = family{"source_last_success_timestamp_seconds", "gauge", []string{"source"},
		"When the source last answered; absent while it never did."}
	buildInfo = family{"build_info", "gauge", []string{"version", "goversion"},
		"1, with the version of this program."}
)

// families lists every metric, in the order of documents.
func families() []family {
	return []family{
		windowsTotal, entriesTotal, rowsTotal, rejectedTotal, lateTotal, misdatedTotal, settledTotal, unkeptTotal, vanishedTotal, lostTotal,
		partsTotal, partBytesTotal, partSizeBytes, windowDurationSeconds, attemptsTotal, runFailuresTotal,
		lastSuccess, lastWindowEnd, lastWindowRate, lastWindowDuration, windowLength, brokenLinesTotal, recoveredParts,
		missingParts, acceptedHoles,
		streamEntries, streamAdded, streamOldestAge, streamAhead, otherGroups, otherGroupAge, undrainedWindows,
		redisMemoryRatio, redisSecondsUntilFull, redisPing, redisRefusedTotal,
		prefectFlowRuns, prefectLateRuns, prefectWorkersOnline, prefectHeartbeatAge, prefectNextRun, prefectPaused,
		sourceUp, sourceDuration, sourceLastSuccess, buildInfo,
	}
}

// Label values that stand in series from the start, with 0: a counter that is
// born with its first count shows no increase.
var (
	statuses     = []string{"drained", "nothing", "held", "failed", "stopped"}
	classes      = []string{"configuration", "integrity", "unavailable"}
	flowStates   = []string{"scheduled", "pending", "running", "paused", "cancelling", "cancelled", "completed", "failed", "crashed"}
	refusalCodes = []string{"oom", "misconf"}
)

// Upper bounds of the histograms' buckets. Those of durations hold the 240 s at
// which a window of five minutes is too slow; those of sizes reach from an empty
// part to a merged day.
var (
	durationBuckets = []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 240, 300, 600}
	sizeBuckets     = []float64{4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20}
)

func (f family) desc() *prometheus.Desc {
	return prometheus.NewDesc(namespace+f.Name, f.Help, f.Labels, nil)
}

// value returns one series of a counter or gauge at this moment.
func (f family) value(v float64, labels ...string) prometheus.Metric {
	t := prometheus.GaugeValue
	if f.Type == "counter" {
		t = prometheus.CounterValue
	}
	return prometheus.MustNewConstMetric(f.desc(), t, v, labels...)
}

// String returns the family as a line of a table: name, type, labels, help.
func (f family) String() string {
	return strings.Join([]string{namespace + f.Name, f.Type, strings.Join(f.Labels, ","), f.Help}, "\t")
}

// WriteList writes the table of metrics for people: name, type, labels, help.
func WriteList(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range families() {
		fmt.Fprintln(table, f)
	}
	return table.Flush()
}

// Names lists the names of all metrics.
func Names() []string {
	var names []string
	for _, f := range families() {
		names = append(names, namespace+f.Name)
	}
	return names
}
