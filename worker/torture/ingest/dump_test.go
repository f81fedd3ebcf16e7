package ingest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/coder/websocket"

	"datawriter/worker/event"
)

// held is an event in the store of a server: where it stands there.
type held struct {
	us  int64 // time, microseconds; on the newer server what it shows
	seq int64
}

// store is what a server has, by the key of the event. The legacy server may
// have an event twice, under two times.
type store map[string][]held

// dump reads a server's whole store through its own API, beside ours: by number
// from the first on, or, on the legacy server, by time, twice, since it leaves
// events out where a replay meets what happens now. It ends when the server has
// been silent for a second; the relay must be quiet by then.
func (j *jetstream) dump(ctx context.Context) (store, error) {
	path, times := "/subscribe?cursor=0", 2
	if j.version == current {
		path, times = "/xrpc/network.bsky.jetstream.subscribeEvents?cursor=0", 1
	}
	all := make(store)
	for range times {
		if err := all.read(ctx, "ws://"+j.address+path, j.version); err != nil {
			return nil, fmt.Errorf("read what a server of version %s has: %w", j.version, err)
		}
	}
	return all, nil
}

func (s store) read(ctx context.Context, url string, v version) error {
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(-1)
	var reader event.Envelopes
	for {
		limited, cancel := context.WithTimeout(ctx, time.Second)
		_, text, err := conn.Read(limited)
		silent := limited.Err() != nil && ctx.Err() == nil
		cancel()
		if err != nil && silent {
			return nil
		}
		if err != nil {
			return err
		}
		e, err := readEvent(&reader, text, v)
		if err != nil {
			return err
		}
		if key := keyOf(&e); key != "" {
			s.add(key, held{e.TimeUS.Value, e.Cursor.Value})
		}
	}
}

func (s store) add(key string, h held) {
	for _, known := range s[key] {
		if known == h {
			return
		}
	}
	s[key] = append(s[key], h)
}

func readEvent(reader *event.Envelopes, text []byte, v version) (event.Envelope, error) {
	if v == legacy {
		e, ok := reader.Read(text)
		if !ok {
			return e, fmt.Errorf("not an event: %.200s", text)
		}
		return e, nil
	}
	f, ok := reader.ReadFrame(text)
	if !ok || f.Fatal {
		return f.Event, fmt.Errorf("not an event: %.200s", text)
	}
	return f.Event, nil
}

// keyOf names an event as the network does; empty for what no stream has.
func keyOf(e *event.Envelope) string {
	if _, ours := e.Kind(); ours {
		return fmt.Sprintf("%s %s %s %s %s", e.DID, e.Collection, e.RKey, e.Rev, e.Operation)
	}
	if class := string(e.Class); class == "identity" || class == "account" {
		var inside map[string]json.RawMessage
		var detail struct{ Seq int64 }
		if json.Unmarshal(e.JSON, &inside) != nil || json.Unmarshal(inside[class], &detail) != nil {
			return ""
		}
		return rawKey(class, string(e.DID), detail.Seq)
	}
	return ""
}
