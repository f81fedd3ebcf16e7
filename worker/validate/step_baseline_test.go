package validate

import (
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"datawriter/worker/stream/streamtest"
)

func TestBaseline(t *testing.T) {
	report, err := execute(t, "baseline", trial(t))
	if err != nil {
		t.Errorf("%v:\n%s", err, table(t, report))
	}

	t.Run("a slow Redis fails", func(t *testing.T) {
		cfg := trial(t)
		cfg.Redis = slowly(t, streamtest.Start(t), 100*time.Millisecond)
		report, err := execute(t, "baseline", cfg)
		failed := failures(report)
		if !errors.Is(err, ErrFailed) || !slices.Contains(failed, "SET, one connection") || !slices.Contains(failed, "sustained, P50") {
			t.Errorf("%v: %q", err, failed)
		}
	})
	t.Run("a full Redis fails", func(t *testing.T) {
		cfg := trial(t)
		cfg.RedisOption = []string{"maxmemory 12mb"}
		report, err := execute(t, "baseline", cfg)
		if !errors.Is(err, ErrFailed) || !slices.Contains(failures(report), "memory under load") {
			t.Errorf("%v: %q", err, failures(report))
		}
	})
}

// slowly returns the URL of a server behind a proxy that holds each answer back.
func slowly(t *testing.T, server *streamtest.Server, delay time.Duration) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(server.Port))
			if err != nil {
				near.Close()
				return
			}
			go func() { _, _ = io.Copy(far, near); far.Close() }()
			go func() { holdBack(near, far, delay); near.Close() }()
		}
	}()
	return "redis://" + listener.Addr().String() + "/0"
}

// holdBack copies answers, each late.
func holdBack(to, from net.Conn, delay time.Duration) {
	page := make([]byte, 1<<20)
	for {
		n, err := from.Read(page)
		if err != nil {
			return
		}
		time.Sleep(delay)
		if _, err := to.Write(page[:n]); err != nil {
			return
		}
	}
}
