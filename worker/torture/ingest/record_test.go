package ingest_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/coder/websocket"
	"github.com/klauspost/compress/zstd"
)

// The network is made in parts, as the simulator sends more of a repository the more
// is in it. Five are some 27,000 events.
var recordParts = flag.Int("parts", 5, "how much the network of the seeds has, in 5,000 events")

const recordFrames = 4000 // of a part

// record lets the simulator of Jetstream make a network and keeps what its relay
// sends, whole or not at all.
func record(folder string) error {
	work, err := os.MkdirTemp(filepath.Dir(folder), "recording-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	result := filepath.Join(work, "network")
	if err := os.Mkdir(result, 0o755); err != nil {
		return err
	}
	documents := make(map[string]json.RawMessage)
	err = writePacked(filepath.Join(result, "frames.bin.zst"), func(w io.Writer) error {
		for part := range *recordParts {
			if err := recordPart(ctx, filepath.Join(work, strconv.Itoa(part)), part, w, documents); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = writePacked(filepath.Join(result, "did_docs.json.zst"), func(w io.Writer) error { return json.NewEncoder(w).Encode(documents) })
	if err != nil {
		return err
	}
	if err := os.Rename(result, folder); err != nil && !os.IsExist(err) {
		return err
	}
	return nil
}

// recordPart appends the frames of one simulated network, numbered behind those
// before it, and adds the documents of its people.
func recordPart(ctx context.Context, world string, part int, to io.Writer, documents map[string]json.RawMessage) error {
	var people map[string]bool
	err := simulated(ctx, world, part, "100000", func(address string) (err error) {
		people, err = recordStream(ctx, address, int64(part*recordFrames), to)
		return err
	})
	if err != nil {
		return err
	}
	return simulated(ctx, world, part, "0.01", func(address string) error { // it answers nobody while it works
		for did := range people {
			if documents[did], err = fetch(ctx, "http://"+address+"/"+did); err != nil {
				return err
			}
		}
		return nil
	})
}

// simulated calls do beside a simulator that makes so many commits a second.
func simulated(ctx context.Context, world string, part int, rate string, do func(address string) error) error {
	port, err := unusedPort()
	if err != nil {
		return err
	}
	address := "127.0.0.1:" + strconv.Itoa(port)
	c := exec.CommandContext(ctx, filepath.Join(jetstreams(), "simulator"), "--log-level", "warn", "serve", "--addr", address, "--data-dir", world,
		"--seed", strconv.Itoa(42+part), "--accounts", "1000", "--initial-records-per-account", "0", "--commits-per-sec", rate, "--firehose-history", "1000000")
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return err
	}
	defer func() { _ = c.Process.Kill(); _ = c.Wait() }()
	for ctx.Err() == nil {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return do(address)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return ctx.Err()
}

// recordStream writes frames, and returns whose they are.
func recordStream(ctx context.Context, address string, behind int64, to io.Writer) (people map[string]bool, err error) {
	conn, _, err := websocket.Dial(ctx, "ws://"+address+"/xrpc/com.atproto.sync.subscribeRepos?cursor=0", nil) //nolint:bodyclose // the library closes it
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(-1)
	people = make(map[string]bool)
	for n := range int64(recordFrames) {
		_, raw, err := conn.Read(ctx)
		if err != nil {
			return nil, err
		}
		did, err := author(raw)
		if err != nil {
			return nil, err
		}
		people[did] = true
		if raw, err = renumbered(raw, behind+n+1); err != nil {
			return nil, err
		}
		if err := binary.Write(to, binary.LittleEndian, uint32(len(raw))); err != nil {
			return nil, err
		}
		if _, err := to.Write(raw); err != nil {
			return nil, err
		}
	}
	return people, nil
}

// renumbered returns a frame with another number. A signature is over what lies in
// the frame's blocks, not over its number.
func renumbered(raw []byte, seq int64) ([]byte, error) {
	_, body, err := decodeCBOR(raw)
	if err != nil {
		return nil, err
	}
	_, entries, rest, err := cborHead(body)
	for ; err == nil && entries > 0; entries-- {
		var key any
		if key, rest, err = decodeCBOR(rest); err != nil {
			break
		}
		at := len(raw) - len(rest)
		if _, rest, err = decodeCBOR(rest); err == nil && key == "seq" {
			return slices.Concat(raw[:at], cborNumber(uint64(seq)), rest), nil
		}
	}
	return nil, errCBOR
}

// cborNumber writes a number in as few bytes as DAG-CBOR asks for.
func cborNumber(n uint64) []byte {
	switch {
	case n < 24:
		return []byte{byte(n)}
	case n < 1<<8:
		return []byte{0x18, byte(n)}
	case n < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{0x19}, uint16(n))
	}
	return binary.BigEndian.AppendUint32([]byte{0x1a}, uint32(n))
}

// author returns whose commit or identity a frame is.
func author(raw []byte) (string, error) {
	_, body, err := decodeCBOR(raw)
	if err != nil {
		return "", err
	}
	fields, _, err := decodeCBOR(body)
	of, _ := fields.(map[string]any)
	return text(of["repo"]) + text(of["did"]), err
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s: %s", url, response.Status, body)
	}
	return body, err
}

func writePacked(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	packed, err := zstd.NewWriter(file)
	if err == nil {
		err = write(packed)
		if closed := packed.Close(); err == nil {
			err = closed
		}
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}
