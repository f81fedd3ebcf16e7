package part

import (
	"fmt"
	"strings"
)

// Compression names the codec of a file's pages.
type Compression string

// The codecs, by the names that the command line uses.
const (
	Zstd   Compression = "zstd" // the default
	Snappy Compression = "snappy"
	None   Compression = "none"
)

// ParseCompression returns the codec of that name; the empty name is Zstd.
func ParseCompression(name string) (Compression, error) {
	switch c := Compression(strings.ToLower(name)); c {
	case "":
		return Zstd, nil
	case Zstd, Snappy, None:
		return c, nil
	}
	return "", fmt.Errorf("compression %q is unknown: use zstd, snappy or none", name)
}

// Options are the sizes at which a Writer cuts. The zero value means the
// defaults, field by field.
type Options struct {
	Compression   Compression // Zstd
	RowGroupRows  int         // rows of a full row group: 122,880, what DuckDB calls one
	RowGroupBytes int         // bytes of memory at which a row group is full before that: 12 MiB
	PageRows      int         // rows of a full page: 10,000
	PageBytes     int         // bytes of values of a full page before that: 1 MiB
	DictBytes     int         // bytes at which a column gives its dictionary up: 1 MiB
}

// withDefaults fills the fields that are zero. Five writers side by side,
// one per kind, hold about five times RowGroupBytes: that is what bounds it.
func (o Options) withDefaults() Options {
	if o.Compression == "" {
		o.Compression = Zstd
	}
	for _, f := range []struct {
		field    *int
		standard int
	}{
		{&o.RowGroupRows, 122_880},
		{&o.RowGroupBytes, 12 << 20},
		{&o.PageRows, 10_000},
		{&o.PageBytes, 1 << 20},
		{&o.DictBytes, 1 << 20},
	} {
		if *f.field <= 0 {
			*f.field = f.standard
		}
	}
	return o
}
