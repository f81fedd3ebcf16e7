package main

import (
	"context"
	"os"
	"os/exec"
	"strconv"

	"datawriter/worker/stream"
)

// variants lists what is measured, in the order of the table.
func (o options) variants() []variant {
	program := func(about string, name string, flags ...string) variant {
		return variant{Name: name, About: about, drains: true, command: func(ctx context.Context, s *stage, data string) *exec.Cmd {
			args := append([]string{"run", "--window", s.window.String(), "--catch-up", "--data", data, "--log-level", "error"}, flags...)
			c := exec.CommandContext(ctx, o.binary, args...)
			c.Env = append(os.Environ(), "DATAWRITER_REDIS_URL="+s.url)
			return c
		}}
	}
	child := func(about, name, mode string, drains bool) variant {
		return variant{Name: name, About: about, drains: drains, command: func(ctx context.Context, s *stage, data string) *exec.Cmd {
			c := exec.CommandContext(ctx, o.self, "-child", mode, "-redis", s.url, "-data", data, "-ids", s.dir, "-bytes", strconv.FormatInt(s.events*bytesPerEvent, 10))
			c.Env = append(os.Environ(), childEnv(mode)...)
			return c
		}}
	}
	all := []variant{
		program("the default: pending list, acks, zstd", nameRun),
		program("without a pending list", nameNoack, "--noack"),
		program("the default with snappy", "run --compression snappy", "--compression", "snappy"),
		child("limit: XREADGROUP, XACK, XTRIM, replies thrown away", nameBareAck, "ack", true),
		child("limit: XRANGE, XTRIM, replies thrown away", nameBareRange, "range", true),
		child("limit: decoding and encoding from memory, one core", nameEncode, "encode", false),
		child("limit: the same bytes to disk, synced", nameDisk, "disk", false),
	}
	if o.python != "" {
		all = append(all, variant{Name: namePeer, About: "peer: redis-py with hiredis, orjson, pyarrow; acks and deletes", drains: true,
			command: func(ctx context.Context, s *stage, data string) *exec.Cmd {
				return exec.CommandContext(ctx, o.python, "worker/bench/peers/drain.py", s.url, data, stream.DefaultPrefix)
			}})
	}
	return all
}

// bytesPerEvent is about what a drained event takes on disk.
const bytesPerEvent = 150

// Names that the ratios refer to.
const (
	nameRun       = "run"
	nameNoack     = "run --noack"
	nameBareAck   = "bare read + ack + delete"
	nameBareRange = "bare range + trim"
	nameEncode    = "encoding alone"
	nameDisk      = "disk alone"
	namePeer      = "python peer"
)

// childEnv leaves encoding alone the cores that Redis leaves: one of two.
func childEnv(mode string) []string {
	if mode == "encode" {
		return []string{"GOMAXPROCS=1"}
	}
	return nil
}
