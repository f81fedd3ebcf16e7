package audit

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Sources of requirements.
const (
	met001 = "MET-001"
	buffer = "buffer"
)

// gigabytes2 is what MET-001 asks for. 2,700,000 events take 1.5 GB of it.
const gigabytes2 = 2_000_000_000

// rules lists the requirements of a profile: one row each, and a line in
// deployments/redis/redis.conf.
func rules(p Profile) []rule {
	return slices.Concat(memoryRules(p), durabilityRules(), connectionRules(), deletingRules(), streamRules(), accessRules(), machineRules())
}

func memoryRules(p Profile) []rule {
	policy := rule{key: "maxmemory-policy", source: met001, severity: Critical, wanted: "allkeys-lru", set: "allkeys-lru", met: is("allkeys-lru"),
		why: "At the limit producers go on. MET-001 asks for it; what it costs stands in the row below."}
	if p == NoEviction {
		policy = rule{key: "maxmemory-policy", source: buffer, severity: Critical, wanted: "noeviction", set: "noeviction", met: is("noeviction"),
			why: "At the limit producers are refused and can wait; nothing that was acknowledged is lost. Draining goes on, and makes room."}
	}
	return []rule{
		{key: "maxmemory", source: met001, severity: Critical, wanted: "2gb or more", set: "2gb", met: number(gigabytes2, 0), fitted: memoryLimit,
			why: "2,700,000 waiting events take 1.5 GB. Without a limit the kernel kills the server when memory runs out."},
		policy,
		{key: "eviction of whole streams", source: buffer, severity: Warning, wanted: "known", met: evicting, value: func(f *facts) (string, bool) { return f.setting("maxmemory-policy") },
			otherwise: "alert on memory and on evictions (both are shipped), or use the profile noeviction",
			why:       "A stream is one key: evicting one takes every event that waits in it, with its groups, while producers see only success. With fewer than ten keys LRU has no choice that is harmless."},
		{key: "evicted_keys", source: buffer, severity: Advice, wanted: "0", met: is("0"), value: field("evicted_keys"), otherwise: "the run after an eviction says what was lost (alert EntriesLost): set the producer back, and raise maxmemory or drain more often; leave the counter alone, by which runs know an eviction from a deletion",
			why: "Streams were evicted since the server started or its counters were reset: events are lost."},
		{key: "maxmemory of the machine", source: buffer, severity: Warning, wanted: "at most 75 % of its memory", met: fits, value: memoryShare, otherwise: "a smaller maxmemory, or more memory",
			why: "A rewrite or a snapshot forks, and copies what changes meanwhile; buffers come on top."},
		{key: "maxmemory-clients", source: buffer, severity: Warning, wanted: "a limit, 5%", set: "5%", met: notZero,
			why: "Buffers of clients count as used memory: one that reads and does not listen could push a stream out."},
		{key: "client-output-buffer-limit", source: buffer, severity: Warning, wanted: "every class has a limit, or maxmemory-clients has", set: "normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60", met: bounded,
			why: "The same, for replicas and subscribers, which maxmemory-clients does not limit."},
		{key: "oom-score-adj", source: buffer, severity: Advice, wanted: "relative", set: "relative", met: oneOf("relative", "yes", "absolute"),
			why: "Where memory runs out altogether, the kernel takes the child that rewrites before the server."},
	}
}

