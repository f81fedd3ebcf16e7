package ingest

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAListOfAccounts(t *testing.T) {
	var many strings.Builder
	for n := range mostDIDs + 1 {
		fmt.Fprintf(&many, "did:plc:%d\n", n)
	}
	for _, c := range []struct {
		what, text string
		want       []string
		says       string
	}{
		{what: "one a line", text: "did:plc:a\ndid:web:b.example\n", want: []string{"did:plc:a", "did:web:b.example"}},
		{what: "comments, empty lines and spaces", text: "# a lab\r\n\n  did:plc:a  # its first\r\n", want: []string{"did:plc:a"}},
		{what: "one that stands twice", text: "did:plc:a\ndid:plc:a", want: []string{"did:plc:a"}},
		{what: "a handle", text: "did:plc:a\nalice.example\n", says: `line 2: "alice.example" is no DID`},
		{what: "two on a line", text: "did:plc:a did:plc:b\n", says: "line 1"},
		{what: "nothing", text: "# nobody\n", says: "names no account"},
		{what: "too many", text: many.String(), says: "more than 10000"},
		{what: "as many as there may be", text: strings.TrimSuffix(many.String(), "did:plc:10000\n"), want: nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dids")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			dids, err := ReadDIDs(path)
			switch {
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
				t.Errorf("%v, want one that says %q", err, c.says)
			case c.says == "" && err != nil:
				t.Error(err)
			case c.want != nil && !slices.Equal(dids, c.want):
				t.Errorf("%q, want %q", dids, c.want)
			case c.want == nil && c.says == "" && len(dids) != mostDIDs:
				t.Errorf("%d accounts", len(dids))
			}
		})
	}
	if _, err := ReadDIDs(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there is read")
	}
}

func TestBothWiresAreAskedForTheAccounts(t *testing.T) {
	o, err := Options{Hosts: []string{"a"}, DIDs: []string{"did:plc:a", "did:plc:b"}}.completed()
	if err != nil {
		t.Fatal(err)
	}
	for wire, name := range map[Wire]string{V1: "wantedDids", V2: "dids"} {
		u, err := url.Parse(o.address("wss://a", wire, cursor{}))
		if err != nil || !slices.Equal(u.Query()[name], o.DIDs) {
			t.Errorf("%s: %v, %v", wire, u, err)
		}
	}
}
