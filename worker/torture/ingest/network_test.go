package ingest_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"datawriter/worker/event"
)

// network is what a relay sends: its frames in order, and the document of each
// identity that signed one, which servers ask for to check the signatures.
type network struct {
	frames    []frame
	documents map[string]json.RawMessage
}

// frame is one message of a relay and the events that Jetstream makes of it.
type frame struct {
	seq    int64
	raw    []byte
	events []happening
}

// happening is an event as the network knows it, before any server numbers or
// times it.
type happening struct {
	key  string
	kind event.Kind
	uri  string // of a record that was created
}

// jetstreams is the folder with the built servers.
func jetstreams() string {
	if folder := os.Getenv("TEST_JETSTREAM"); folder != "" {
		return folder
	}
	return filepath.Join("..", "..", "..", ".cache", "jetstream")
}

// recorded is the network of all seeds: what the simulator of Jetstream made
// once, so that a seed may send it as fast and as unevenly as it likes.
var recorded = sync.OnceValues(func() (*network, error) {
	if _, err := os.Stat(filepath.Join(jetstreams(), "simulator")); err != nil {
		return nil, fmt.Errorf("there are no built servers (%w): run make jetstream-servers, or name their folder in TEST_JETSTREAM", err)
	}
	folder := filepath.Join(jetstreams(), fmt.Sprintf("network-%d", *recordParts))
	if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
		if err := record(folder); err != nil {
			return nil, fmt.Errorf("record the simulator: %w", err)
		}
	}
	return loadNetwork(folder)
})

// loadNetwork reads frames.bin.zst, which holds the frames, each behind its
// length, and did_docs.json.zst. Jetstream's own corpus has the same two.
func loadNetwork(folder string) (*network, error) {
	n := &network{documents: make(map[string]json.RawMessage)}
	err := readPacked(filepath.Join(folder, "did_docs.json.zst"), func(r io.Reader) error {
		return json.NewDecoder(r).Decode(&n.documents)
	})
	if err != nil {
		return nil, err
	}
	err = readPacked(filepath.Join(folder, "frames.bin.zst"), func(r io.Reader) error {
		for buffered := bufio.NewReaderSize(r, 1<<20); ; {
			var length uint32
			if err := binary.Read(buffered, binary.LittleEndian, &length); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			raw := make([]byte, length)
			if _, err := io.ReadFull(buffered, raw); err != nil {
				return err
			}
			f, err := newFrame(raw)
			if err != nil {
				return err
			}
			n.frames = append(n.frames, f)
		}
	})
	return n, err
}

func readPacked(path string, read func(io.Reader) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	unpacked, err := zstd.NewReader(file)
	if err != nil {
		return err
	}
	defer unpacked.Close()
	if err := read(unpacked); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func newFrame(raw []byte) (f frame, err error) {
	header, body, err := decodeCBOR(raw)
	if err != nil {
		return f, err
	}
	value, _, err := decodeCBOR(body)
	if err != nil {
		return f, err
	}
	class, _ := header.(map[string]any)["t"].(string)
	fields, _ := value.(map[string]any)
	f.raw = raw
	f.seq, _ = fields["seq"].(int64)
	switch class {
	case "#commit":
		f.events = commits(fields)
	case "#identity", "#account":
		kind, _ := event.ParseKind(class[1:])
		f.events = []happening{{key: rawKey(class[1:], text(fields["did"]), f.seq), kind: kind}}
	}
	return f, nil
}

func commits(fields map[string]any) (events []happening) {
	did, rev := text(fields["repo"]), text(fields["rev"])
	operations, _ := fields["ops"].([]any)
	for _, o := range operations {
		operation, _ := o.(map[string]any)
		collection, rkey, _ := strings.Cut(text(operation["path"]), "/")
		kind, ours := event.KindOfCollection(collection)
		if !ours {
			continue
		}
		h := happening{key: strings.Join([]string{did, collection, rkey, rev, text(operation["action"])}, " "), kind: kind}
		if operation["action"] == "create" {
			h.uri = "at://" + did + "/" + collection + "/" + rkey
		}
		events = append(events, h)
	}
	return events
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

// rawKey names an identity or account event: the relay's own number, which it
// carries, is the same on every server.
func rawKey(class, did string, seq int64) string { return fmt.Sprintf("%s %s %d", class, did, seq) }
