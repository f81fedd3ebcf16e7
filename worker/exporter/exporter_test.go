package exporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/zap/zaptest"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/stream"
)

var absent = math.NaN()

// TestADeadSourceTakesOnlyItsOwnMetricsAway lets Redis accept connections and
// say nothing, and Prefect answer nonsense.
func TestADeadSourceTakesOnlyItsOwnMetricsAway(t *testing.T) {
	r := newRig(t)
	r.simulate(first, 100)
	r.append(r.drain(first, "", 1), first.End())
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	dead, err := stream.Open(stream.Config{URL: "redis://" + silent.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close()
	nonsense := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>welcome</html>"))
	}))
	defer nonsense.Close()
	e := New(Config{Runs: r.log, Archive: r.archive(), Redis: dead, PrefectURL: nonsense.URL + "/api"}, zaptest.NewLogger(t))
	for _, s := range e.sources {
		s.every, s.limit = 50*time.Millisecond, 200*time.Millisecond
	}
	ctx, stop := context.WithCancel(t.Context())
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- e.Run(ctx, listener) }()
	for deadline := time.Now().Add(20 * time.Second); e.waiting() != ""; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after 20 seconds: %s", e.waiting())
		}
	}
	scrape(t, e.Handler()).want(t, "a scrape", series{
		`source_up{source="runlog"}`: 1, `source_up{source="archive"}`: 1,
		`source_up{source="redis"}`: 0, `source_up{source="prefect"}`: 0,
		`stream_entries{kind="likes"}`: absent, "redis_ping_seconds": absent,
		`windows_total{status="drained"}`: 1, `source_last_success_timestamp_seconds{source="redis"}`: absent,
	})
	response, err := http.Get("http://" + listener.Addr().String() + "/readyz")
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("/readyz: %v, %v", response, err)
	}
	_ = response.Body.Close()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestASourceThatHangsDoesNotGoOnTellingOldNumbers(t *testing.T) {
	hanging, ended := make(chan struct{}), make(chan struct{})
	looks := 0
	s := &source{name: "redis", every: 10 * time.Millisecond, look: func(context.Context) ([]prometheus.Metric, error) {
		if looks++; looks > 1 {
			<-hanging // whatever its context says
		}
		return []prometheus.Metric{redisMemoryRatio.value(0.5)}, nil
	}}
	ctx, stop := context.WithCancel(t.Context())
	go func() { s.run(ctx, zaptest.NewLogger(t)); close(ended) }()
	e := &Exporter{sources: []*source{s}, registry: prometheus.NewRegistry()}
	e.registry.MustRegister(e)
	seen := false
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got := scrape(t, e.Handler())
		_, there := got["redis_memory_ratio"]
		seen = seen || there
		if up := got[`source_up{source="redis"}`]; there != (up == 1) {
			t.Fatalf("up is %v while the number is there: %t", up, there)
		}
		if seen && !there {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("20 seconds later the old number is still told")
		}
	}
	stop()
	close(hanging)
	<-ended
}

func TestAFailureTakesTheMetricsAwayAtOnceAndASuccessBringsThemBack(t *testing.T) {
	var fails error
	s := &source{name: "prefect", every: time.Hour, look: func(context.Context) ([]prometheus.Metric, error) {
		return []prometheus.Metric{redisMemoryRatio.value(0.5)}, fails
	}}
	e := &Exporter{sources: []*source{s}, registry: prometheus.NewRegistry()}
	e.registry.MustRegister(e)
	for _, step := range []struct {
		err  error
		want float64
	}{{nil, 0.5}, {errors.New("away"), absent}, {nil, 0.5}} {
		fails = step.err
		s.once(t.Context(), zaptest.NewLogger(t))
		scrape(t, e.Handler()).want(t, "a look", series{"redis_memory_ratio": step.want})
	}
}