func durabilityRules() []rule {
	return []rule{
		{key: "appendonly", source: met001, severity: Critical, wanted: "yes", set: "yes", met: is("yes"), why: "Without an append-only file a restart loses what came after the last snapshot."},
		{key: "appendfsync", source: met001, severity: Critical, wanted: "everysec", set: "everysec", met: oneOf("everysec", "always"),
			why: "A crash of the machine costs a second or two. With \"no\" the kernel decides, and it is half a minute."},
		{key: "save", source: met001, severity: Warning, wanted: "some points, 3600 1 300 100 60 10000", set: "3600 1 300 100 60 10000", met: notEmpty, why: "Snapshots beside the append-only file are what a backup copies."},
		{key: "no-appendfsync-on-rewrite", source: buffer, severity: Warning, wanted: "no", set: "no", met: is("no"), why: "With yes, a crash during a rewrite loses all that was written since it began."},
		{key: "auto-aof-rewrite-percentage", source: buffer, severity: Warning, wanted: "1 to 200", set: "100", met: number(1, 200), why: "A drained stream leaves adds and deletes in the file; only a rewrite shrinks it. 0 never rewrites, until the disk is full."},
		{key: "auto-aof-rewrite-min-size", source: buffer, severity: Warning, wanted: "16mb to 1gb", set: "64mb", met: number(16<<20, 1<<30), why: "Smaller rewrites all the time, larger fills disks and makes restarts slow."},
		{key: "aof-use-rdb-preamble", source: buffer, severity: Warning, wanted: "yes", set: "yes", met: is("yes"), why: "A restart loads several times faster, and the buffer is away for less long."},
		{key: "aof-load-truncated", source: buffer, severity: Warning, wanted: "yes", set: "yes", met: is("yes"), why: "After a power loss the torn tail is cut off, instead of a server that refuses to start."},
		{key: "stop-writes-on-bgsave-error", source: buffer, severity: Advice, wanted: "no", set: "no", met: is("no"), why: "A failed snapshot is no reason to refuse events that the append-only file holds; an error there still does refuse."},
		{key: "aof_last_write_status", source: buffer, severity: Critical, wanted: "ok", met: is("ok"), value: field("aof_last_write_status"), otherwise: "look at the server's log and its disk", why: "The last write to the append-only file failed: the server refuses events, or loses them at its end."},
		{key: "rdb_last_bgsave_status", source: buffer, severity: Warning, wanted: "ok", met: is("ok"), value: field("rdb_last_bgsave_status"), otherwise: "look at the server's log: memory to fork, or disk", why: "The last snapshot failed: backups are old."},
		{key: "disk of the files", source: buffer, severity: Warning, wanted: "twice maxmemory free", met: roomy, value: freeDisk, otherwise: "a larger disk", why: "A rewrite writes a second file before it removes the first, and a snapshot a third."},
		{key: "role", source: buffer, severity: Critical, wanted: "master", met: is("master"), value: field("role"), otherwise: "connect to its master", why: "A replica takes no events, and cannot be drained."},
		{key: "cluster_enabled", source: buffer, severity: Advice, wanted: "0", met: is("0"), value: field("cluster_enabled"), otherwise: "a Redis that is no cluster, or one whose slots are all on this node",
			why: "datawriter works with one server: a stream that lies on another node cannot be reached through this one."},
		{key: "replicas", source: buffer, severity: Advice, wanted: "1 or more", met: number(1, 0), value: field("connected_slaves"), otherwise: "a replica on another machine, with min-replicas-to-write 1", why: "When this machine is gone, so is what waits on it, up to a window and a half."},
	}
}

func connectionRules() []rule {
	return []rule{
		{key: "timeout", source: met001, severity: Warning, wanted: "0", set: "0", met: is("0"), why: "The drain sleeps between windows, and a producer may wait for the firehose: no idle client is closed."},
		{key: "tcp-backlog", source: met001, severity: Warning, wanted: "511 or more", set: "511", restart: true, met: number(511, 0), why: "Connections that come at once, after a restart, wait instead of being refused."},
		{key: "net.core.somaxconn", source: buffer, severity: Advice, wanted: "511 or more", met: number(511, 0), value: kernel("/proc/sys/net/core/somaxconn"), otherwise: "sysctl -w net.core.somaxconn=1024", why: "The kernel caps tcp-backlog at it."},
		{key: "tcp-keepalive", source: met001, severity: Warning, wanted: "1 to 300", set: "300", met: number(1, 300), why: "A peer that vanished without a word is noticed within minutes."},
		{key: "slowlog-log-slower-than", source: buffer, severity: Advice, wanted: "1 to 20000 (microseconds)", set: "10000", met: number(1, 20000), why: "What was slow can be seen afterwards; the first alert stands at 20 ms."},
		{key: "latency-monitor-threshold", source: buffer, severity: Advice, wanted: "1 to 50 (milliseconds)", set: "20", met: number(1, 50), why: "Why the server paused can be seen afterwards: fork, fsync, eviction."},
	}
}

