package ingest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/simulate"
	"datawriter/worker/stream"
)

// BenchmarkTakingIn is what each message costs before Redis: read, known or not,
// put into its lane.
func BenchmarkTakingIn(b *testing.B) {
	for _, wire := range []Wire{V1, V2} {
		b.Run(string(wire), func(b *testing.B) {
			client, err := stream.Open(stream.Config{URL: "redis://127.0.0.1:1"})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = client.Close() }()
			g, err := New(client, Options{Hosts: []string{"ws://a"}, StateDir: b.TempDir(), Remember: 1 << 30})
			if err != nil {
				b.Fatal(err)
			}
			texts := messages(b, wire, 20_000)
			l := g.newLink(asking{host: "ws://a", wire: wire, numbers: true}, position{}, cursor{})
			s := &subscription{link: l, reached: true}
			b.ReportAllocs()
			b.ResetTimer()
			for n := range b.N {
				if n%len(texts) == 0 {
					for _, lane := range g.lanes {
						lane.seen = newSeen()
					}
				}
				e, ok, err := s.parse(texts[n%len(texts)])
				if !ok || err != nil {
					b.Fatal(ok, err)
				}
				if err := l.take(s, &e); err != nil {
					b.Fatal(err)
				}
				if l.batch.full() {
					l.batch.reset()
				}
			}
		})
	}
}

// messages returns made-up events as a wire sends them, with numbers.
func messages(b *testing.B, wire Wire, n int) (texts [][]byte) {
	g, err := simulate.NewGenerator(simulate.Traits{Seed: 5})
	if err != nil {
		b.Fatal(err)
	}
	var reader event.Envelopes
	for i := range n {
		at := time.Now().UnixMicro()
		text := g.Append(nil, g.Kind(), at)
		if wire == V1 {
			texts = append(texts, append(fmt.Appendf(nil, `{"cursor":%d,`, i+1), text[1:]...))
			continue
		}
		e, _ := reader.Read(text)
		inner := bytes.TrimSuffix(text[bytes.Index(text, []byte(`"commit":{`))+10:], []byte("}}"))
		texts = append(texts, fmt.Appendf(nil, `{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#commit","seq":%d,"did":"%s","time":"%s",%s}}`,
			i+1, e.DID, time.UnixMicro(at).UTC().Format("2006-01-02T15:04:05.000000Z"), inner))
	}
	return texts
}