// TestEveryMetricIsToldAndWellNamed holds the list against a scrape of an
// exporter whose sources all answer.
func TestEveryMetricIsToldAndWellNamed(t *testing.T) {
	r := newRig(t, "--maxmemory", "100mb")
	r.simulate(first, 100)
	r.append(r.drain(first, "", 1), first.End())
	r.simulate(nth(1), 100)
	server := prefectServer(t)
	e := New(Config{
		Runs: r.log, Archive: r.archive(), Book: account.OpenBook(t.TempDir()), Redis: r.client, WindowLength: first.Length,
		PrefectURL: server.URL + "/api", Version: "test",
	}, zaptest.NewLogger(t))
	b := &buffer{client: r.client, length: e.windowLength}
	b.memory.add(time.Now().Add(-time.Minute), 1)
	for _, s := range e.sources {
		if s.name == "redis" {
			s.look = b.look
		}
		s.once(t.Context(), zaptest.NewLogger(t))
	}
	recorder := httptest.NewRecorder()
	e.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, f := range families() {
		for _, line := range []string{"# HELP " + namespace + f.Name + " " + f.Help + "\n", "# TYPE " + namespace + f.Name + " " + f.Type + "\n"} {
			if !strings.Contains(recorder.Body.String(), line) {
				t.Errorf("the scrape lacks %q", line)
			}
		}
	}
	problems, err := promlint.New(bytes.NewReader(recorder.Body.Bytes())).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("Prometheus's own rules: %v, %v", problems, err)
	}
}

func TestPasswordsAreAskedForWhenAFileSaysSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.yml")
	text := "basic_auth_users:\n  prometheus: $2y$05$C1BJCI1qsBI8AFTJ5cr8sefXpFyoNiLxi2CzWoFTOM0/S7YpCAJgy\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CheckWebConfig(file); err != nil {
		t.Fatal(err)
	}
	if err := CheckWebConfig(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there is no error")
	}
	ctx, stop := context.WithCancel(t.Context())
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- New(Config{WebConfig: file}, zaptest.NewLogger(t)).Run(ctx, listener) }()
	response, err := http.Get("http://" + listener.Addr().String() + "/metrics")
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a password: %v, %v", response, err)
	}
	_ = response.Body.Close()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRedisMetrics(t *testing.T) {
	r := newRig(t, "--maxmemory", "64mb", "--maxmemory-policy", "noeviction")
	now, err := r.client.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	closed := now.Truncate(first.Length)
	r.addAt(event.Likes, closed.Add(-17*time.Minute)) // two windows in likes
	r.addAt(event.Likes, closed.Add(-time.Second))
	r.addAt(event.Posts, closed.Add(-2*time.Second)) // one of them in posts too
	r.addAt(event.Blocks, now.Add(time.Millisecond)) // and the open one, which does not count
	b := &buffer{client: r.client, length: func() time.Duration { return first.Length }}
	got := look(t, b.look)
	got.want(t, "entries in four streams", series{
		`stream_entries{kind="likes"}`: 2, `stream_entries{kind="posts"}`: 1, `stream_entries{kind="follows"}`: 0,
		`stream_entries_added_total{kind="likes"}`: 2, "undrained_windows": 2,
		`stream_oldest_age_seconds{kind="follows"}`: 0, `redis_refused_commands_total{code="oom"}`: 0,
		"redis_seconds_until_full": absent,
	})
	age := got[`stream_oldest_age_seconds{kind="likes"}`]
	if least := now.Sub(closed.Add(-17 * time.Minute)).Seconds(); age < math.Floor(least) || age > least+60 {
		t.Errorf("the oldest like is %v s old, want a little more than %v", age, least)
	}
	if ratio := got["redis_memory_ratio"]; ratio <= 0 || ratio >= 1 {
		t.Errorf("the share of memory is %v", ratio)
	}
	if err := r.client.Redis().ConfigSet(t.Context(), "maxmemory", "1mb").Err(); err != nil {
		t.Fatal(err)
	}
	if r.client.Redis().Set(t.Context(), "x", "y", 0).Err() == nil {
		t.Fatal("Redis took a write although it is full")
	}
	look(t, b.look).want(t, "a full Redis", series{`redis_refused_commands_total{code="oom"}`: 1, "redis_seconds_until_full": 0})
	if err := r.client.Redis().ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	look(t, b.look).want(t, "no limit", series{"redis_memory_ratio": absent, "redis_seconds_until_full": absent})
}

