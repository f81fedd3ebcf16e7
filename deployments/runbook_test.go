package deployments_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var fenced = regexp.MustCompile("(?s)```sh\n(.*?)```")

// runbook runs every command block of the section on alerts, against this stack
// instead of the default ports. A person at three in the morning types what
// stands there.
func (r *rig) runbook(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "README.md"), "\n## Alerts\n")
	section, _, _ = strings.Cut(section, "\n## ")
	port := func(job string) string { return r.addresses[job] }
	here := strings.NewReplacer(
		"127.0.0.1:9090", port("prometheus"), "127.0.0.1:9093", port("alertmanager"),
		"127.0.0.1:9121", port("redis"), "127.0.0.1:9402", port("datawriter"), "127.0.0.1:9403", port("ingest"))
	env := r.commands(t)
	n := 0
	for _, part := range strings.Split(section, "\n### ") {
		heading, _, _ := strings.Cut(part, "\n")
		for _, block := range fenced.FindAllStringSubmatch(part, -1) {
			n++
			cmd := exec.CommandContext(t.Context(), "bash", "-euc", "set -o pipefail\n"+here.Replace(block[1]))
			cmd.Dir, cmd.Env = "..", env
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s%s", heading, err, block[1], out)
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d blocks of commands were run", n)
	}
}

// commands returns an environment in which datawriter and redis-cli mean this
// stack. datawriter's windows are of ten seconds here.
func (r *rig) commands(t *testing.T) []string {
	t.Helper()
	bin := t.TempDir()
	redisCLI, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Fatal("no redis-cli on the PATH: apt-get install redis-tools")
	}
	scripts := map[string]string{
		"redis-cli":  `exec ` + redisCLI + ` -u ` + strings.TrimSuffix(r.redis.URL(), "/0") + ` "$@"`,
		"datawriter": `exec ` + r.binary + ` "${@/#5m/10s}"`,
	}
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/bash\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "USER=test",
		"DATAWRITER_REDIS_URL="+r.redis.URL(), "DATAWRITER_DATA="+r.data, "DATAWRITER_ALERTMANAGER_URL="+r.alertmanagerURL)
}
