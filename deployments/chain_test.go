package deployments_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/event"
	"datawriter/worker/runlog"
	"datawriter/worker/window"
)

var (
	faster  = flag.Int("faster", 10, "how many times faster than shipped the alerts are rehearsed; 1 measures the real delays")
	samples = flag.String("samples", "", "folder to keep the messages that arrive, and the delays, in")
)

// patience is how long a message may take here beyond what the configuration
// asks for. It is no measure: the machine may be busy with other tests.
const patience = 3 * time.Minute

// chain is one rehearsal of everything that can go wrong, in the order of the
// test below, with what was measured.
type chain struct {
	*rig
	t      *testing.T
	client *redis.Client
	runs   *runlog.Log
	delays []string
	filled int // keys that only fill Redis
}

// What really goes wrong reaches a person: each case does the damage, and waits
// for the message, its resolution, its acknowledgment and its escalation. What
// is to escalate after 15 minutes comes early; the other cases fill that time.
func TestAlertsReachTheirChannel(t *testing.T) {
	t.Parallel()
	c := startChain(t)
	c.failedWindow()
	c.acknowledged()
	lost := c.lossAndNoWindow()
	c.rejects()
	c.failedRun()
	c.latency()
	c.memory()
	c.outage()
	c.escalated(lost)
	c.nothingTwice()
}

// Messages outlive a channel that takes none and an Alertmanager that is away.
func TestMessagesOutliveTheirChannel(t *testing.T) {
	t.Parallel()
	c := startChain(t)
	c.wrongURL()
	c.unkindSlack()
	c.nobodyAtHome()
	c.nothingTwice()
}

func startChain(t *testing.T) *chain {
	t.Helper()
	r := startRig(t, *faster, "--maxmemory", "24mb", "--maxmemory-policy", "noeviction", "--enable-debug-command", "yes")
	c := &chain{rig: r, t: t, client: r.redis.Client(), runs: runlog.Open(filepath.Join(r.data, "_state"))}
	t.Cleanup(c.report)
	// A counter that Prometheus meets above 0 has not increased.
	for _, series := range []string{"datawriter_windows_total", "datawriter_lost_total", "datawriter_prefect_flow_runs"} {
		r.answers(t, "before anything goes wrong", series, true)
	}
	return c
}

// fires waits for the first message of an alert and notes how long after its
// condition had held for its `for` it came.
func (c *chain) fires(what, alert, channel string, since time.Time, hold time.Duration) delivery {
	c.t.Helper()
	if d, ok := c.slack.firing(alert, channel); ok && d.At.Before(since) {
		c.t.Logf("%s: %s fires already", what, alert)
		return d
	}
	d := c.slack.await(c.t, what, channel, since, c.real(hold+4*time.Minute)+patience, func(d delivery) bool { return d.fires(alert) })
	c.note(what, alert, d.At.Sub(since.Add(c.real(hold))))
	return d
}

func (c *chain) resolves(what, alert, channel string, since time.Time) {
	c.t.Helper()
	d := c.slack.await(c.t, what+" is over", channel, since, c.real(4*time.Minute)+patience, func(d delivery) bool { return d.resolves(alert) })
	c.note(what+" is over", alert, d.At.Sub(since))
}

func (c *chain) note(what, alert string, delay time.Duration) {
	c.t.Logf("%s: %s after %.1f s", what, alert, delay.Seconds())
	c.delays = append(c.delays, fmt.Sprintf("| %s | %s | %.1f |", what, alert, delay.Seconds()))
}

// acknowledged leaves an alert firing that somebody has taken on.
func (c *chain) acknowledged() {
	since := time.Now()
	c.record(runlog.Record{Status: runlog.Failed, Class: "integrity", End: since})
	c.fires("a violation of integrity", "IntegrityViolation", first, since, 0)
	ack := exec.CommandContext(c.t.Context(), c.binary, "ack", "IntegrityViolation", "--alertmanager-url="+c.alertmanagerURL, "--for=1h", "--comment=I take it")
	if out, err := ack.CombinedOutput(); err != nil {
		c.t.Fatalf("datawriter ack: %v\n%s", err, out)
	}
}

// lossAndNoWindow lets the last window be one that lost entries, almost a quarter
// of an hour ago.
func (c *chain) lossAndNoWindow() time.Time {
	since := time.Now()
	due := since.Add(5 * time.Second)
	c.record(runlog.Record{Status: runlog.Drained, End: due.Add(-15 * time.Minute), Kinds: []runlog.Kind{
		{Kind: event.Posts, Losses: []runlog.Loss{{Class: "evicted", Count: 12}}}}})
	c.fires("entries are lost", "EntriesLost", first, since, 0)
	c.fires("no window for 15 minutes", "NoWindowCommitted", first, due, 0)
	return since
}

