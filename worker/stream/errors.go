package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/failure"
)

// Every error of this package is one of these, or the context's own.
var (
	// ErrUnavailable: Redis cannot be reached, is loading, busy, a replica since a
	// failover, out of memory or out of disk. The same call may succeed later. The
	// list of what that is is short and stands in answers and in package failure.
	ErrUnavailable = errors.New("redis is unavailable")
	// ErrMisconfigured: everything else, such as a wrong password, a missing
	// permission, a command that the server does not know, a key of another type, a
	// server that is too old. No retry helps; the sentence says what does.
	ErrMisconfigured = errors.New("redis is misconfigured")
	// ErrRefused: Redis takes no writes now (out of memory under noeviction, or
	// its disk is full). Producers slow down and try again.
	ErrRefused = errors.New("redis refuses writes")
	// ErrRestarted: Redis is not the process that the attempt began with, so
	// what was read may have been rolled back. Start from the top.
	ErrRestarted = errors.New("redis restarted during the drain")
)

// Whether an answer of Redis passes without anybody changing a setting.
const (
	passes = true
	stays  = false
)

// answers says what an error that Redis answers means. Each row begins what Redis
// writes, or stands somewhere in it where it comes without a code of its own. What
// is in no row stays.
var answers = []struct {
	begins string
	passes bool
	remedy string
}{
	{"LOADING", passes, "it reads its files after a start"},
	{"BUSY", passes, "a script holds it up (redis-cli script kill)"},
	{"OOM", passes, "its memory is full: drain, or raise maxmemory"},
	{"MISCONF", passes, "it cannot write its files: free its disk; its log says what fails"},
	{"NOREPLICAS", passes, "fewer replicas than its min-replicas-to-write answer it"},
	{"MASTERDOWN", passes, "it is a replica whose master is away"},
	{"READONLY", passes, "it has become a replica: after a failover --redis-url must lead to the new master"},
	{"UNBLOCKED", passes, "it has become a replica: after a failover --redis-url must lead to the new master"},
	{"CLUSTERDOWN", passes, "the cluster does not serve all of its slots: redis-cli cluster info"},
	{"TRYAGAIN", passes, "the cluster moves the stream to another node"},
	{"ASK", passes, "the cluster moves the stream to another node"},
	{"NOSCRIPT", passes, "somebody emptied its cache of scripts"},
	{"NOGROUP", passes, "somebody removed the group, or the stream, meanwhile"},
	{"ERR no such key", passes, "somebody removed the stream, or it was evicted, meanwhile"},
	{"ERR max number of clients", passes, "too many clients are connected: raise its maxclients, or stop what leaks connections"},

	{"NOAUTH", stays, "it asks for a password: name a file that holds it with --redis-password-file, or write it into the URL"},
	{"WRONGPASS", stays, "it knows no such user, or another password: compare --redis-url and --redis-password-file with its users; in a URL, characters such as #, / and % are written as %23, %2F and %25"},
	{"called without any password configured", stays, "it has no password: leave it out of --redis-url and --redis-password-file, or set requirepass"},
	{"NOPERM", stays, lacksPermission},
	{"ERR The user executing the script can't", stays, lacksPermission},
	{"ERR ACL failure in script", stays, lacksPermission},
	{"ERR unknown command", stays, lacksCommand},
	{"ERR unknown subcommand", stays, lacksCommand},
	{"command called from script", stays, lacksCommand},
	{"DENIED", stays, "its protected mode refuses other machines: set a password and bind to an address that this machine reaches"},
	{"WRONGTYPE", stays, "a key of that name is no stream: choose another --stream-prefix, or remove the key if it is nobody's"},
	{"ERR DB index is out of range", stays, "the database of the URL does not exist there: they count from 0, and its databases says how many there are (in a cluster there is only 0)"},
	{"ERR invalid DB index", stays, "the database of the URL is no number"},
	{"ERR SELECT is not allowed in cluster mode", stays, "a cluster has only database 0: write it into the URL"},
	{"MOVED", stays, "it is one node of a cluster, and the stream lies on another: datawriter works with one server that holds all of its streams"},
	{"is equal or smaller than the target stream top item", stays, "the stream holds later entries, or was fenced: give later IDs"},
	{foreignLease, stays, "a key has the name of a lease and is none"},
	{"CROSSSLOT", stays, "in a cluster the keys of a stream must lie on one node: the stream's name needs braces, as bluesky:{likes}"},
}

