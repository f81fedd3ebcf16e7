package torture

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// pair gives a world a server with a replica. Drains reach whichever of them
// serves under one address, as they do in production.
func (w *world) pair(args ...string) {
	w.redis = w.startServer("redis", freePort(), args...)
	w.follow()
	w.point()
}

// address is the name under which drains find the server that serves.
func (w *world) address() string { return filepath.Join(w.dir, "serving") }

func (w *world) point() {
	next := w.address() + ".new"
	try(os.Symlink(w.redis.socket(), next))
	try(os.Rename(next, w.address()))
	w.url = "unix://" + w.address() + "?db=0"
}

// follow starts a replica of the server.
func (w *world) follow() {
	w.replica = w.startServer(fmt.Sprintf("redis%d", len(w.servers)), freePort(), "--replicaof", fmt.Sprintf("127.0.0.1 %d", w.redis.port))
	w.await("the replica", w.replicaIsUp)
}

func (w *world) replicaIsUp() bool {
	info, _ := w.replica.c.Info(w.ctx(), "replication").Result()
	return strings.Contains(info, "master_link_status:up")
}

// cutOff lets the replica hear no more of its master.
func (w *world) cutOff() { w.replica.do("REPLICAOF", "NO", "ONE") }

// promote lets the replica take the server's place. The old one is killed, or
// lives on, cut off from all but the runs that are connected to it already.
func (w *world) promote(alive bool) {
	if !alive {
		w.redis.kill()
	}
	w.cutOff()
	w.redis, w.replica = w.replica, nil
	w.redis.args = nil // when it restarts, it follows nobody
	w.point()
}
