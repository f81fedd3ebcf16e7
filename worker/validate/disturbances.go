package validate

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"datawriter/worker/simulate"
)

// patience is how long a part of the stack may take to be back.
const patience = 4 * time.Minute

// workerAway stops the worker for a while.
func (st *stage) workerAway(d time.Duration) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		if err := st.stack.supervisor(ctx, "stop", "worker"); err != nil {
			return "", err
		}
		if err := sleep(ctx, d); err != nil {
			return "", err
		}
		gone := len(st.pids("worker")) == 0
		err := st.stack.supervisor(ctx, "start", "worker")
		if !gone {
			err = errors.Join(err, errors.New("the worker ran on"))
		}
		return fmt.Sprintf("no worker for %s", d), err
	}
}

// killWorker ends the worker at once, as soon as a run of its is at work; supervisor
// starts another.
func (st *stage) killWorker(ctx context.Context) (string, error) {
	if _, err := st.another(ctx, "flow", nil); err != nil {
		return "", err
	}
	before := st.pids("worker")
	if err := st.stack.killWorker(); err != nil {
		return "", err
	}
	after, err := st.another(ctx, "worker", before)
	return fmt.Sprintf("process %v, then %d, a flow at work", before, after), err
}

// restartRedis is an orderly restart: nothing that was acknowledged may be lost.
func (st *stage) restartRedis(ctx context.Context) (string, error) {
	before, err := readInfo(ctx, st.stack.redis, "server")
	if err != nil {
		return "", err
	}
	if err := st.stack.supervisor(ctx, "restart", "redis"); err != nil {
		return "", err
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		after, err := readInfo(ctx, st.stack.redis, "server")
		if err == nil && after["run_id"] != before["run_id"] {
			return fmt.Sprintf("run_id %.8s…, then %.8s…", before["run_id"], after["run_id"]), nil
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return "", err
		}
	}
	return "", errors.New("redis is not back")
}

// serverAway stops the Prefect server for a while.
func (st *stage) serverAway(d time.Duration) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		before := st.pids("server")
		if err := st.stack.supervisor(ctx, "stop", "server"); err != nil {
			return "", err
		}
		if err := sleep(ctx, d); err != nil {
			return "", err
		}
		if err := st.stack.supervisor(ctx, "start", "server"); err != nil {
			return "", err
		}
		after, err := st.another(ctx, "server", before)
		if err != nil {
			return "", err
		}
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
			var healthy bool
			if st.stack.prefect.get(ctx, "/health", &healthy) == nil && healthy {
				return fmt.Sprintf("process %v, then %d, healthy again", before, after), nil
			}
			if err := sleep(ctx, 200*time.Millisecond); err != nil {
				return "", err
			}
		}
		return "", errors.New("the server is not healthy again")
	}
}

// fullDisk takes all the room that is left where the files go, for a while.
func (st *stage) fullDisk(d time.Duration) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		filler := filepath.Join(filepath.Dir(st.stack.data), "filler")
		var disk unix.Statfs_t
		if err := unix.Statfs(st.stack.data, &disk); err != nil {
			return "", err
		}
		// What fallocate cannot have, dd takes; that it ends with ENOSPC is the point.
		room := disk.Bavail * uint64(disk.Bsize)
		_ = exec.CommandContext(ctx, "fallocate", "-l", fmt.Sprint(room-min(room, 16<<20)), filler).Run()
		_ = exec.CommandContext(ctx, "dd", "if=/dev/zero", "of="+filler, "bs=64k", "oflag=append", "conv=notrunc").Run()
		if err := unix.Statfs(st.stack.data, &disk); err != nil {
			return "", err
		}
		left := disk.Bavail * uint64(disk.Bsize)
		err := sleep(ctx, d)
		if rm := exec.CommandContext(context.WithoutCancel(ctx), "rm", "-f", filler).Run(); rm != nil {
			err = errors.Join(err, rm)
		}
		if left > 1<<20 {
			err = errors.Join(err, fmt.Errorf("%d bytes were left", left))
		}
		return fmt.Sprintf("%d bytes left of %d MB", left, disk.Blocks*uint64(disk.Bsize)>>20), err
	}
}

// burst sends faster for a while, beside the traffic.
func (st *stage) burst(d time.Duration) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		result, err := simulate.Run(ctx, st.stack.source, simulate.Options{
			Traits: simulate.Traits{Seed: 2, Authors: simulate.DefaultAuthors}, Rate: burstRate, Duration: d, OnAdded: st.journal.add, Log: st.cfg.Log,
		})
		st.rec.Burst = &result
		return fmt.Sprintf("%s entries, %s a second", Number(float64(result.Added), ""), Number(result.Rate, "")), err
	}
}

// smallDisk mounts a file system of its own for the files, so that it can be filled
// without filling anybody else's. It needs root; without, ok is false.
func (s *Session) smallDisk(ctx context.Context, folder string, size int64) (path string, ok bool, err error) {
	image, mount := filepath.Join(folder, "disk.img"), filepath.Join(folder, "disk")
	for _, command := range [][]string{
		{"mkdir", "-p", mount},
		{"truncate", "-s", fmt.Sprint(size), image},
		{"mkfs.ext4", "-q", "-m", "0", image},
		{"mount", "-o", "loop", image, mount},
	} {
		if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			s.remark("No disk was filled, since none could be made for it (%s: %v: %s): that needs root and loop devices.", command[0], err, out)
			return "", false, ctx.Err()
		}
	}
	s.cleanup(func(ctx context.Context) error {
		out, err := exec.CommandContext(ctx, "umount", mount).CombinedOutput()
		if err != nil {
			return fmt.Errorf("umount %s: %w: %s", mount, err, out)
		}
		if s.cfg.Keep != "" {
			return nil
		}
		return exec.CommandContext(ctx, "rm", "-f", image).Run()
	})
	return filepath.Join(mount, "data"), true, nil
}

// pids lists the processes of a role, the oldest first.
func (st *stage) pids(role string) (pids []int) {
	for _, p := range st.stack.processes() {
		if p.role == role {
			pids = append(pids, p.pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// another waits for a process of a role that was not there before.
func (st *stage) another(ctx context.Context, role string, before []int) (int, error) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		for _, pid := range st.pids(role) {
			if !slices.Contains(before, pid) {
				return pid, nil
			}
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("the %s is not back", role)
}