func deletingRules() []rule {
	all := []rule{{key: "lazyfree-lazy-eviction", source: met001, severity: Warning, wanted: "no where streams can be evicted", set: "no", met: evictsAll,
		why: "Freeing in the background, the server sees no memory come back and evicts the next stream, and the next: all that wait, where one would have been enough. Freed in place, it takes one stream, and stops for a part of a second."}}
	for _, of := range []struct {
		key, source, what string
		severity          Severity
	}{
		{"lazyfree-lazy-expire", met001, "expired", Warning},
		{"lazyfree-lazy-server-del", met001, "replaced", Warning},
		{"lazyfree-lazy-user-del", met001, "deleted with DEL", Warning},
		{"lazyfree-lazy-user-flush", buffer, "flushed", Advice},
		{"replica-lazy-flush", met001, "flushed by a replica", Warning},
	} {
		all = append(all, rule{key: of.key, source: of.source, severity: of.severity, wanted: "yes", set: "yes", met: is("yes"),
			why: "What is " + of.what + " is freed by a background thread: half a gigabyte freed in place stops every client."})
	}
	return all
}

// evictsAll: MET-001 asks for lazy freeing. Where a stream can be evicted, it makes
// one eviction many, and a person must know.
func evictsAll(lazy string, f *facts) Verdict {
	policy, _ := f.setting("maxmemory-policy")
	if lazy == "yes" && strings.HasPrefix(policy, "allkeys-") {
		return Risk
	}
	return Met
}

func streamRules() []rule {
	return []rule{
		{key: "stream-node-max-bytes", source: met001, severity: Warning, wanted: "4096 to 16384", set: "16384", met: number(4096, 16384),
			why: "16 KiB takes 6 % less memory an event than 4 KiB; more makes deleting single entries slow, and 0 has no limit at all."},
		{key: "stream-node-max-entries", source: met001, severity: Warning, wanted: "50 to 200", set: "100", met: number(50, 200), why: "The other limit of a node: it bounds what deleting one entry has to read."},
		{key: "version", source: buffer, severity: Critical, wanted: "Redis 7.0, Valkey 7.2, or newer", met: newEnough, value: func(f *facts) (string, bool) { return f.version(), f.info["redis_version"] != "" },
			otherwise: "an upgrade", why: "Scripts that may run at the memory limit, entries-added and lag came with those."},
		{key: "streams ahead of the clock", source: buffer, severity: Critical, wanted: "none", met: is("none"), value: streamsAhead, ofStreams: true,
			otherwise: "stop the producer that gives IDs of its own, then datawriter rescue KIND", why: "Redis gives every later entry an ID behind the last one: what is added waits until the clock has reached it, for years perhaps."},
		{key: "groups far behind", source: buffer, severity: Advice, wanted: "none", met: is("none"), value: groupsForgotten, ofStreams: true,
			otherwise: "start their readers, or XGROUP DESTROY STREAM GROUP", why: "What another group has not acked stays in the stream, also when it is archived, until memory is full."},
	}
}

func accessRules() []rule {
	return []rule{
		{key: "protected-mode", source: met001, severity: Critical, wanted: "yes, or nobody enters without a password", set: "yes", met: protected, why: "It refuses other machines as long as there is no password."},
		{key: "password", source: met001, severity: Critical, wanted: "needed, or only this machine reaches it", met: locked, value: access,
			otherwise: "users with passwords: aclfile users.acl (deployments/redis/users.acl), or requirepass", why: "Whoever reaches it could read, change and delete every event."},
		{key: "TLS", source: buffer, severity: Advice, wanted: "on, or only this machine reaches it", met: encrypted, value: encryption, otherwise: "tls-port with tls-cert-file and tls-key-file, where the network is not yours", why: "Passwords and events are read by whoever listens."},
	}
}

func machineRules() []rule {
	return []rule{
		{key: "transparent huge pages", source: buffer, severity: Warning, wanted: "madvise or never, or disable-thp yes", met: smallPages, value: kernel("/sys/kernel/mm/transparent_hugepage/enabled"),
			otherwise: "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled", why: "While the server forks, each write copies 2 MB instead of 4 kB: memory and latency jump."},
		{key: "vm.overcommit_memory", source: buffer, severity: Advice, wanted: "1", met: is("1"), value: kernel("/proc/sys/vm/overcommit_memory"), otherwise: "sysctl -w vm.overcommit_memory=1",
			why: "With 0 the kernel may refuse the fork of a rewrite or a snapshot, though most of its memory is shared."},
	}
}

