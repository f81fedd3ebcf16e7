package sink_test

import (
	"strings"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/sink"
	"datawriter/worker/window"
)

var win = window.Window{Start: time.Date(2026, 11, 23, 10, 5, 0, 0, time.UTC), Length: 5 * time.Minute}

func TestPaths(t *testing.T) {
	for path, c := range map[string]struct {
		layout sink.Layout
		name   sink.Name
	}{
		"2026/11/23/10/likes/20261123T100500Z-5m-00.parquet":                                      {sink.Plain, sink.Name{Window: win, Kind: event.Likes}},
		"2026/11/23/10/posts/20261123T100500Z-5m-s03-12.parquet":                                  {sink.Plain, sink.Name{Window: win, Kind: event.Posts, Shard: "03", Part: 12}},
		"_rejected/2026/11/23/10/blocks/20261123T100500Z-5m-100.parquet":                          {sink.Plain, sink.Name{Window: win, Kind: event.Blocks, Part: 100, Rejects: true}},
		"year=2026/month=11/day=23/hour=10/kind=likes/20261123T100500Z-5m-00.parquet":             {sink.Hive, sink.Name{Window: win, Kind: event.Likes}},
		"_rejected/year=2026/month=11/day=23/hour=10/kind=follows/20261123T100500Z-5m-01.parquet": {sink.Hive, sink.Name{Window: win, Kind: event.Follows, Part: 1, Rejects: true}},
	} {
		if got := c.layout.Path(c.name); got != path {
			t.Errorf("the path of %+v is %s, want %s", c.name, got, path)
		}
		if got, err := c.layout.Parse(path); err != nil || got != c.name {
			t.Errorf("%s reads as %+v (%v), want %+v", path, got, err, c.name)
		}
	}
}

func TestWhatIsNoPathIsRefusedByName(t *testing.T) {
	for what, path := range map[string]string{
		"another layout":              "year=2026/month=11/day=23/hour=10/kind=likes/20261123T100500Z-5m-00.parquet",
		"another hour":                "2026/11/23/11/likes/20261123T100500Z-5m-00.parquet",
		"an unknown kind":             "2026/11/23/10/photos/20261123T100500Z-5m-00.parquet",
		"a part number of one digit":  "2026/11/23/10/likes/20261123T100500Z-5m-0.parquet",
		"a negative part number":      "2026/11/23/10/likes/20261123T100500Z-5m--1.parquet",
		"a signed part number":        "2026/11/23/10/likes/20261123T100500Z-5m-+1.parquet",
		"no part number":              "2026/11/23/10/likes/20261123T100500Z-5m.parquet",
		"another extension":           "2026/11/23/10/likes/20261123T100500Z-5m-00.parquet.tmp",
		"a length of another form":    "2026/11/23/10/likes/20261123T100500Z-300s-00.parquet",
		"a length that crosses hours": "2026/11/23/10/likes/20261123T100500Z-7m-00.parquet",
		"a shard without its s":       "2026/11/23/10/likes/20261123T100500Z-5m-03-00.parquet",
		"a shard that is no number":   "2026/11/23/10/likes/20261123T100500Z-5m-sab-00.parquet",
		"a path above":                "../2026/11/23/10/likes/20261123T100500Z-5m-00.parquet",
		"a double slash":              "2026/11/23/10//likes/20261123T100500Z-5m-00.parquet",
		"a lone name":                 "20261123T100500Z-5m-00.parquet",
		"nothing":                     "",
	} {
		name, err := sink.Plain.Parse(path)
		if err == nil {
			t.Errorf("%s: %q reads as %+v", what, path, name)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: the error does not name the file: %v", what, err)
		}
	}
}

func TestParseLayout(t *testing.T) {
	for _, text := range []string{"plain", "hive"} {
		if l, err := sink.ParseLayout(text); err != nil || string(l) != text {
			t.Errorf("%s: %v, %v", text, l, err)
		}
	}
	if _, err := sink.ParseLayout("flat"); err == nil || !strings.Contains(err.Error(), "plain or hive") {
		t.Errorf("flat: %v, want an error that names the choices", err)
	}
}