const (
	lacksPermission = "the user lacks a permission (redis-cli acl log says which): deployments/redis/users.acl has what each part of datawriter needs"
	lacksCommand    = "the server does not have that command, or somebody renamed it: datawriter needs Redis 7.0 or Valkey 7.2 with streams and scripts, and no rename-command of what it uses"
	noRemedy        = "no retry is known to help: docs/operations.md says what datawriter needs of a Redis"
)

// classify wraps an error once, with the operation, its class and what to do.
func classify(operation string, err error) error {
	var answer redis.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", operation, err)
	case strings.Contains(err.Error(), restartedReply):
		return fmt.Errorf("%s: %w", operation, ErrRestarted)
	case errors.Is(err, ErrMisconfigured): // by the dialer, which knows more
		return fmt.Errorf("%s: %w", operation, err)
	case errors.As(err, &answer):
		class, explained := judged(answer)
		return fmt.Errorf("%s: %w: %w", operation, class, explained)
	case isDial(err) && failure.Passing(err):
		return fmt.Errorf("%s: %w: %w: does it run, and does --redis-url lead to it?", operation, ErrUnavailable, err)
	case failure.Passing(err), errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrClosed):
		return fmt.Errorf("%s: %w: %w", operation, ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w: %w", operation, ErrMisconfigured, failure.Explained(err))
}

// Explained is for packages that own other Redis commands: it wraps an error of
// theirs as those of this package are.
func Explained(operation string, err error) error { return classify(operation, err) }

// isDial reports whether no connection came about.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// refused lists the error codes with which Redis turns a producer away.
var refused = []string{"OOM", "MISCONF"}

// classifyAdd is classify for what producers write: ErrRefused has them slow down.
func classifyAdd(operation string, err error) error {
	var answer redis.Error
	if !hasCode(err, refused) || !errors.As(err, &answer) {
		return classify(operation, err)
	}
	_, explained := judged(answer)
	return fmt.Errorf("%s: %w: %w", operation, ErrRefused, explained)
}

// judged returns the class of an answer, and the answer with what to do.
func judged(answer redis.Error) (class, explained error) {
	text := strings.TrimRight(strings.TrimSpace(answer.Error()), ".")
	// What follows are the arguments: a password, where the command was AUTH.
	text, _, _ = strings.Cut(text, ", with args beginning with")
	class, says := ErrMisconfigured, noRemedy
	for _, a := range answers {
		if isAnswer(text, a.begins) {
			if says = a.remedy; a.passes {
				class = ErrUnavailable
			}
			break
		}
	}
	return class, fmt.Errorf("%s (%w)", says, replyError(text))
}

// isAnswer reports whether a text is the answer of a row: a code is a whole word
// at its beginning, also of what a script answers for a command that failed.
func isAnswer(text, row string) bool {
	if !strings.Contains(row, " ") {
		code, _, _ := strings.Cut(text, " ")
		return code == row
	}
	return strings.HasPrefix(text, row) || !strings.HasPrefix(row, "ERR ") && strings.Contains(text, row)
}

// hasCode reports whether Redis answered with one of the codes, either itself
// or through a script.
func hasCode(err error, codes []string) bool {
	var reply redis.Error
	return errors.As(err, &reply) && slices.ContainsFunc(codes, func(code string) bool { return isAnswer(reply.Error(), code) })
}