func TestAnIDFromTheFutureIsSeenAndNoAgeIsClampedToZero(t *testing.T) {
	for name, c := range map[string]struct {
		id    string
		ahead float64 // at least, by so much
	}{
		"an hour":                       {fmt.Sprintf("%d-0", time.Now().Add(time.Hour).UnixMilli()), 3500},
		"microseconds for milliseconds": {fmt.Sprintf("%d-0", time.Now().UnixMicro()), 1.7e12},
		"the last ID there is":          {"18446744073709551615-18446744073709551615", 1.8e16},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			b := &buffer{client: r.client, length: func() time.Duration { return first.Length }}
			r.addAt(event.Posts, time.Now().Add(-time.Minute))
			if err := r.client.Redis().Do(t.Context(), "XADD", r.client.Name(event.Likes), c.id, "event", "{}").Err(); err != nil {
				t.Fatal(err)
			}
			got := look(t, b.look)
			if ahead := got[`stream_ahead_seconds{kind="likes"}`]; ahead < c.ahead {
				t.Errorf("likes are %v s ahead, want %v at least", ahead, c.ahead)
			}
			if age := got[`stream_oldest_age_seconds{kind="likes"}`]; age > -c.ahead {
				t.Errorf("the oldest like is %v s old, want %v at the most", age, -c.ahead)
			}
			if ahead := got[`stream_ahead_seconds{kind="posts"}`]; ahead > -50 || ahead < -600 {
				t.Errorf("posts are %v s ahead, want minus a minute", ahead)
			}
			got.want(t, "a stream without an ID", series{`stream_ahead_seconds{kind="follows"}`: absent})
		})
	}
}

// TestEntriesThatStayForOtherGroupsAreNoBacklog drains a stream that a second
// group has not read: its entries stay, and are drained all the same.
func TestEntriesThatStayForOtherGroupsAreNoBacklog(t *testing.T) {
	r := newRig(t)
	for _, kind := range event.Kinds() {
		if err := r.client.Redis().XGroupCreateMkStream(t.Context(), r.client.Name(kind), "other", "0").Err(); err != nil {
			t.Fatal(err)
		}
	}
	b := &buffer{client: r.client, length: func() time.Duration { return first.Length }}
	r.simulate(first, 100)
	look(t, b.look).want(t, "before the drain", series{"undrained_windows": 1})
	r.drain(first, "", 1)
	drained := look(t, b.look)
	drained.want(t, "drained", series{"undrained_windows": 0, `stream_oldest_age_seconds{kind="likes"}`: 0, `other_groups{kind="likes"}`: 1})
	if age := drained[`other_group_age_seconds{kind="likes"}`]; age < 3600 {
		t.Errorf("the other group is %v s behind, want days", age)
	}
	r.simulate(nth(1), 100)
	r.simulate(nth(2), 100)
	look(t, b.look).want(t, "two more windows", series{"undrained_windows": 2})
	likes := r.client.Stream(event.Likes)
	var page stream.Page
	if err := likes.ReadNew(t.Context(), &page, 1000, false); err != nil {
		t.Fatal(err)
	}
	look(t, b.look).want(t, "claimed by a run that died", series{"undrained_windows": 2})
}

func TestForecast(t *testing.T) {
	start := first.Start
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	tests := []struct {
		name   string
		values [][2]float64 // seconds, bytes
		want   float64
		ok     bool
	}{
		{"nothing is known before the first look", nil, 0, false},
		{"one look says nothing", [][2]float64{{0, 10}}, 0, false},
		{"two looks close together say nothing", [][2]float64{{0, 10}, {5, 20}}, 0, false},
		{"steady growth reaches the limit", [][2]float64{{0, 10}, {10, 20}, {20, 30}}, 70, true},
		{"a full one is full, whatever came before", [][2]float64{{0, 100}}, 0, true},
		{"what shrinks is never full", [][2]float64{{0, 50}, {10, 40}}, math.Inf(1), true},
		{"what stays is never full", [][2]float64{{0, 50}, {10, 50}, {20, 50}}, math.Inf(1), true},
		{"noise is smoothed", [][2]float64{{0, 10}, {10, 30}, {20, 20}, {30, 40}}, 75, true},
		{"what is long ago does not count", [][2]float64{{0, 90}, {200, 10}, {210, 20}, {220, 30}}, 70, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var f forecast
			for _, v := range test.values {
				f.add(at(v[0]), v[1])
			}
			if got, ok := f.until(100); math.Abs(got-test.want) > 1e-9 && got != test.want || ok != test.ok {
				t.Errorf("%v, %t; want %v, %t", got, ok, test.want, test.ok)
			}
		})
	}
}
