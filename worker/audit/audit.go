package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"datawriter/worker/stream"
)

// ErrGap: a requirement is not met. The report says which.
var ErrGap = errors.New("the server does not meet its requirements")

// Profile is a set of requirements.
type Profile string

// Profiles. They differ in what happens at the memory limit.
const (
	MET001     Profile = "met-001"    // allkeys-lru: producers go on, and whole streams may be evicted
	NoEviction Profile = "noeviction" // producers are refused, and nothing is lost
)

// ParseProfile returns the profile of a name.
func ParseProfile(name string) (Profile, error) {
	if p := Profile(name); p == MET001 || p == NoEviction {
		return p, nil
	}
	return "", fmt.Errorf("profile %q is neither %s nor %s", name, MET001, NoEviction)
}

// Severity is what it costs not to meet a requirement.
type Severity string

// Severities. A requirement of the last is advice: not following it is no gap.
const (
	Critical Severity = "critical" // data is at risk
	Warning  Severity = "warning"  // the buffer works, until something goes wrong
	Advice   Severity = "advice"
)

// Verdict is whether a requirement is met.
type Verdict string

// Verdicts.
const (
	Met    Verdict = "met"
	Gap    Verdict = "gap"
	Risk   Verdict = "risk"   // as the profile wants it, or only advice: a person should know
	Unseen Verdict = "unseen" // the server did not tell
)

// Finding is one requirement held against a server.
type Finding struct {
	Key      string   `json:"key"`
	Source   string   `json:"source"` // MET-001, or buffer: what a stream buffer needs beyond it
	Verdict  Verdict  `json:"verdict"`
	Severity Severity `json:"severity"`
	Is       string   `json:"is"`
	Wanted   string   `json:"wanted"`
	Why      string   `json:"why"`
	Fix      *Fix     `json:"fix,omitempty"` // of a gap or a risk

	set string // value that Fix.Command sets
}

// Fix is how to meet a requirement. A part that is empty does not exist.
type Fix struct {
	Command string `json:"command,omitempty"` // at once: CONFIG SET …
	Line    string `json:"line,omitempty"`    // of redis.conf: at the next start
	Else    string `json:"else,omitempty"`    // what neither does
}

// Report is a server held against all requirements of a profile.
type Report struct {
	Profile  Profile   `json:"profile"`
	Server   string    `json:"server"` // as "redis 7.0.15"
	Blind    []string  `json:"blind"`  // what the server did not let us see, and why
	Findings []Finding `json:"findings"`
}

// Run looks at a server, and at these streams of it. It changes nothing. An error
// means that there is no report: the server is away (stream.ErrUnavailable), or
// refuses the password (stream.ErrMisconfigured).
func Run(ctx context.Context, client *redis.Client, profile Profile, streams ...*stream.Stream) (Report, error) {
	f, err := look(ctx, client)
	if err != nil {
		return Report{}, err
	}
	if err := f.lookAtStreams(ctx, client, streams); err != nil {
		return Report{}, err
	}
	return f.report(profile, len(streams) > 0), nil
}

func (f *facts) report(profile Profile, streams bool) Report {
	report := Report{Profile: profile, Server: f.version(), Blind: f.blind}
	for _, r := range rules(profile) {
		if r.ofStreams && !streams {
			continue
		}
		report.Findings = append(report.Findings, r.hold(f))
	}
	return report
}

// Of returns the profile that a server follows by its eviction policy.
func Of(policy string) Profile {
	if policy == "noeviction" {
		return NoEviction
	}
	return MET001
}

// Glance holds a server against what INFO alone tells of it, in the profile that it
// follows: for those who may ask for no more, and give the same advice as Run.
func Glance(ctx context.Context, client *redis.Client) (Report, error) {
	f := &facts{settings: map[string]string{}}
	if err := f.readInfo(ctx, client); err != nil {
		return Report{}, err
	}
	return f.report(Of(f.info["maxmemory_policy"]), false), nil
}

// choice is the fix of a policy that no profile wants, where nobody has chosen one.
const choice = "choose a profile: datawriter audit --profile met-001 (at the limit streams are evicted) or --profile noeviction (producers are refused) names the policy"

// Finding returns the finding of a requirement, if the server does not meet it, for
// those who give advice without being told a profile: what the profiles disagree on
// it leaves to people.
func (r Report) Finding(key string) (Finding, bool) {
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Key == key && f.Fix != nil })
	if i < 0 {
		return Finding{}, false
	}
	found := r.Findings[i]
	if key == "maxmemory-policy" {
		found.Why, found.Fix = "No profile wants this policy.", &Fix{Else: choice}
	}
	return found, true
}

// Count returns how many findings have a verdict.
func (r Report) Count(v Verdict) (n int) {
	for _, f := range r.Findings {
		if f.Verdict == v {
			n++
		}
	}
	return n
}

// Err is ErrGap when there is a gap, and names the first.
func (r Report) Err() error {
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Verdict == Gap })
	if i < 0 {
		return nil
	}
	return fmt.Errorf("%w: %d gaps, the first is %s", ErrGap, r.Count(Gap), r.Findings[i].Key)
}

// rule is one requirement: a row of the tables in rules.go.
type rule struct {
	key       string // of CONFIG, or a name
	source    string
	severity  Severity
	wanted    string
	set       string // value that meets it; empty where no setting does
	restart   bool   // the setting cannot be changed while the server runs
	otherwise string // what else to do, where no setting meets it, or beside it
	ofStreams bool   // it says something of streams, not of the server
	why       string
	met       func(value string, f *facts) Verdict
	value     func(f *facts) (value string, seen bool) // nil reads the setting of the key
	fitted    func(f *facts) string                    // value that meets it on this server; nil is set
}

// hold holds the requirement against a server.
func (r rule) hold(f *facts) Finding {
	found := Finding{Key: r.key, Source: r.source, Severity: r.severity, Wanted: r.wanted, Why: r.why}
	read := r.value
	if read == nil {
		read = func(f *facts) (string, bool) { return f.setting(r.key) }
	}
	value, seen := read(f)
	if !seen {
		found.Verdict, found.Is = Unseen, "not told"
		return found
	}
	found.Is, found.Verdict = value, r.met(value, f)
	if found.Verdict == Gap && r.severity == Advice {
		found.Verdict = Risk
	}
	if found.Verdict == Gap || found.Verdict == Risk {
		if r.fitted != nil {
			r.set = r.fitted(f)
		}
		found.Fix, found.set = r.fix(), r.set
	}
	return found
}

// String is the fix in a line.
func (f *Fix) String() string {
	switch {
	case f.Command != "":
		return f.Command + ", and in redis.conf: " + f.Line
	case f.Line != "":
		return "redis.conf: " + f.Line
	}
	return f.Else
}

func (r rule) fix() *Fix {
	fix := &Fix{Else: r.otherwise}
	if r.set != "" {
		value := r.set
		if strings.Contains(value, " ") {
			value = `"` + value + `"`
		}
		fix.Line = r.key + " " + r.set
		if !r.restart {
			fix.Command = "CONFIG SET " + r.key + " " + value
		}
	}
	if *fix == (Fix{}) {
		return nil
	}
	return fix
}
