package sink

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/window"
)

// Name identifies one published file.
type Name struct {
	Window  window.Window
	Kind    event.Kind
	Shard   string // empty where there are no shards, else digits: "03"
	Part    int    // 0 is the window's own; higher numbers hold late entries
	Rejects bool   // the rejects of the part of the same number
}

// Layout decides the folders of an archive.
type Layout string

// Layouts. An archive has one, for ever.
const (
	Plain Layout = "plain" // 2026/11/23/10/likes/
	Hive  Layout = "hive"  // year=2026/month=11/day=23/hour=10/kind=likes/
)

// rejectsFolder holds the rejects, in the same folders and names as the parts.
const rejectsFolder = "_rejected"

// extension ends the name of every published file.
const extension = ".parquet"

// ParseLayout reads a layout's name.
func ParseLayout(s string) (Layout, error) {
	if l := Layout(s); l == Plain || l == Hive {
		return l, nil
	}
	return "", fmt.Errorf("layout %q is unknown: use plain or hive", s)
}

// Path returns the file's path below the archive, with slashes.
func (l Layout) Path(n Name) string { return path.Join(l.Folder(n), n.file()) }

// Folder returns the folder of the file's path.
func (l Layout) Folder(n Name) string {
	kind := n.Kind.String()
	if l == Hive {
		kind = "kind=" + kind
	}
	folder := n.Window.Start.UTC().Format(l.hourFormat()) + "/" + kind
	if n.Rejects {
		return path.Join(rejectsFolder, folder)
	}
	return folder
}

// hourFormat is the time format of an hour's folder.
func (l Layout) hourFormat() string {
	if l == Hive {
		return "year=2006/month=01/day=02/hour=15"
	}
	return "2006/01/02/15"
}

// file returns "20261123T100500Z-5m-00.parquet", a shard before the part number.
func (n Name) file() string { return n.stem() + fmt.Sprintf("%02d", n.Part) + extension }

// stem is what the files of one (window, shard) begin with.
func (n Name) stem() string {
	if n.Shard != "" {
		return n.Window.Stem() + "-s" + n.Shard + "-"
	}
	return n.Window.Stem() + "-"
}

// Parse is the inverse of Path.
func (l Layout) Parse(p string) (Name, error) {
	n := Name{}
	folder, file := path.Split(p)
	folder, n.Rejects = strings.CutPrefix(path.Clean(folder), rejectsFolder+"/")
	kind := path.Base(folder)
	if l == Hive {
		kind = strings.TrimPrefix(kind, "kind=")
	}
	var err error
	if n.Kind, err = event.ParseKind(kind); err != nil {
		return Name{}, fmt.Errorf("file %q: %w", p, err)
	}
	if err := n.parseFile(file); err != nil {
		return Name{}, fmt.Errorf("file %q: %w", p, err)
	}
	if l.Path(n) != p {
		return Name{}, fmt.Errorf("file %q stands where %q belongs", p, l.Path(n))
	}
	return n, nil
}

// IsArchiveName reports whether a file or folder of that name, at the top of a folder,
// says that an archive stands there: its shape, or a year of files.
func IsArchiveName(name string) bool {
	if name == archiveFile {
		return true
	}
	for _, layout := range []Layout{Plain, Hive} {
		year, _, _ := strings.Cut(layout.hourFormat(), "/")
		if _, err := time.Parse(year, name); err == nil {
			return true
		}
	}
	return false
}

// IsPartName reports whether a file, wherever it stands, bears a name that only
// parts and their rejects have.
func IsPartName(file string) bool { return new(Name).parseFile(file) == nil }

func (n *Name) parseFile(file string) (err error) {
	stem, ok := strings.CutSuffix(file, extension)
	fields := strings.Split(stem, "-")
	if !ok || len(fields) < 3 || len(fields) > 4 {
		return fmt.Errorf("the name is not START-LENGTH-PART%s", extension)
	}
	if n.Window, err = window.ParseStem(fields[0] + "-" + fields[1]); err != nil {
		return err
	}
	if len(fields) == 4 {
		n.Shard, ok = strings.CutPrefix(fields[2], "s")
		if _, err := strconv.ParseUint(n.Shard, 10, 32); !ok || err != nil {
			return fmt.Errorf("%q is not a shard like s03", fields[2])
		}
	}
	if n.Part, err = strconv.Atoi(fields[len(fields)-1]); err != nil || n.Part < 0 {
		return fmt.Errorf("%q is not a part number", fields[len(fields)-1])
	}
	return nil
}
