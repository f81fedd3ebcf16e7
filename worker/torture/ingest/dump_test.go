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
	all, times := make(store), 1
	if j.version == legacy {
		times = 2
	}
	for range times {
		err := j.each(ctx, func(e *event.Envelope) {
			if key := keyOf(e); key != "" {
				all.add(key, held{e.TimeUS.Value, e.Cursor.Value})
			}
		})
		if err != nil {
			return nil, fmt.Errorf("read what a server of version %s has: %w", j.version, err)
		}
	}
	return all, nil
}

// each reads a store from its beginning until the server falls silent.
func (j *jetstream) each(ctx context.Context, see func(*event.Envelope)) error {
	path := "/subscribe?cursor=0"
	if j.version == current {
		path = "/xrpc/network.bsky.jetstream.subscribeEvents?cursor=0"
	}
	conn, _, err := websocket.Dial(ctx, "ws://"+j.address+path, nil) //nolint:bodyclose // the library closes it
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
		e, err := readEvent(&reader, text, j.version)
		if err != nil {
			return err
		}
		see(&e)
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
