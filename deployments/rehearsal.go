package deployments

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

//go:embed prometheus/prometheus.yml prometheus/rules/*.yml alertmanager/alertmanager.yml alertmanager/templates/*.tmpl
var shipped embed.FS

// Rehearsal is a copy of the shipped configuration for a test.
type Rehearsal struct {
	// Faster divides every duration: 20 turns the escalation after 15 minutes
	// into 45 seconds. 1 keeps them.
	Faster int
	// Targets are the addresses of the jobs: prometheus, alertmanager, redis,
	// datawriter, prefect, ingest. A job that is left out has no target.
	Targets map[string]string
	// Channel and Escalation are the webhook URLs of the two Slack channels.
	Channel, Escalation string
}

// shortest is as fast as servers are asked to go: below it they are busy with
// nothing else.
const shortest = 50 * time.Millisecond

// Write fills a folder with prometheus/ and alertmanager/. Start Prometheus with
// --config.file=prometheus/prometheus.yml and the flags of PrometheusFlags, and
// Alertmanager inside alertmanager/, as secrets have relative paths.
func (r Rehearsal) Write(folder string) error {
	if r.Faster < 1 {
		return fmt.Errorf("rehearse alerts %d times faster: give 1 or more", r.Faster)
	}
	if err := r.copyShipped(folder); err != nil {
		return fmt.Errorf("write the rehearsal's configuration: %w", err)
	}
	if err := r.writeAddresses(folder); err != nil {
		return fmt.Errorf("write the rehearsal's configuration: %w", err)
	}
	return nil
}

// PrometheusFlags are the flags that belong to the configuration and can stand
// in no file: why, says prometheus.yml.
func (r Rehearsal) PrometheusFlags() []string {
	return []string{"--rules.alert.resend-delay=" + r.scale(time.Second), "--rules.alert.for-grace-period=" + r.scale(10*time.Minute)}
}

func (r Rehearsal) copyShipped(folder string) error {
	return fs.WalkDir(shipped, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := shipped.ReadFile(name)
		if err != nil {
			return err
		}
		return write(filepath.Join(folder, filepath.FromSlash(name)), r.hurry(string(content)))
	})
}

func (r Rehearsal) writeAddresses(folder string) error {
	for _, job := range []string{"prometheus", "alertmanager", "redis", "datawriter", "prefect", "ingest"} {
		content := "[]\n"
		if address := r.Targets[job]; address != "" {
			content = fmt.Sprintf("- targets: [%q]\n", address)
		}
		if err := write(filepath.Join(folder, "prometheus", "targets", job+".yml"), content); err != nil {
			return err
		}
	}
	for _, name := range []string{"exporter_password", "prefect_password", "alertmanager_password"} { // nobody asks for one
		if err := write(filepath.Join(folder, "prometheus", "secrets", name), ""); err != nil {
			return err
		}
	}
	secrets := filepath.Join(folder, "alertmanager", "secrets")
	if err := write(filepath.Join(secrets, "slack_url"), r.Channel); err != nil {
		return err
	}
	return write(filepath.Join(secrets, "slack_escalation_url"), r.Escalation)
}

// Where durations stand: values of keys, ranges such as [5m] and [10m:10s], and
// offsets. Thresholds in seconds stay what they are.
var (
	keyed    = regexp.MustCompile(`(?m)^(\s*(?:- )?(?:for|scrape_interval|scrape_timeout|evaluation_interval|group_wait|group_interval|repeat_interval): )(\d+[smh])\b`)
	interval = regexp.MustCompile(`(?m)^  scrape_interval: (\w+)$`)
	timeout  = regexp.MustCompile(`(?m)^(  scrape_timeout: )\w+$`)
	ranged   = regexp.MustCompile(`\[(\d+[smh])(?::(\d+[smh]))?\]`)
	offset   = regexp.MustCompile(`(\boffset )(\d+[smh])\b`)
)

// hurry divides the durations in a configuration file. Comments and texts for
// people stay what they are.
func (r Rehearsal) hurry(content string) string {
	content = keyed.ReplaceAllStringFunc(content, func(found string) string {
		m := keyed.FindStringSubmatch(found)
		return m[1] + r.scaleText(m[2])
	})
	// A quarter of a second is no time for a busy machine to answer: a scrape may
	// take all of its interval.
	if m := interval.FindStringSubmatch(content); m != nil {
		content = timeout.ReplaceAllString(content, "${1}"+m[1])
	}
	content = ranged.ReplaceAllStringFunc(content, func(found string) string {
		m := ranged.FindStringSubmatch(found)
		if m[2] == "" {
			return "[" + r.scaleText(m[1]) + "]"
		}
		return "[" + r.scaleText(m[1]) + ":" + r.scaleText(m[2]) + "]"
	})
	return offset.ReplaceAllStringFunc(content, func(found string) string {
		m := offset.FindStringSubmatch(found)
		return m[1] + r.scaleText(m[2])
	})
}

func (r Rehearsal) scaleText(text string) string {
	d, err := time.ParseDuration(text)
	if err != nil || d == 0 {
		return text
	}
	return r.scale(d)
}

// scale returns a duration as Prometheus and Alertmanager write it, in whole
// milliseconds.
func (r Rehearsal) scale(d time.Duration) string {
	d = max(d/time.Duration(r.Faster), shortest)
	return fmt.Sprintf("%dms", d.Milliseconds())
}

func write(name, content string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(content), 0o644)
}
