package deployments_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What deployments/compose/prometheus/start.sh puts together is one configuration.
func TestPrometheusTakesTheConfigurationOfDockerCompose(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "prometheus.yml"), read(t, "prometheus/prometheus.yml")+read(t, "compose/prometheus/jobs.yml"))
	for name, source := range map[string]string{"rules": "prometheus/rules", "targets": "compose/prometheus/targets"} {
		if err := os.CopyFS(filepath.Join(folder, name), os.DirFS(source)); err != nil {
			t.Fatal(err)
		}
	}
	ask(t, folder, promtool, "check", "config", "prometheus.yml")
}

func TestAlertmanagerTakesTheRouteToNobody(t *testing.T) {
	ask(t, "compose/alertmanager", amtool, "check-config", "nobody.yml")
}

// An image is built of what .dockerignore lets through, and the program does not
// compile without the files that it carries.
func TestTheImagesHaveWhatTheProgramCarries(t *testing.T) {
	let := strings.Split(read(t, "../.dockerignore"), "\n")
	carried := strings.Fields(ask(t, ".", []string{"go"}, "list", "-f", `{{join .EmbedFiles "\n"}}`, "."))
	if len(carried) == 0 {
		t.Fatal("the package carries no file")
	}
	for _, file := range carried {
		folder, _, _ := strings.Cut(file, "/")
		if !slices.Contains(let, "!deployments/"+folder) {
			t.Errorf("%s is kept from the images: .dockerignore has no line !deployments/%s", file, folder)
		}
	}
}

func TestSecretsAreMadeOnceAndFollowTheirPasswords(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "secrets")
	secrets(t, folder)
	first := contents(t, folder)
	secrets(t, folder)
	for name, text := range contents(t, folder) {
		if text != first[name] {
			t.Errorf("%s changed although nothing was asked", name)
		}
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is open to others: %v %v", info.Mode(), err)
	}
	for _, name := range []string{"redis_drainer", "prefect_password", "exporter_password"} {
		if len(first[name]) != 48 {
			t.Errorf("%s is %q, not 24 bytes in hexadecimal", name, first[name])
		}
		if err := os.Remove(filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	secrets(t, folder, "SLACK_URL=https://hooks.example/one")
	changed := map[string]bool{
		"redis_drainer": true, "redis_users.acl": true, "prefect_password": true, "prefect_auth": true, "prefect_profiles.toml": true,
		"exporter_password": true, "exporter_web.yml": true, "slack_url": true, "slack_escalation_url": true,
	}
	for name, text := range contents(t, folder) {
		if (text != first[name]) != changed[name] {
			t.Errorf("%s changed: %t, want %t", name, text != first[name], changed[name])
		}
	}
}

func secrets(t *testing.T, folder string, environ ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "compose/secrets.sh", folder)
	cmd.Env = append(os.Environ(), environ...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("secrets.sh: %v\n%s", err, out)
	}
}

func contents(t *testing.T, folder string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, entry := range entries {
		all[entry.Name()] = read(t, filepath.Join(folder, entry.Name()))
	}
	return all
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
