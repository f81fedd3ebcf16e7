package ingest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// State is what an ingest does at a moment.
type State string

// The states, in the order in which a start passes them.
const (
	Connecting State = "connecting"
	Live       State = "live"        // events arrive as they happen
	CatchingUp State = "catching_up" // behind by more than catchingUp
	Slowed     State = "slowed"      // Redis is filling up
	Paused     State = "paused"      // Redis is nearly full
	NoRedis    State = "no_redis"
	StandingBy State = "standing_by" // another process feeds the streams
)

var states = []State{Connecting, Live, CatchingUp, Slowed, Paused, NoRedis, StandingBy}

// catchingUp is how old events are that count as being behind.
const catchingUp = 10 * time.Second

// metrics of one ingest, on a registry of their own.
type metrics struct {
	received   *prometheus.CounterVec
	class      map[string]prometheus.Counter // of received: looked up for every message
	added      *prometheus.CounterVec
	duplicates *prometheus.CounterVec
	bytes      prometheus.Counter
	connects   *prometheus.CounterVec
	ends       *prometheus.CounterVec
	state      *prometheus.GaugeVec
	lastEvent  prometheus.Gauge
	position   prometheus.Gauge
	lag        prometheus.Gauge
	seen       prometheus.Gauge
	forgotten  prometheus.Counter
	memory     prometheus.Gauge
	gaps       prometheus.Counter
	gapSeconds prometheus.Counter
	lastGap    prometheus.Gauge
	wentBack   *prometheus.CounterVec
	feed       prometheus.Histogram

	names []string // of all of them
}

func newMetrics(to prometheus.Registerer) *metrics {
	var names []string
	full := func(name string) string {
		names = append(names, "datawriter_ingest_"+name)
		return names[len(names)-1]
	}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Name: full(name), Help: help}
	}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Name: full(name), Help: help}
	}
	m := &metrics{
		received:   prometheus.NewCounterVec(counter("messages_total", "Messages received, by what they are."), []string{"class"}),
		added:      prometheus.NewCounterVec(counter("events_total", "Events added to the streams."), []string{"stream"}),
		duplicates: prometheus.NewCounterVec(counter("duplicates_total", "Events that came again and were dropped."), []string{"stream"}),
		bytes:      prometheus.NewCounter(counter("received_bytes_total", "Bytes of the messages received.")),
		connects:   prometheus.NewCounterVec(counter("connections_total", "Connections made, by host."), []string{"host"}),
		ends:       prometheus.NewCounterVec(counter("disconnections_total", "Connections and attempts that ended, by reason."), []string{"reason"}),
		state:      prometheus.NewGaugeVec(gauge("state", "1 for what the ingest does now."), []string{"state"}),
		lastEvent:  prometheus.NewGauge(gauge("last_event_timestamp_seconds", "When the last event came.")),
		position:   prometheus.NewGauge(gauge("position_timestamp_seconds", "The time in the source up to which everything is stored.")),
		lag:        prometheus.NewGauge(gauge("lag_seconds", "How old the newest event was when it came.")),
		seen:       prometheus.NewGauge(gauge("seen_identities", "Events remembered so that they are not added twice.")),
		forgotten:  prometheus.NewCounter(counter("forgotten_early_total", "Events forgotten because too many would have to be remembered: come again, they are added again.")),
		memory:     prometheus.NewGauge(gauge("redis_memory_ratio", "Share of its memory that Redis uses, as the ingest sees it.")),
		gaps:       prometheus.NewCounter(counter("gaps_total", "Gaps in the source, since the state folder began.")),
		gapSeconds: prometheus.NewCounter(counter("gap_seconds_total", "Length of these gaps.")),
		lastGap:    prometheus.NewGauge(gauge("last_gap_timestamp_seconds", "When the last gap was noticed; 0 is never.")),
		wentBack:   prometheus.NewCounterVec(counter("numbers_back_total", "How often a host gave numbers again that it had given before: it was killed."), []string{"host"}),
		feed: prometheus.NewHistogram(prometheus.HistogramOpts{Name: full("feed_seconds"), Help: "How long Redis took for a batch.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5}}),
	}
	to.MustRegister(m.received, m.added, m.duplicates, m.bytes, m.connects, m.ends, m.state, m.lastEvent, m.position,
		m.lag, m.seen, m.forgotten, m.memory, m.gaps, m.gapSeconds, m.lastGap, m.wentBack, m.feed)
	m.names = names
	return m
}

// Names returns the names of all metrics of an ingest; that of the histogram is
// without what its series add to it.
func Names() []string { return newMetrics(prometheus.NewRegistry()).names }

// prepare makes the series of closed label sets exist before the first event.
func (m *metrics) prepare(lanes []*lane, hosts []string, gaps []Gap) {
	for _, l := range lanes {
		m.added.WithLabelValues(l.name)
		l.duplicates = m.duplicates.WithLabelValues(l.name)
	}
	for _, host := range hosts {
		m.connects.WithLabelValues(host)
		m.wentBack.WithLabelValues(host)
	}
	m.class = make(map[string]prometheus.Counter)
	for _, class := range classes {
		m.class[class] = m.received.WithLabelValues(class)
	}
	for _, r := range reasons {
		m.ends.WithLabelValues(string(r))
	}
	for _, g := range gaps {
		m.gap(g)
	}
	m.lastEvent.SetToCurrentTime() // so that silence is counted from the start
}

func (m *metrics) gap(g Gap) {
	m.gaps.Inc()
	m.gapSeconds.Add(g.Seconds())
	m.lastGap.Set(float64(g.Noticed.UnixMilli()) / 1000)
}

func (m *metrics) enter(now State) {
	for _, s := range states {
		value := 0.0
		if s == now {
			value = 1
		}
		m.state.WithLabelValues(string(s)).Set(value)
	}
}
