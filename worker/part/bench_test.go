package part

import (
	"bytes"
	"encoding/base32"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"datawriter/worker/event"
)

// realistic makes rows as the network sends them: authors and liked posts
// that follow a Zipf law, keys and revisions that are TIDs of the moment,
// content hashes without any pattern.
type realistic struct {
	*rand.Rand
	authors, subjects *rand.Zipf
	row               event.Row
}

func newRealistic() *realistic {
	r := rand.New(rand.NewPCG(7, 7))
	return &realistic{Rand: r, authors: rand.NewZipf(r, 1.1, 50, 2_000_000), subjects: rand.NewZipf(r, 1.05, 20, 3_000_000)}
}

var sortable = base32.NewEncoding("234567abcdefghijklmnopqrstuvwxyz").WithPadding(base32.NoPadding)
var plainBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// seeded returns n characters that depend on seed alone.
func seeded(seed uint64, encoding *base32.Encoding, n int) string {
	r := rand.New(rand.NewPCG(seed, 99))
	raw := make([]byte, n)
	for i := range raw {
		raw[i] = byte(r.Uint32())
	}
	return encoding.EncodeToString(raw)[:n]
}

func (g *realistic) did() string { return "did:plc:" + seeded(g.authors.Uint64(), plainBase32, 24) }
func (g *realistic) cid() string { return "bafyrei" + seeded(g.Uint64(), plainBase32, 52) }

// tid returns the 13 characters of a TID: 53 bits of microseconds, 10 of a clock.
func (g *realistic) tid(us int64) string {
	v := uint64(us)<<10 | g.Uint64N(1024)
	var out [13]byte
	for i := range out {
		out[12-i] = "234567abcdefghijklmnopqrstuvwxyz"[v&31]
		v >>= 5
	}
	return string(out[:])
}

// next returns row i of a window with that many rows a second.
func (g *realistic) next(kind event.Kind, i, perSecond int) *event.Row {
	ms := int64(sampleStart) + int64(i)*1000/int64(perSecond)
	us := ms*1000 + g.Int64N(1000)
	r := &g.row
	*r = event.Row{
		IngestedAt: event.Some(ms), IngestSeq: event.Some(int64(i) % 2), EventAt: event.Some(us - 40_000 - g.Int64N(3000)),
		Operation: event.Text("create"), DID: event.Text(g.did()), RKey: event.Text(g.tid(us - 90_000 - g.Int64N(200_000))),
		Rev: event.Text(g.tid(us - 60_000 - g.Int64N(50_000))), CID: event.Text(g.cid()),
		CreatedAt: event.Some((ms - g.Int64N(2000)) * 1000), EntryHash: event.Some(int64(g.Uint64())),
	}
	switch kind {
	case event.Posts:
		g.post(r)
	case event.Follows, event.Blocks:
		r.SubjectDID = event.Text(g.did())
	default:
		g.subject(r)
	}
	return r
}

func (g *realistic) subject(r *event.Row) {
	n := g.subjects.Uint64()
	s := rand.New(rand.NewPCG(n, 5))
	tid := &realistic{Rand: s}
	r.SubjectURI = fmt.Appendf(nil, "at://did:plc:%s/app.bsky.feed.post/%s", seeded(s.Uint64N(300_000), plainBase32, 24), tid.tid(sampleStart*1000-s.Int64N(86_400_000_000)))
	r.SubjectCID = event.Text("bafyrei" + seeded(n+1<<40, plainBase32, 52))
	if g.IntN(5) == 0 {
		r.ViaURI = fmt.Appendf(nil, "at://%s/app.bsky.feed.repost/%s", g.did(), g.tid(sampleStart*1000))
		r.ViaCID = event.Text(g.cid())
	}
}

var syllables = strings.Fields("the to and of in is it you that for on with this my was so just be not have but are what all at me like when we good day new time people know can one do out go they")

