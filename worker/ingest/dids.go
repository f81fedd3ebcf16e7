package ingest

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// mostDIDs is how many accounts both wires let a connection ask for.
const mostDIDs = 10_000

// didSyntax is that of the AT Protocol's specification, which both servers hold
// a filter against.
var didSyntax = regexp.MustCompile(`^did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]$`)

// ReadDIDs reads a list of accounts, one a line; empty lines and what follows a #
// are passed over, and one that stands twice counts once. Errors name the line.
func ReadDIDs(path string) (dids []string, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	seen := make(map[string]bool)
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		did := strings.TrimSpace(text)
		switch {
		case did == "" || seen[did]:
			continue
		case !didSyntax.MatchString(did):
			return nil, fmt.Errorf("%s, line %d: %q is no DID: write one like did:plc:z72i7hdynmk6r22z27h6tvur on each line", path, n, did)
		case len(dids) == mostDIDs:
			return nil, fmt.Errorf("%s has more than %d accounts, and a host lets nobody ask for more: leave out some, or --dids, which keeps all", path, mostDIDs)
		}
		seen[did] = true
		dids = append(dids, did)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(dids) == 0 {
		return nil, fmt.Errorf("%s names no account: write one DID on each line, or leave --dids out, which keeps all", path)
	}
	return dids, nil
}
