package validate

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap/zaptest"

	"datawriter/worker/stream/streamtest"
)

// trial is the configuration of a quick step.
func trial(t *testing.T) Config {
	return Config{Quick: true, RedisServer: os.Getenv(streamtest.BinaryEnv), Log: zaptest.NewLogger(t)}
}

// execute runs a step of the programme.
func execute(t *testing.T, name string, cfg Config) (Report, error) {
	t.Helper()
	step, ok := Find(name)
	if !ok {
		t.Fatalf("no step %s", name)
	}
	return Execute(t.Context(), step, cfg)
}

// failures names the checks that failed.
func failures(r Report) (names []string) {
	for _, c := range r.Checks {
		if c.Status == Failed {
			names = append(names, c.Name)
		}
	}
	return names
}

// table is a report in words.
func table(t *testing.T, r Report) string {
	t.Helper()
	var text strings.Builder
	if err := r.WriteTable(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestACriterionIsHeldAgainstItsBar(t *testing.T) {
	for _, of := range []struct {
		bar    Bar
		value  float64
		want   Status
		target string
	}{
		{below(90), 89.99, OK, "< 90 %"},
		{below(90), 90, Failed, "< 90 %"},
		{atMost(90), 90, OK, "<= 90 %"},
		{atLeast(1000), 999, Failed, ">= 1,000 %"},
		{atLeast(1000), 1000, OK, ">= 1,000 %"},
		{above(0), 0, Failed, "> 0 %"},
		{exactly(2_700_000), 2_699_999, Failed, "= 2,700,000 %"},
		{measured(), 5, OK, ""},
		{below(90), math.NaN(), Failed, "< 90 %"},
	} {
		got := Criterion{Name: "n", Value: of.value, Unit: "%", Bar: of.bar}.check()
		if got.Status != of.want || got.Target != of.target {
			t.Errorf("%v %v: %s, target %q", of.bar.sign, of.value, got.Status, got.Target)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Errorf("%v: %v", of.value, err)
		}
	}
}

func TestNumbersAreReadable(t *testing.T) {
	for value, want := range map[float64]string{0: "0", 12: "12", 1.2345: "1.23", 78.54: "78.5", 1586.9: "1,587", 2_700_000: "2,700,000", -1234.5: "-1,234", 0.004: "0.00"} {
		if got := Number(value, ""); got != want {
			t.Errorf("%v: %s, want %s", value, got, want)
		}
	}
}

func TestAStoppedStepCleansUp(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	cause, order := errors.New("a person"), ""
	step := Step{Name: "trial", Run: func(ctx context.Context, s *Session) error {
		s.cleanup(func(context.Context) error { order += "first "; return nil })
		s.cleanup(func(ctx context.Context) error { order += "second "; return ctx.Err() })
		stop(cause)
		s.check("under way", func() (string, error) { return "", ctx.Err() })
		return ctx.Err()
	}}
	report, err := Execute(ctx, step, trial(t))
	if !errors.Is(err, cause) || errors.Is(err, ErrFailed) || order != "second first " {
		t.Errorf("%v, cleaned up %q", err, order)
	}
	if report.Checks[0].Status != Skipped || report.Broken == "" {
		t.Errorf("%+v", report)
	}
}

func TestPlotsKeepTheirPeaks(t *testing.T) {
	p := &Plot{start: time.Now()}
	for i := range 100_000 {
		value := 1.0
		if i == 77_777 {
			value = 50
		}
		p.addAt(p.start.Add(time.Duration(i)*time.Second), "one", value)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back Plot
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	most := 0.0
	for _, point := range back.Series[0].Points {
		most = max(most, point.Value)
	}
	if n := len(back.Series[0].Points); most != 50 || n > maxPoints {
		t.Errorf("%d points, the highest %v", n, most)
	}
}

func TestALoadIsOpen(t *testing.T) {
	// One send in the middle stalls for 100 ms: of what was due meanwhile each must
	// count its wait, not only the one that stalled.
	n := 0
	load := openLoad{rate: 1000, producers: 1, length: 300 * time.Millisecond, send: func(context.Context, int) error {
		if n++; n == 100 {
			time.Sleep(100 * time.Millisecond)
		}
		return nil
	}}
	seen, err := load.run(t.Context())
	if err != nil || seen.TotalCount() != 300 {
		t.Fatalf("%v: %d sends", err, seen.TotalCount())
	}
	if waited := seen.ms(75); waited < 20 {
		t.Errorf("a quarter of the sends waited at least %.1f ms: %s", waited, seen)
	}
}

func TestForeignKeysAreNotTouched(t *testing.T) {
	server := streamtest.Start(t)
	client := server.Client()
	if err := client.XAdd(t.Context(), &redis.XAddArgs{Stream: trialPrefix + "{likes}", Values: []string{"event", "{}"}}).Err(); err != nil {
		t.Fatal(err)
	}
	cfg := trial(t)
	cfg.Redis = server.URL()
	if _, err := execute(t, "baseline", cfg); !errors.Is(err, ErrForeign) {
		t.Errorf("with a stream of somebody else: %v", err)
	}
	if n := client.XLen(t.Context(), trialPrefix+"{likes}").Val(); n != 1 {
		t.Errorf("%d entries are left of 1", n)
	}
	client.Del(t.Context(), trialPrefix+"{likes}")
	client.Set(t.Context(), "other", "stays", 0)
	if _, err := execute(t, "baseline", cfg); err != nil {
		t.Errorf("beside a key of somebody else: %v", err)
	}
	if keys := client.Keys(t.Context(), "*").Val(); strings.Join(keys, " ") != "other" {
		t.Errorf("left behind: %q", keys)
	}
	client.ConfigSet(t.Context(), "maxmemory", "1mb")
	if _, err := execute(t, "baseline", cfg); !errors.Is(err, ErrForeign) {
		t.Errorf("on a full Redis: %v", err)
	}
}
