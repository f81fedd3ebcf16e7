package event

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

const identityEvent = `{"did":"did:plc:a","time_us":1795428300000000,"kind":"identity","identity":{"did":"did:plc:a","handle":"a.example","seq":7}}`

func TestARawRowHoldsTheEventAsItCame(t *testing.T) {
	for name, event := range map[string]string{
		"as the first wire sends it": identityEvent,
		"with spaces and a cursor":   strings.Replace(identityEvent, `,"kind"`, ` , "cursor": 9, "kind"`, 1),
		"flat, without the object":   `{"kind":"identity","did":"did:plc:a","time_us":1795428300000000,"handle":"a.example"}`,
		"with duplicates":            strings.Replace(identityEvent, `"did"`, `"kind":"account","did"`, 1),
		"with a commit of its own":   strings.Replace(identityEvent, `"kind"`, `"commit":{"operation":"create","record":{"text":"x"}},"kind"`, 1),
	} {
		got, reason := checkDecode(t, Identity, []byte(event))
		want := columns{"did": "did:plc:a", "event_at": int64(1795428300000000), "event": event}
		if strings.Contains(event, "cursor") {
			want["cursor"] = int64(9)
		}
		if reason != "" || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: reason %q\ngot  %q\nwant %q", name, reason, got, want)
		}
	}
}

func TestRawReject(t *testing.T) {
	change := func(old, new string) string { return strings.Replace(identityEvent, old, new, 1) }
	for name, c := range map[string]struct {
		event string
		want  Reason
	}{
		"an event of another kind":  {change(`"kind":"identity"`, `"kind":"account"`), ReasonKind},
		"a commit":                  {commitEvent(Likes, ""), ReasonKind},
		"an event without a kind":   {change(`"kind":"identity",`, ``), ReasonKind},
		"a kind that is no string":  {change(`"kind":"identity"`, `"kind":["identity"]`), ReasonKind},
		"an event without did":      {change(`"did":"did:plc:a",`, ``), ReasonNoDID},
		"an event without time":     {change(`"time_us":1795428300000000,`, ``), ReasonNoTime},
		"an event of another time":  {change(`1795428300000000`, `17`), ReasonTimeOutOfRange},
		"half an event":             {identityEvent[:len(identityEvent)-1], ReasonNotJSON},
		"an array":                  {`["identity"]`, ReasonNotJSON},
		"Latin-1 in what is inside": {change(`a.example`, "\xe9.example"), ReasonNotUTF8},
	} {
		if _, reason := checkDecode(t, Identity, []byte(c.event)); reason != c.want {
			t.Errorf("%s: reason %q, want %q", name, reason, c.want)
		}
	}
}

func TestTheFiveKindsDoNotSeeTheRawOnes(t *testing.T) {
	if got, want := Kinds(), []Kind{Posts, Likes, Reposts, Follows, Blocks}; !slices.Equal(got, want) {
		t.Errorf("the kinds are %v, want %v", got, want)
	}
	if kind, ok := KindOfCollection(""); ok {
		t.Errorf("an event without a collection belongs to %s", kind)
	}
	if slices.Contains(Reasons(), ReasonKind) {
		t.Error("metrics of the five kinds would have a reason that none of their entries can have")
	}
}

func TestParseRawKinds(t *testing.T) {
	for text, want := range map[string][]Kind{
		"":                          {},
		"account":                   {Account},
		"account,identity,account,": {Identity, Account},
	} {
		if got, err := ParseRawKinds(strings.Split(text, ",")); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"likes", "sync", " identity"} {
		if _, err := ParseRawKinds([]string{text}); err == nil || !strings.Contains(err.Error(), "use identity, account") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
