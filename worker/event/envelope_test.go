package event

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestAnEnvelopeIsReadFromTheFirstWire(t *testing.T) {
	text := []byte(`{"did":"did:plc:a","time_us":1783175888218287,"cursor":7,"kind":"commit","commit":{"rev":"r","operation":"create","collection":"app.bsky.feed.like","rkey":"k","record":{"rev":"not this","x":[1,{"did":"nor this"}]},"cid":"c"}}`)
	var r Envelopes
	e, ok := r.Read(text)
	if !ok {
		t.Fatal("it is not read")
	}
	for got, want := range map[string]string{
		string(e.DID): "did:plc:a", string(e.Class): "commit", string(e.Rev): "r", string(e.Operation): "create",
		string(e.Collection): "app.bsky.feed.like", string(e.RKey): "k", string(e.JSON): string(text),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if e.TimeUS != (Int{Value: 1783175888218287, Valid: true}) || e.Cursor != (Int{Value: 7, Valid: true}) {
		t.Errorf("time %v, cursor %v", e.TimeUS, e.Cursor)
	}
	if kind, ok := e.Kind(); !ok || kind != Likes {
		t.Errorf("kind %v, %v", kind, ok)
	}
}

func TestWhatIsNoEventIsNotRead(t *testing.T) {
	var r Envelopes
	for _, text := range []string{"", "{", "null", "[]", `{"did":"x"`, `{"did":"x"} {`, "{\"did\":\"\xff\"}", `"did"`} {
		if _, ok := r.Read([]byte(text)); ok {
			t.Errorf("%q counts as an event", text)
		}
		if _, ok := r.ReadFrame([]byte(text)); ok {
			t.Errorf("%q counts as a frame", text)
		}
	}
}

func TestAFrameOfTheSecondWireBecomesTheSameEvent(t *testing.T) {
	const head = `{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#`
	for _, c := range []struct{ name, frame, want string }{
		{
			"a commit", head + `commit","seq":42,"did":"did:plc:a","time":"2026-07-04T14:38:08.218287Z","rev":"r","operation":"create","collection":"app.bsky.feed.like","rkey":"k","record":{"$type":"app.bsky.feed.like","a":1e400,"ü":"\u00fc"},"cid":"c"}}`,
			`{"did":"did:plc:a","time_us":1783175888218287,"cursor":42,"kind":"commit","commit":{"rev":"r","operation":"create","collection":"app.bsky.feed.like","rkey":"k","record":{"$type":"app.bsky.feed.like","a":1e400,"ü":"\u00fc"},"cid":"c"}}`,
		},
		{
			"a delete, its members in another order", head + `commit","rkey":"k","collection":"app.bsky.feed.like","operation":"delete","rev":"r","time":"2026-07-04T14:38:08.218287Z","did":"did:plc:a","seq":42}}`,
			`{"did":"did:plc:a","time_us":1783175888218287,"cursor":42,"kind":"commit","commit":{"rev":"r","operation":"delete","collection":"app.bsky.feed.like","rkey":"k"}}`,
		},
		{
			"what a later version adds", head + `commit","seq":1,"did":"d","time":"2026-07-04T14:38:08Z","rev":"r","operation":"delete","collection":"c","rkey":"k","new \"one\"":{"a":[]}}}`,
			`{"did":"d","time_us":1783175888000000,"cursor":1,"kind":"commit","commit":{"rev":"r","operation":"delete","collection":"c","rkey":"k"},"new \"one\"":{"a":[]}}`,
		},
		{
			"an account event", head + `account","seq":9,"did":"d","time":"2026-07-04T14:38:08Z","account":{"active":false,"seq":3}}}`,
			`{"did":"d","time_us":1783175888000000,"cursor":9,"kind":"account","account":{"active":false,"seq":3}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r Envelopes
			f, ok := r.ReadFrame([]byte(c.frame))
			if !ok || !f.HasEvent || f.Fatal {
				t.Fatalf("%+v, %v", f, ok)
			}
			if string(f.Event.JSON) != c.want {
				t.Errorf("got  %s\nwant %s", f.Event.JSON, c.want)
			}
			again, ok := new(Envelopes).Read(f.Event.JSON)
			again.JSON = f.Event.JSON
			if !ok || !reflect.DeepEqual(again, f.Event) {
				t.Errorf("read again it is %+v, was %+v", again, f.Event)
			}
		})
	}
}

func TestNoticesAndErrorsOfTheSecondWire(t *testing.T) {
	var r Envelopes
	f, ok := r.ReadFrame([]byte(`{"$type":"error","error":"ConsumerTooSlow","message":"why"}`))
	if !ok || !f.Fatal || f.Name != "ConsumerTooSlow" || f.Message != "why" || f.HasEvent {
		t.Errorf("%+v, %v", f, ok)
	}
	f, ok = r.ReadFrame([]byte(`{"$type":"message","payload":{"$type":"n#info","name":"OutdatedCursor","message":"at 5"}}`))
	if !ok || f.Fatal || f.HasEvent || f.Name != "OutdatedCursor" || f.Message != "at 5" {
		t.Errorf("%+v, %v", f, ok)
	}
	if f, ok = r.ReadFrame([]byte(`{"$type":"message","payload":{"$type":"n#commit","seq":1}}`)); ok {
		t.Errorf("an event without a DID counts: %+v", f)
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte(`{"$type":"message","payload":{"$type":"n#commit","seq":1,"did":"d","time":"2026-07-04T14:38:08Z","rev":"r","operation":"delete","collection":"c","rkey":"k","x":1}}`))
	f.Add([]byte(`{"$type":"error","error":"E"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var r Envelopes
		frame, ok := r.ReadFrame(text)
		if !ok || !frame.HasEvent {
			return
		}
		if !json.Valid(frame.Event.JSON) {
			t.Fatalf("%q became %q, which is no JSON", text, frame.Event.JSON)
		}
		if e, ok := new(Envelopes).Read(frame.Event.JSON); !ok || string(e.DID) != string(frame.Event.DID) {
			t.Fatalf("%q became %q, which is another event", text, frame.Event.JSON)
		}
	})
}