// verdict is a plain yes or no.
func verdict(met bool) Verdict {
	if met {
		return Met
	}
	return Gap
}

func is(want string) func(string, *facts) Verdict { return oneOf(want) }

func oneOf(want ...string) func(string, *facts) Verdict {
	return func(value string, _ *facts) Verdict { return verdict(slices.Contains(want, value)) }
}

func notEmpty(value string, _ *facts) Verdict { return verdict(value != "") }

func notZero(value string, _ *facts) Verdict {
	return verdict(strings.TrimRight(value, "%") != "0" && value != "")
}

// number wants a value of at least low, and at most high where that is not 0.
func number(low, high float64) func(string, *facts) Verdict {
	return func(value string, _ *facts) Verdict {
		n, err := strconv.ParseFloat(value, 64)
		return verdict(err == nil && n >= low && (high == 0 || n <= high))
	}
}

// memoryLimit is the least limit that does not evict or refuse at once on a server that
// holds more already: twice what is used.
func memoryLimit(f *facts) string {
	if used := f.number("used_memory"); used > gigabytes2/2 {
		return fmt.Sprintf("%.0fgb", math.Ceil(2*used/(1<<30)))
	}
	return "2gb"
}

// evicting is a risk that a profile may ask for, and a person must know of.
func evicting(policy string, _ *facts) Verdict {
	if strings.HasPrefix(policy, "allkeys-") {
		return Risk
	}
	return Met // volatile policies evict only what expires, and streams do not
}

func memoryShare(f *facts) (string, bool) {
	total := f.number("total_system_memory")
	limit, seen := f.setting("maxmemory")
	n, err := strconv.ParseFloat(limit, 64)
	if !seen || err != nil || total == 0 {
		return "", false
	}
	if n == 0 {
		return "no limit", true
	}
	return fmt.Sprintf("%.0f %%", 100*n/total), true
}

func fits(share string, _ *facts) Verdict {
	n, err := strconv.ParseFloat(strings.TrimSuffix(share, " %"), 64)
	return verdict(err == nil && n <= 75)
}

// bounded wants a limit for replicas and subscribers, and one for the others here
// or in maxmemory-clients.
func bounded(value string, f *facts) Verdict {
	fields := strings.Fields(value)
	for i := 0; i+3 < len(fields); i += 4 {
		limited := fields[i+1] != "0" || fields[i+2] != "0"
		if fields[i] == "normal" && !limited {
			clients, _ := f.setting("maxmemory-clients")
			limited = notZero(clients, f) == Met
		}
		if !limited {
			return Gap
		}
	}
	return verdict(len(fields) >= 12)
}

func roomy(free string, f *facts) Verdict {
	n, _ := strconv.ParseFloat(free, 64)
	limit, _ := f.setting("maxmemory")
	most, _ := strconv.ParseFloat(limit, 64)
	return verdict(n >= 2*max(most, gigabytes2))
}

func newEnough(_ string, f *facts) Verdict {
	// Valkey says redis_version 7.2.4, so one comparison serves both.
	major, err := strconv.Atoi(strings.SplitN(f.info["redis_version"], ".", 2)[0])
	return verdict(err == nil && major >= 7)
}

func protected(value string, f *facts) Verdict {
	return verdict(value == "yes" || f.openKnown && !f.open)
}

func access(f *facts) (string, bool) {
	switch {
	case !f.openKnown:
		return "", false
	case !f.open:
		return "needed", true
	case f.onlyHere():
		return "not needed, bound to this machine", true
	}
	return "not needed", true
}

func locked(value string, _ *facts) Verdict { return verdict(value != "not needed") }

func encryption(f *facts) (string, bool) {
	port, seen := f.settings["tls-port"]
	switch {
	case f.encrypted:
		return "on: this connection is encrypted", true
	case seen && port != "0":
		return "on: port " + port, true
	case f.onlyHere():
		return "off, bound to this machine", true
	}
	return "off", seen || f.info["redis_version"] != ""
}

func encrypted(value string, _ *facts) Verdict { return verdict(value != "off") }

func smallPages(value string, f *facts) Verdict {
	own, _ := f.setting("disable-thp")
	return verdict(own == "yes" || !strings.Contains(value, "[always]"))
}
