package doctor_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"datawriter/worker/audit"
	"datawriter/worker/doctor"
	"datawriter/worker/runlog"
	"datawriter/worker/stream"
	"datawriter/worker/stream/streamtest"
)

// settings finds what a sentence tells people to set.
var settings = regexp.MustCompile(`(?i)\bset ([a-z]+(?:-[a-z]+)*) ([a-z0-9-]+)`)

// TestWhatDoctorSetsNoProfileForbids does what doctor says, and audits.
func TestWhatDoctorSetsNoProfileForbids(t *testing.T) {
	told := 0
	for _, policy := range []string{"allkeys-lru", "allkeys-random", "noeviction", "volatile-lru"} {
		for _, limit := range []string{"0", "64mb", "4gb"} {
			for _, file := range []string{"yes", "no"} {
				p := patientWith(t, "--maxmemory-policy", policy, "--maxmemory", limit, "--appendonly", file)
				for _, f := range doctor.Examine(t.Context(), doctor.Config{Redis: p}).Findings {
					for _, found := range settings.FindAllStringSubmatch(f.Fix, -1) {
						told++
						allowed(t, fmt.Sprintf("%s, %s, %s: %s", policy, limit, file, f.Check), found[1], found[2])
					}
				}
			}
		}
	}
	if told < 5 {
		t.Errorf("only %d settings were recommended: the test does not see them", told)
	}
}

// allowed makes the setting on a server and holds it against both profiles.
func allowed(t *testing.T, who, name, value string) {
	t.Helper()
	client := patientWith(t).Redis()
	if err := client.ConfigSet(t.Context(), name, value).Err(); err != nil {
		t.Errorf("%s says to set %s to %s, and Redis refuses: %v", who, name, value, err)
		return
	}
	for _, profile := range []audit.Profile{audit.MET001, audit.NoEviction} {
		report, err := audit.Run(t.Context(), client, profile)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range report.Findings {
			if f.Key == name && f.Verdict == audit.Gap {
				t.Errorf("%s says to set %s to %s, which the audit of %s calls %s", who, name, value, profile, f.Severity)
			}
		}
	}
}

func patientWith(t *testing.T, options ...string) *stream.Client {
	t.Helper()
	client, err := stream.Open(stream.Config{URL: streamtest.Start(t, options...).URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestDoctorSendsNobodyToDeleteAStreamOfACluster(t *testing.T) {
	node := func() *streamtest.Server {
		return streamtest.Start(t, "--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(streamtest.FreePort(t)), "--appendonly", "yes")
	}
	first, second := node(), node()
	bus := second.Client().ConfigGet(t.Context(), "cluster-port").Val()["cluster-port"]
	for _, err := range []error{
		first.Client().Do(t.Context(), "cluster", "meet", "127.0.0.1", second.Port, bus).Err(),
		first.Client().ClusterAddSlotsRange(t.Context(), 0, 100).Err(), second.Client().ClusterAddSlotsRange(t.Context(), 101, 16383).Err(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(first.Client().ClusterInfo(t.Context()).Val(), "cluster_state:ok"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the cluster is not well")
		}
	}
	client, err := stream.Open(stream.Config{URL: first.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	named := false
	for _, f := range doctor.Examine(t.Context(), doctor.Config{Redis: client}).Findings {
		says := strings.ToLower(f.Says + " " + f.Fix)
		named = named || f.Status == doctor.Failure && strings.Contains(says, "one node of a cluster")
		if strings.Contains(says, "must go") || strings.Contains(says, "delete") || strings.Contains(says, "remove") {
			t.Errorf("%+v", f)
		}
	}
	if !named {
		t.Error("nothing says that the streams lie on other nodes")
	}
}

func TestWhatDoctorSaysOfAFailedRunDependsOnItsClass(t *testing.T) {
	for class, says := range map[string]string{"integrity": "do not rerun", "configuration": "do what this says", "unavailable": "datawriter run"} {
		p := newPatient(t)
		p.ran(time.Now().Add(time.Second), runlog.Record{Status: runlog.Failed, Error: "x", Class: class})
		for _, f := range doctor.Examine(t.Context(), p.config).Findings {
			if f.Check == "last window" && (!strings.Contains(f.Fix, says) || strings.Contains(f.Fix, "datawriter run") != (class == "unavailable")) {
				t.Errorf("%s: %+v", class, f)
			}
		}
	}
}