// rejects also ends the case before it: a window is committed.
func (c *chain) rejects() {
	past := time.Now().Add(-15 * time.Second).UnixMilli()
	for i := range 20 {
		err := c.client.XAdd(c.t.Context(), &redis.XAddArgs{Stream: "bluesky:{likes}", ID: fmt.Sprintf("%d-%d", past, i+1), Values: []any{"event", "{"}}).Err()
		if err != nil {
			c.t.Fatal(err)
		}
	}
	if code := c.drain("10s", c.redis.URL()); code != 0 {
		c.t.Fatalf("datawriter run exits with %d", code)
	}
	since := time.Now()
	c.resolves("a window is committed", "NoWindowCommitted", first, since)
	c.fires("rejects above 0.1 %", "RejectsHigh", first, since, 30*time.Second)
}

// failedWindow puts a file where the folder of a year belongs.
func (c *chain) failedWindow() {
	c.write(filepath.Join(c.data, "2025"), "")
	if code := c.drain("2025-11-23T10:05:00Z/10s", c.redis.URL()); code == 0 {
		c.t.Error("datawriter run writes into a folder that cannot be")
	}
	c.fires("a failed window", "WindowFailed", first, time.Now(), 0)
}

// failedRun lets Prefect tell of one more run whose retries are spent.
func (c *chain) failedRun() {
	c.prefect.failed.Add(1)
	c.fires("a flow run failed for good", "PrefectRunFailed", first, time.Now(), 0)
}

func (c *chain) latency() {
	since := time.Now()
	ctx, stop := context.WithCancel(c.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			c.client.Do(ctx, "DEBUG", "SLEEP", "0.15")
		}
	}()
	c.fires("commands slower than 50 ms", "RedisLatencyCritical", first, since, 30*time.Second)
	stop()
	<-done
	c.resolves("commands slower than 50 ms", "RedisLatencyCritical", first, time.Now())
}

// memory goes through the stages of an overflow: full, refusing, evicting.
func (c *chain) memory() {
	ctx := c.t.Context()
	c.fill(12)
	since := c.limit(0.97)
	c.fires("memory above 95 %", "RedisMemoryCritical", first, since, 15*time.Second)

	for err := error(nil); err == nil; { // producers go on until they are refused
		since = time.Now()
		err = c.client.XAdd(ctx, &redis.XAddArgs{Stream: "bluesky:{likes}", Values: []any{"event", strings.Repeat("x", 10_000)}}).Err()
	}
	c.fires("adds are refused", "RedisRefusingAdds", first, since, 0)

	since = time.Now()
	c.client.ConfigSet(ctx, "maxmemory-policy", "allkeys-lru")
	c.fill(3)
	c.fires("keys are evicted", "RedisEvicting", first, since, 0)
	c.client.FlushAll(ctx) // evictions alone may have ended it
	c.resolves("memory above 95 %", "RedisMemoryCritical", first, since)
}

// fill sets keys of almost a megabyte, over a connection of its own: its buffers
// would count as memory in use until it has been idle for a while.
func (c *chain) fill(n int) {
	client := redis.NewClient(c.client.Options())
	defer client.Close()
	value := strings.Repeat("x", 900_000)
	for range n {
		c.filled++
		client.Set(c.t.Context(), fmt.Sprintf("filler:%d", c.filled), value, 0)
	}
}

// limit sets maxmemory so that this share of it is in use, and returns when it
// was.
func (c *chain) limit(share float64) time.Time {
	used := func() (bytes float64) {
		_, rest, _ := strings.Cut(c.client.Info(c.t.Context(), "memory").Val(), "used_memory:")
		_, _ = fmt.Sscan(rest, &bytes)
		return bytes
	}
	for range 50 {
		limit := used() / share
		c.client.ConfigSet(c.t.Context(), "maxmemory", fmt.Sprintf("%.0f", limit))
		since := time.Now()
		time.Sleep(200 * time.Millisecond)
		if got := used() / limit; share-0.01 < got && got < share+0.01 {
			return since
		}
	}
	c.t.Fatal("Redis's memory does not come to rest")
	return time.Time{}
}

func (c *chain) outage() {
	c.redis.Kill()
	since := time.Now()
	c.fires("Redis is killed", "RedisDown", first, since, 15*time.Second)
	c.redis.Restart()
	c.resolves("Redis is killed", "RedisDown", first, time.Now())
}

