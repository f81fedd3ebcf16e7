package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"

	"datawriter/worker/event"
	"datawriter/worker/part"
	"datawriter/worker/stream"
	"datawriter/worker/window"
)

// encodeAlone decodes and encodes the data set from memory into memory, kinds
// side by side as the drain does it.
func encodeAlone(ctx context.Context, url string) (measured, error) {
	client, err := stream.Open(stream.Config{URL: url})
	if err != nil {
		return measured{}, err
	}
	defer client.Close()
	entries := make(map[event.Kind][]event.Entry)
	for _, kind := range event.Kinds() {
		if entries[kind], err = loadEntries(ctx, client.Stream(kind)); err != nil {
			return measured{}, err
		}
	}
	sizes := make([]int64, len(event.Kinds()))
	result, err := timed(func() error {
		return eachKind(func(kind event.Kind) (err error) {
			sizes[kind], err = encode(kind, entries[kind])
			return err
		})
	})
	for _, size := range sizes {
		result.Bytes += size
	}
	result.Offline = true
	return result, err
}

// loadEntries copies a stream into memory.
func loadEntries(ctx context.Context, s *stream.Stream) (all []event.Entry, err error) {
	var page stream.Page
	for from := (event.ID{}); ; {
		if err := s.Range(ctx, &page, from, event.ID{MS: 1 << 50}, stream.MaxPage); err != nil || len(page.Entries) == 0 {
			return all, err
		}
		for _, e := range page.Entries {
			kept := event.Entry{ID: e.ID}
			for _, f := range e.Fields {
				kept.Fields = append(kept.Fields, bytes.Clone(f))
			}
			all = append(all, kept)
		}
		from = page.Entries[len(page.Entries)-1].ID
		from.Seq++
	}
}

func encode(kind event.Kind, entries []event.Entry) (int64, error) {
	var (
		out     counter
		decoder event.Decoder
		row     event.Row
		rejects int64
	)
	writer := part.NewWriter(&out, event.RowColumns(kind), part.Options{})
	for i := range entries {
		if reason := decoder.Decode(kind, &entries[i], &row); reason != "" {
			rejects++
			continue
		}
		if err := writer.Append(&row); err != nil {
			return 0, err
		}
	}
	w, err := window.Parse(firstWindow)
	if err != nil {
		return 0, err
	}
	meta := part.Meta{Kind: kind, Window: w, Rows: writer.Rows(), Rejected: rejects, RunID: "bench", WriterVersion: "bench"}
	if len(entries) > 0 {
		meta.FirstID, meta.LastID = entries[0].ID, entries[len(entries)-1].ID
	}
	return int64(out), writer.Close(meta)
}

// counter is a writer that only counts.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// diskAlone writes as many bytes as a drain does, in one file a kind, and syncs
// them.
func diskAlone(folder string, total int64) (measured, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return measured{}, err
	}
	block := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	result, err := timed(func() error {
		return eachKind(func(kind event.Kind) error {
			return writeFile(filepath.Join(folder, kind.String()), block, total/int64(len(event.Kinds())))
		})
	})
	result.Bytes, result.Offline = total, true
	return result, err
}

func writeFile(name string, block []byte, size int64) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	for ; size > 0; size -= int64(len(block)) {
		if _, err := file.Write(block[:min(size, int64(len(block)))]); err != nil {
			return err
		}
	}
	return file.Sync()
}