func (g *realistic) post(r *event.Row) {
	var text strings.Builder
	for range 3 + g.IntN(30) {
		text.WriteString(syllables[g.IntN(len(syllables))])
		text.WriteString(seeded(uint64(g.IntN(3000)), sortable, g.IntN(4)))
		text.WriteByte(' ')
	}
	r.Text = event.Text(text.String())
	if g.IntN(10) > 0 {
		r.Langs = event.List{[]byte([]string{"en", "en", "ja", "pt", "de"}[g.IntN(5)])}
	}
	if g.IntN(2) == 0 {
		g.subject(r)
		r.ReplyRootURI, r.ReplyRootCID, r.ReplyParentURI, r.ReplyParentCID = r.SubjectURI, r.SubjectCID, r.SubjectURI, r.SubjectCID
		r.SubjectURI, r.SubjectCID, r.ViaURI, r.ViaCID = nil, nil, nil, nil // a post has none
	}
	if g.IntN(3) == 0 {
		r.EmbedType = event.Text("app.bsky.embed.images")
		r.EventJSON = fmt.Appendf(nil, `{"did":"%s","time_us":%d,"kind":"commit","commit":{"rev":"%s","operation":"create","collection":"app.bsky.feed.post","rkey":"%s","record":{"$type":"app.bsky.feed.post","text":"%s","embed":{"$type":"app.bsky.embed.images","images":[{"alt":"","image":{"ref":{"$link":"%s"}}}]}},"cid":"%s"}}`,
			r.DID, r.EventAt.Value, r.Rev, r.RKey, r.Text, g.cid(), r.CID)
	}
}

// BenchmarkWrite writes a window's rows per operation and reports rows per
// second and bytes per row. TEST_BENCH_FILES names a directory that
// keeps the files, to be compared with what other writers make of the rows.
func BenchmarkWrite(b *testing.B) {
	for _, kind := range event.Kinds() {
		for _, codec := range codecs() {
			b.Run(fmt.Sprintf("%s/%s", kind, codec), func(b *testing.B) { benchmarkWrite(b, kind, codec) })
		}
	}
}

// windowRows is how many likes a window of five minutes brings.
const windowRows = 67_000

func realisticRows(kind event.Kind) []event.Row {
	g, rows := newRealistic(), make([]event.Row, windowRows)
	for i := range rows {
		rows[i] = *g.next(kind, i, windowRows/300)
	}
	return rows
}

func benchmarkWrite(b *testing.B, kind event.Kind, codec Compression) {
	rows := realisticRows(kind)
	var file bytes.Buffer
	runtime.GC()
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		file.Reset()
		writeRows(b, &file, kind, codec, rows)
	}
	b.ReportMetric(float64(windowRows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(file.Len())/windowRows, "bytes/row")
	if dir := os.Getenv("TEST_BENCH_FILES"); dir != "" {
		name := fmt.Sprintf("%s.%s.parquet", kind, codec)
		if err := os.WriteFile(filepath.Join(dir, name), file.Bytes(), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

func writeRows(tb testing.TB, to io.Writer, kind event.Kind, codec Compression, rows []event.Row) {
	w := NewWriter(to, event.RowColumns(kind), Options{Compression: codec})
	for i := range rows {
		if err := w.Append(&rows[i]); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(testMeta(kind, int64(len(rows)), 0)); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkRead reads a window's likes: what identifies them, and all of them.
func BenchmarkRead(b *testing.B) {
	var file bytes.Buffer
	writeRows(b, &file, event.Likes, Zstd, realisticRows(event.Likes))
	f := openBytes(b, file.Bytes())
	for name, read := range map[string]func() error{
		"identities": func() error { return f.Identities(func(event.ID, uint64) error { return nil }) },
		"rows": func() error {
			return ReadRows(f, event.RowColumns(event.Likes), func(*event.Row) error { return nil })
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := read(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(windowRows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
