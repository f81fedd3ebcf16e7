package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// sample is one measurement.
type sample struct {
	Seconds  float64 `json:"seconds"`
	CPU      float64 `json:"cpu_seconds"`       // of the measured process
	RedisCPU float64 `json:"redis_cpu_seconds"` // of the server meanwhile
	PeakMB   float64 `json:"peak_mb"`           // resident memory of the measured process
	Bytes    int64   `json:"bytes"`             // of the files that it wrote
}

// variant is one thing to measure. It runs in a process of its own, so that CPU
// and memory are its alone.
type variant struct {
	Name    string
	About   string
	command func(ctx context.Context, s *stage, data string) *exec.Cmd
	drains  bool // it must leave nothing behind
}

// measure runs a variant on a fresh copy of the data set.
func (v variant) measure(ctx context.Context, s *stage) (sample, error) {
	data := filepath.Join(s.dir, "data")
	if err := errors.Join(os.RemoveAll(data), s.reset(ctx)); err != nil {
		return sample{}, err
	}
	before, err := s.cpu(ctx)
	if err != nil {
		return sample{}, err
	}
	c := v.command(ctx, s, data)
	var stderr, stdout strings.Builder
	c.Stdout, c.Stderr = &stdout, &stderr
	start := time.Now()
	if err := c.Start(); err != nil {
		return sample{}, fmt.Errorf("%s: %w", v.Name, err)
	}
	peak := watchMemory(c.Process.Pid)
	if err := c.Wait(); err != nil {
		return sample{}, fmt.Errorf("%s: %w\n%s", v.Name, err, stderr.String())
	}
	took := time.Since(start)
	after, err := s.cpu(ctx)
	if err != nil {
		return sample{}, err
	}
	m := sample{
		Seconds:  took.Seconds(),
		CPU:      (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds(),
		RedisCPU: after - before,
		PeakMB:   float64(<-peak) / 1024,
		Bytes:    treeBytes(data),
	}
	m.inner(stdout.String())
	return m, v.check(ctx, s)
}

// watchMemory yields the peak of a process's memory in KiB once it has ended, as
// looked at every few milliseconds. What wait4 says would include this process's
// own memory, which the child shares until it executes its program.
func watchMemory(pid int) <-chan int {
	peak := make(chan int, 1)
	go func() {
		most := 0
		for {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			_, after, found := strings.Cut(string(text), "VmHWM:")
			if err != nil || !found { // it has ended
				peak <- most
				return
			}
			var now int
			if _, err := fmt.Sscan(after, &now); err == nil {
				most = now
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return peak
}

// inner takes over what a child says of the part of its life that counts.
func (m *sample) inner(text string) {
	var own measured
	if json.Unmarshal([]byte(text), &own) != nil || own.Seconds == 0 {
		return
	}
	m.Seconds, m.CPU, m.Bytes = own.Seconds, own.CPU, own.Bytes
	if own.Offline {
		m.RedisCPU = 0
	}
}

func (v variant) check(ctx context.Context, s *stage) error {
	if !v.drains {
		return nil
	}
	left, err := s.left(ctx)
	if err == nil && left != 0 {
		err = fmt.Errorf("%s left %d entries behind", v.Name, left)
	}
	return err
}

// treeBytes returns the size of all Parquet files below a folder.
func treeBytes(folder string) (total int64) {
	_ = filepath.Walk(folder, func(_ string, info os.FileInfo, err error) error {
		if err == nil && strings.HasSuffix(info.Name(), ".parquet") {
			total += info.Size()
		}
		return nil
	})
	return total
}
