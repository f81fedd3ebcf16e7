package audit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sys/unix"

	"datawriter/worker/stream"
)

// facts are what a server let us see.
type facts struct {
	settings map[string]string // CONFIG GET *
	info     map[string]string // INFO
	blind    []string

	open      bool // the default user enters without a password
	openKnown bool
	ahead     []string // streams whose last ID is ahead of the clock, and by how much
	forgotten []string // other groups that do not read what is there
	looked    bool     // at all streams
	encrypted bool     // this connection is
	local     bool     // the server's process is one of this machine
}

// look asks a server for everything that the rules need. What it refuses to tell
// is in blind.
func look(ctx context.Context, client *redis.Client) (*facts, error) {
	f := &facts{settings: map[string]string{}, encrypted: client.Options().TLSConfig != nil}
	if err := f.readInfo(ctx, client); err != nil {
		return nil, err
	}
	settings, err := client.ConfigGet(ctx, "*").Result()
	if err := f.refused("CONFIG GET", err); err != nil {
		return nil, err
	}
	if settings != nil {
		f.settings = settings
	}
	f.local = f.isLocal(client.Options())
	return f, f.lookAtAccess(ctx, client)
}

func (f *facts) readInfo(ctx context.Context, client *redis.Client) error {
	f.info = make(map[string]string)
	text, err := client.Info(ctx).Result()
	if err := f.refused("INFO", err); err != nil {
		return err
	}
	for line := range strings.SplitSeq(text, "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			f.info[name] = value
		}
	}
	return nil
}

// shut lists the answers of a server that lets us see nothing at all.
var shut = []string{"NOAUTH", "WRONGPASS", "LOADING", "DENIED"}

// refused notes what the server refuses to tell. It returns an error when the
// server is away, or lets us see nothing at all.
func (f *facts) refused(what string, err error) error {
	var reply redis.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &reply):
		return stream.Explained("audit", err)
	}
	if code, _, _ := strings.Cut(reply.Error(), " "); slices.Contains(shut, code) {
		return stream.Explained("audit", err)
	}
	f.blind = append(f.blind, fmt.Sprintf("%s is refused (%s)", what, reply.Error()))
	return nil
}

// lookAtStreams compares the last ID of each stream with the server's clock.
func (f *facts) lookAtStreams(ctx context.Context, client *redis.Client, streams []*stream.Stream) error {
	now, err := client.Time(ctx).Result()
	if err := f.refused("TIME", err); err != nil {
		return err
	}
	f.looked = err == nil
	for _, s := range streams {
		state, err := s.State(ctx)
		if err != nil {
			f.looked = false
			if err := f.refused("XINFO of "+s.Name(), err); err != nil {
				return err
			}
			continue
		}
		if state.IsAhead(now) {
			seconds, _ := state.Ahead(now)
			f.ahead = append(f.ahead, fmt.Sprintf("%s: %.0f s", s.Name(), seconds))
		}
		others, err := s.Others(ctx)
		if err != nil {
			f.looked = false
			if err := f.refused("the groups of "+s.Name(), err); err != nil {
				return err
			}
		}
		for _, o := range others {
			if seconds := o.Seconds(now); seconds > stream.ForgottenAfter.Seconds() {
				f.forgotten = append(f.forgotten, fmt.Sprintf("%s of %s: %.0f s", o.Name, s.Name(), seconds))
			}
		}
	}
	return nil
}

// streamsAhead names the streams whose last ID is ahead of the clock.
func streamsAhead(f *facts) (string, bool) {
	if len(f.ahead) == 0 {
		return "none", f.looked
	}
	return strings.Join(f.ahead, ", "), true
}

// groupsForgotten names the other groups that do not read.
func groupsForgotten(f *facts) (string, bool) {
	if len(f.forgotten) == 0 {
		return "none", f.looked
	}
	return strings.Join(f.forgotten, ", "), true
}

// lookAtAccess finds out whether anybody may enter. Who came in without a password
// knows.
func (f *facts) lookAtAccess(ctx context.Context, client *redis.Client) error {
	if o := client.Options(); o.Username == "" && o.Password == "" {
		f.open, f.openKnown = true, true
		return nil
	}
	user, err := client.Do(ctx, "ACL", "GETUSER", "default").Result()
	if err != nil {
		return f.refused("ACL GETUSER", err)
	}
	text := fmt.Sprint(user)
	f.openKnown = true
	f.open = strings.Contains(text, "nopass") && !strings.Contains(text, "flags:[off") && !strings.Contains(text, "[flags [off")
	return nil
}

// isLocal reports whether the server's process is one of this machine, so that the
// kernel's settings and the disk here are those that it has.
func (f *facts) isLocal(o *redis.Options) bool {
	host, _, err := net.SplitHostPort(o.Addr)
	if ip := net.ParseIP(host); err == nil && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return false
	}
	name, err := os.ReadFile(filepath.Join("/proc", f.info["process_id"], "comm"))
	return err == nil && f.info["process_id"] != "" && (strings.HasPrefix(string(name), "redis") || strings.HasPrefix(string(name), "valkey"))
}

// fromInfo names the settings that INFO tells too, where CONFIG is refused.
var fromInfo = map[string]string{"maxmemory": "maxmemory", "maxmemory-policy": "maxmemory_policy"}

// setting returns the value of a setting.
func (f *facts) setting(key string) (string, bool) {
	if value, ok := f.settings[key]; ok {
		return value, true
	}
	switch {
	case key == "appendonly" && f.info["aof_enabled"] != "":
		return map[string]string{"1": "yes", "0": "no"}[f.info["aof_enabled"]], true
	case fromInfo[key] != "":
		value, ok := f.info[fromInfo[key]]
		return value, ok
	}
	return "", false
}

// field reads a field of INFO.
func field(name string) func(*facts) (string, bool) {
	return func(f *facts) (string, bool) { value, ok := f.info[name]; return value, ok }
}

func (f *facts) number(name string) float64 {
	n, _ := strconv.ParseFloat(f.info[name], 64)
	return n
}

func (f *facts) version() string {
	if v := f.info["valkey_version"]; v != "" {
		return "valkey " + v
	}
	if v := f.info["redis_version"]; v != "" {
		return "redis " + v
	}
	return "a server that does not tell its version"
}

// onlyHere reports whether only this machine can reach the server.
func (f *facts) onlyHere() bool {
	bound, ok := f.settings["bind"]
	if !ok || bound == "" {
		return false
	}
	for address := range strings.FieldsSeq(bound) {
		ip := net.ParseIP(strings.TrimPrefix(address, "-"))
		if address != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

// kernel reads a setting of the kernel, where it is the server's.
func kernel(file string) func(*facts) (string, bool) {
	return func(f *facts) (string, bool) {
		text, err := os.ReadFile(file)
		return strings.TrimSpace(string(text)), err == nil && f.local
	}
}

// freeDisk returns what is free where the server's files are, in bytes.
func freeDisk(f *facts) (string, bool) {
	dir, ok := f.settings["dir"]
	var stat unix.Statfs_t
	if !ok || !f.local || unix.Statfs(dir, &stat) != nil {
		return "", false
	}
	return strconv.FormatUint(stat.Bavail*uint64(stat.Bsize), 10), true
}
