package deployments_test

import (
	"os/exec"
	"strings"
	"testing"
)

// Programs under the names of their projects and of Debian's packages.
var (
	prometheus    = []string{"prometheus"}
	promtool      = []string{"promtool"}
	alertmanager  = []string{"alertmanager", "prometheus-alertmanager"}
	amtool        = []string{"amtool"}
	redisExporter = []string{"redis_exporter", "prometheus-redis-exporter"}
)

// program returns the path of a program. A missing one fails the test: alerts
// that were not tried are not alerts.
func program(t testing.TB, names []string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("no %s on the PATH: apt-get install prometheus prometheus-alertmanager prometheus-redis-exporter, or put the releases of the projects there",
		strings.Join(names, " or "))
	return ""
}

// ask runs a program in a folder and returns what it printed; an exit code other
// than 0 fails the test.
func ask(t testing.TB, folder string, names []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t, names), args...)
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", names[0], strings.Join(args, " "), err, out)
	}
	return string(out)
}