// escalated waits for the alert that nobody acknowledged, and holds that the one
// that somebody did, which fired before it, has not come.
func (c *chain) escalated(lost time.Time) {
	c.fires("nobody acknowledges a loss for 15 minutes", "EntriesLost", second, lost, 15*time.Minute)
	for _, d := range c.slack.since(second, time.Time{}) {
		if d.fires("IntegrityViolation") {
			c.t.Errorf("an acknowledged alert escalates: %s", d.text())
		}
	}
}

// wrongURL makes the first channel deaf: the second is told.
func (c *chain) wrongURL() {
	file := filepath.Join(c.folder, "alertmanager", "secrets", "slack_url")
	c.write(file, c.slack.URL+"/gone")
	since := time.Now()
	if err := c.client.ConfigSet(c.t.Context(), "maxmemory", "0").Err(); err != nil {
		c.t.Fatal(err)
	}
	c.record(runlog.Record{Status: runlog.Drained, End: time.Now(), Kinds: []runlog.Kind{
		{Kind: event.Likes, Losses: []runlog.Loss{{Class: "evicted", Count: 3}}}}})
	since = c.slack.awaitRefusal(c.t, "a wrong webhook URL", since, c.real(2*time.Minute)+patience)
	c.fires("the webhook URL of the first channel is wrong", "NotificationsFailing", second, since, 30*time.Second)
	c.write(file, c.slack.URL+first)
	c.fires("the URL is right again, and what waited comes", "RedisNoMemoryLimit", first, time.Now(), 0)
}

// unkindSlack answers 429, then 500: the message comes once it takes messages.
func (c *chain) unkindSlack() {
	for _, status := range []int{http.StatusTooManyRequests, http.StatusInternalServerError} {
		c.slack.answer(status)
		c.redis.Kill()
		time.Sleep(c.real(2 * time.Minute))
		c.slack.answer(0)
		c.fires(fmt.Sprintf("Slack takes messages again after two minutes of %d", status), "RedisDown", first, time.Now(), 0)
		c.redis.Restart()
		c.resolves("Redis is back", "RedisDown", first, time.Now())
	}
}

// nobodyAtHome takes Alertmanager and Slack away for two minutes.
func (c *chain) nobodyAtHome() {
	c.slack.answer(http.StatusInternalServerError)
	c.alertmanager.stop()
	c.redis.Kill()
	time.Sleep(c.real(2 * time.Minute))
	c.slack.answer(0)
	c.startAlertmanager()
	c.fires("Alertmanager and Slack are back after two minutes", "RedisDown", first, time.Now(), 0)
}

// nothingTwice holds that messages say something that those before them did not:
// another alert fires, or another one is over. A busy machine, whose evaluations
// come late, may repeat some; without --rules.alert.resend-delay most are repeats.
func (c *chain) nothingTwice() {
	firing := regexp.MustCompile(`(?m)^\*(\w+)\*: .*\n.*\n(\*Where\* .*)$`)
	over := regexp.MustCompile(`(?m)^:white_check_mark: .*$`)
	before, told, repeats, all := "", "", 0, c.slack.since(first, time.Time{})
	for _, d := range all {
		if !strings.Contains(d.Attachments[0].Footer, "acknowledge") {
			continue // warnings are several groups, these one
		}
		now, news := fmt.Sprint(firing.FindAllStringSubmatch(d.text(), -1)), false
		for _, line := range over.FindAllString(d.text(), -1) {
			news = news || !strings.Contains(told, line)
			told += line + "\n"
		}
		if now == before && !news {
			repeats++
		}
		before = now
	}
	c.t.Logf("%d messages, %d of them repeats", len(all), repeats)
	if 4*repeats > len(all) {
		c.t.Errorf("%d of %d messages say nothing new", repeats, len(all))
	}
}

// record appends to the run log as a run does.
func (c *chain) record(r runlog.Record) {
	c.t.Helper()
	start := r.End.UTC().Truncate(10 * time.Second).Add(-10 * time.Second)
	w, err := window.New(start, 10*time.Second)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Window, r.Start, r.Attempts = w, r.End.Add(-time.Second), 1
	if err := c.runs.Append(r); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chain) write(name, content string) {
	c.t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// report keeps the messages and the delays where somebody asked for them.
func (c *chain) report() {
	c.t.Logf("seconds after the condition held for its `for`, %d times faster than shipped:\n%s", c.faster, strings.Join(c.delays, "\n"))
	if *samples == "" {
		return
	}
	c.write(filepath.Join(*samples, c.t.Name()+".md"), strings.Join(c.delays, "\n")+"\n")
	all := append(c.slack.since(first, time.Time{}), c.slack.since(second, time.Time{})...)
	content, _ := json.MarshalIndent(all, "", " ")
	c.write(filepath.Join(*samples, c.t.Name()+".json"), string(content))
}
