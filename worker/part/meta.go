package part

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/window"

	"github.com/xitongsys/parquet-go/parquet"
)

// SchemaVersion is the version of the columns and footer keys that this
// package writes and the only one that it reads.
const SchemaVersion = 1

// Meta is what a file says about itself in its footer. A part and its reject
// file carry the same Meta, but for the numbers, which are those of the rejects.
type Meta struct {
	Kind          event.Kind
	Shard         string // empty where there are no shards
	Window        window.Window
	Part          int   // 0 for the first part of a window
	Rows          int64 // rows of the part
	Rejected      int64 // rejects of the reject file beside it
	FirstID       event.ID
	LastID        event.ID // both zero when nothing came
	EntriesAdded  int64    // the stream's entries-added when it was read; -1 unknown
	RunID         string   // run_id of the Redis server
	Numbers       string   // that the producer gave the entries, as ranges "1-18 20-40"; empty where it gives none
	Misdated      bool     // the window is of another time than those that were drained with it
	WriterVersion string
	SchemaVersion int // 0 in Close means SchemaVersion
}

// keyPrefix begins the name of every footer key.
const keyPrefix = "datawriter."

// keyValues returns the footer's keys. One that has nothing to say is left
// out: the shard where there are none, the IDs of no entries, an unknown count.
func (m Meta) keyValues() []*parquet.KeyValue {
	if m.SchemaVersion == 0 {
		m.SchemaVersion = SchemaVersion
	}
	var pairs []*parquet.KeyValue
	add := func(there bool, key, value string) {
		if there {
			pairs = append(pairs, &parquet.KeyValue{Key: keyPrefix + key, Value: &value})
		}
	}
	add(true, "schema_version", strconv.Itoa(m.SchemaVersion))
	add(true, "writer_version", m.WriterVersion)
	add(true, "kind", m.Kind.String())
	add(m.Shard != "", "shard", m.Shard)
	add(true, "window_start", m.Window.Start.Format(time.RFC3339))
	add(true, "window_end", m.Window.End().Format(time.RFC3339))
	add(true, "part", strconv.Itoa(m.Part))
	add(true, "rows", strconv.FormatInt(m.Rows, 10))
	add(true, "rejected", strconv.FormatInt(m.Rejected, 10))
	add(!m.FirstID.IsZero(), "first_id", m.FirstID.String())
	add(!m.LastID.IsZero(), "last_id", m.LastID.String())
	add(m.EntriesAdded >= 0, "entries_added", strconv.FormatInt(m.EntriesAdded, 10))
	add(true, "run_id", m.RunID)
	add(m.Numbers != "", "numbers", m.Numbers)
	add(m.Misdated, "misdated", "true")
	return pairs
}

// parseMeta is the inverse of keyValues; the first key that does not parse is
// the error.
func parseMeta(pairs []*parquet.KeyValue) (Meta, error) {
	p := metaParser{values: map[string]string{}}
	for _, kv := range pairs {
		p.values[kv.GetKey()] = kv.GetValue()
	}
	m := Meta{
		SchemaVersion: int(p.number("schema_version", p.required)),
		WriterVersion: p.required("writer_version"),
		Kind:          parse(&p, "kind", p.required, event.ParseKind),
		Shard:         p.optional("shard"),
		Window:        p.window(),
		Part:          int(p.number("part", p.required)),
		Rows:          p.number("rows", p.required),
		Rejected:      p.number("rejected", p.required),
		FirstID:       parse(&p, "first_id", p.optional, event.ParseID),
		LastID:        parse(&p, "last_id", p.optional, event.ParseID),
		EntriesAdded:  -1,
		RunID:         p.required("run_id"),
		Numbers:       p.optional("numbers"),
		Misdated:      p.optional("misdated") == "true",
	}
	if p.optional("entries_added") != "" {
		m.EntriesAdded = p.number("entries_added", p.required)
	}
	if p.err == nil && m.SchemaVersion != SchemaVersion {
		p.err = fmt.Errorf("%w: schema version %d is not the %d that this one reads: use the version that wrote the file, %q", ErrVersion, m.SchemaVersion, SchemaVersion, m.WriterVersion)
	}
	return m, p.err
}

// metaParser reads footer keys and keeps the first error, so that parseMeta
// is one literal and not thirteen ifs.
type metaParser struct {
	values map[string]string
	err    error
}

func (p *metaParser) required(key string) string {
	v, ok := p.values[keyPrefix+key]
	if !ok && p.err == nil {
		p.err = fmt.Errorf("the footer has no key %s%s", keyPrefix, key)
		if !p.ours() {
			p.err = fmt.Errorf("%w: %w", ErrForeign, p.err)
		}
	}
	return v
}

// ours reports whether the footer has any key of datawriter.
func (p *metaParser) ours() bool {
	for key := range p.values {
		if strings.HasPrefix(key, keyPrefix) {
			return true
		}
	}
	return false
}

func (p *metaParser) optional(key string) string { return p.values[keyPrefix+key] }

func (p *metaParser) number(key string, get func(string) string) int64 {
	return parse(p, key, get, func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) })
}

func (p *metaParser) window() window.Window {
	at := func(s string) (time.Time, error) { return time.Parse(time.RFC3339, s) }
	start := parse(p, "window_start", p.required, at)
	end := parse(p, "window_end", p.required, at)
	if p.err != nil {
		return window.Window{}
	}
	w, err := window.New(start, end.Sub(start))
	if err != nil {
		p.err = fmt.Errorf("footer keys %swindow_start and window_end: %w", keyPrefix, err)
	}
	return w
}

// parse parses the value of a key; a key that is not there is the zero value.
func parse[T any](p *metaParser, key string, get func(string) string, as func(string) (T, error)) (v T) {
	text := get(key)
	if _, there := p.values[keyPrefix+key]; !there || p.err != nil {
		return v
	}
	v, err := as(text)
	if err != nil {
		p.err = fmt.Errorf("footer key %s%s: %w", keyPrefix, key, err)
	}
	return v
}
