package ingest_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"datawriter/worker/event"
)

// corpus returns where Jetstream's own module keeps 150 frames of a production
// relay, and what production made of them.
func corpus(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "-modfile=servers/v2.mod", "github.com/bluesky-social/jetstream").Output()
	if err != nil {
		t.Fatalf("where is the module of jetstream: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "internal", "corpus", "testdata")
}

// TestProductionFrames sends frames of the real network through the real servers,
// ingest, run, verify and cat: each event comes out as the server sent it, byte for
// byte, and says what production said.
func TestProductionFrames(t *testing.T) {
	folder := corpus(t)
	n, err := loadNetwork(folder)
	if err != nil {
		t.Fatal(err)
	}
	expected := production(t, filepath.Join(folder, "expected_v1.jsonl"))
	for _, way := range []struct {
		name   string
		server version
		wire   string
	}{
		{"the legacy server", legacy, "v1"},
		{"the newer server on the older wire", current, "v1"},
		{"the newer server", current, "v2"},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			c := newCourseOn(t, n, 150, coursePlan{hosts: []version{way.server}, wire: way.wire, also: event.RawKinds()})
			c.passFrames()
			c.sameAsSent(expected)
		})
	}
}

// production reads what production made of the frames, by key.
func production(t *testing.T, path string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	events := make(map[string]any)
	for line := range bytes.Lines(text) {
		if key, value := withoutPlace(t, line); key != "" {
			events[key] = value
		}
	}
	return events
}

// withoutPlace returns an event without what each server gives it itself: time and
// number.
func withoutPlace(t testing.TB, line []byte) (key string, value any) {
	t.Helper()
	var reader event.Envelopes
	e, ok := reader.Read(bytes.TrimSpace(line))
	if !ok {
		t.Fatalf("not an event: %s", line)
	}
	var fields map[string]any
	if err := json.Unmarshal(line, &fields); err != nil {
		t.Fatal(err)
	}
	delete(fields, "time_us")
	delete(fields, "cursor")
	return keyOf(&e), fields
}

// passFrames sends all frames once the ingest listens, and drains them.
func (c *course) passFrames() {
	g := c.gates[0]
	g.now.start(c.relay)
	g.lead(g.now.address)
	c.start()
	c.until("the ingest listens", 30*time.Second, func() bool { now, _ := g.live(); return now > 0 && c.metric("connections_total", "") > 0 })
	time.Sleep(500 * time.Millisecond) // the server knows of it
	c.relay.set(300)
	want := int64(0)
	for _, f := range c.relay.network.frames {
		want += int64(len(f.events))
	}
	c.until("all is stored", 30*time.Second, func() bool { return c.stored() == want })
	c.feeder.stop()
	c.drainAll(courseWindow)
	if out, err := c.command("verify", "--against-redis").Output(); err != nil {
		c.t.Errorf("verify: %v\n%s", err, out)
	}
}

// sameAsSent compares what cat prints with what the server sends of its store, and
// with production.
func (c *course) sameAsSent(expected map[string]any) {
	server := c.texts()
	read := make(map[string]string)
	c.lines(c.files(), func(line []byte) {
		var reader event.Envelopes
		e, _ := reader.Read(line)
		read[keyOf(&e)] = string(line)
	})
	compared := 0
	for key, text := range server {
		if read[key] != text {
			c.t.Errorf("an event came out as another:\nsent %s\nread %s", text, read[key])
		}
		_, value := withoutPlace(c.t, []byte(read[key]))
		if want, known := expected[key]; known && !reflect.DeepEqual(value, want) {
			c.t.Errorf("production has another event:\nread %v\nwant %v", value, want)
		} else if known {
			compared++
		}
	}
	if len(read) != len(server) || compared == 0 {
		c.t.Errorf("%d events were read, %d sent, %d of them by production", len(read), len(server), compared)
	}
	c.t.Logf("%d events byte for byte as they were sent, %d the same as in production", len(read), compared)
}

// texts returns the entries that a server's store makes, by key.
func (c *course) texts() map[string]string {
	texts := make(map[string]string)
	err := c.gates[0].now.each(c.t.Context(), func(e *event.Envelope) {
		if key := keyOf(e); key != "" {
			texts[key] = string(e.JSON)
		}
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return texts
}
