package audit

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"datawriter/worker/stream/streamtest"
)

// commands finds what documents and alerts tell people to set.
var commands = regexp.MustCompile(`(?i)config set ([a-z]+(?:-[a-z]+)*) ([a-z0-9-]+)`)

// TestWhatDocumentsAndAlertsSetNoProfileForbids reads the runbook, the procedures and
// the rules of alerts, does what they say, and audits.
func TestWhatDocumentsAndAlertsSetNoProfileForbids(t *testing.T) {
	var files []string
	for _, pattern := range []string{"README.md", "docs/*.md", "deployments/README.md", "deployments/prometheus/rules/*.yml"} {
		found, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	told := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range commands.FindAllStringSubmatch(string(text), -1) {
			told++
			server := streamtest.Start(t).Client()
			if err := server.ConfigSet(t.Context(), found[1], found[2]).Err(); err != nil {
				t.Errorf("%s: %s: %v", file, found[0], err)
				continue
			}
			for _, profile := range []Profile{MET001, NoEviction} {
				report, err := Run(t.Context(), server, profile)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range report.Findings {
					if f.Key == found[1] && f.Verdict == Gap {
						t.Errorf("%s: %s, which %s calls %s", file, found[0], profile, f.Severity)
					}
				}
			}
		}
	}
	if told < 2 {
		t.Errorf("only %d settings stand in %d files: the test does not see them", told, len(files))
	}
}

// A limit below what is used evicts whole streams at once, or refuses.
func TestTheLimitOfAFullServerIsAboveWhatItHolds(t *testing.T) {
	for used, want := range map[string]string{"1000000": "2gb", "1500000000": "3gb", "3221225472": "6gb"} {
		f := &facts{settings: map[string]string{"maxmemory": "0"}, info: map[string]string{"used_memory": used}}
		found, is := f.report(MET001, false).Finding("maxmemory")
		if !is || found.Fix.Command != "CONFIG SET maxmemory "+want || found.set != want {
			t.Errorf("%s bytes used: %+v, want %s", used, found.Fix, want)
		}
	}
}

// What INFO tells is judged as it is with everything else.
func TestAGlanceAgreesWithAnAudit(t *testing.T) {
	for _, policy := range []string{"allkeys-lru", "noeviction", "volatile-lru"} {
		client := streamtest.Start(t, "--maxmemory-policy", policy).Client()
		glance, err := Glance(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := Run(t.Context(), client, glance.Profile)
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for i, f := range glance.Findings {
			if f.Verdict == Unseen {
				continue
			}
			seen++
			if w := whole.Findings[i]; w.Key != f.Key || w.Verdict != f.Verdict && f.Key != "evicted_keys" {
				switch f.Key {
				case "TLS", "lazyfree-lazy-eviction", "maxmemory of the machine": // need CONFIG
				default:
					t.Errorf("%s: %s is %s at a glance, %s in whole", policy, f.Key, f.Verdict, w.Verdict)
				}
			}
		}
		if seen < 6 {
			t.Errorf("%s: only %d requirements can be seen", policy, seen)
		}
	}
}
