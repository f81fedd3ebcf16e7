package event

import (
	"strconv"
	"unicode/utf8"
)

// AppendEvent appends the event that the row was decoded from: EventJSON as it
// stands when there is one, else JSON built from the columns, equal to the
// event as a JSON value. The members come in the order of Jetstream.
func AppendEvent(dst []byte, kind Kind, row *Row) []byte {
	if row.EventJSON != nil {
		return append(dst, row.EventJSON...)
	}
	dst = append(dst, '{')
	dst = appendText(dst, "did", row.DID)
	dst = appendInt(dst, "time_us", row.EventAt)
	dst = appendInt(dst, "cursor", row.Cursor)
	dst = appendText(dst, "kind", Text("commit"))
	dst = appendCommit(appendName(dst, "commit"), kind, row)
	return append(dst, '}')
}

func appendCommit(dst []byte, kind Kind, row *Row) []byte {
	dst = append(dst, '{')
	dst = appendText(dst, "rev", row.Rev)
	dst = appendText(dst, "operation", row.Operation)
	dst = appendText(dst, "collection", Text(kind.Collection()))
	dst = appendText(dst, "rkey", row.RKey)
	if string(row.Operation) != opDelete {
		dst = appendRecord(appendName(dst, "record"), kind, row)
	}
	dst = appendText(dst, "cid", row.CID)
	return append(dst, '}')
}

func appendRecord(dst []byte, kind Kind, row *Row) []byte {
	dst = append(dst, '{')
	dst = appendText(dst, "$type", Text(kind.Collection()))
	dst = appendCreatedAt(dst, row)
	dst = specs[kind].appendFields(dst, row)
	return append(dst, '}')
}

func appendCreatedAt(dst []byte, row *Row) []byte {
	switch {
	case row.CreatedAtRaw != nil:
		return appendText(dst, "createdAt", row.CreatedAtRaw)
	case row.CreatedAt.Valid:
		dst = append(appendName(dst, "createdAt"), '"')
		return append(appendMillis(dst, row.CreatedAt.Value), '"')
	}
	return dst
}

// The append functions below append one member, or nothing for a null.

func appendText(dst []byte, name string, value Text) []byte {
	if value == nil {
		return dst
	}
	return appendString(appendName(dst, name), value)
}

func appendInt(dst []byte, name string, value Int) []byte {
	if !value.Valid {
		return dst
	}
	return strconv.AppendInt(appendName(dst, name), value.Value, 10)
}

func appendList(dst []byte, name string, list List) []byte {
	if list == nil {
		return dst
	}
	dst = append(appendName(dst, name), '[')
	for i, element := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, element)
	}
	return append(dst, ']')
}

func appendStrongRef(dst []byte, name string, uri, cid Text) []byte {
	if uri == nil && cid == nil {
		return dst
	}
	dst = append(appendName(dst, name), '{')
	dst = appendText(dst, "cid", cid)
	dst = appendText(dst, "uri", uri)
	return append(dst, '}')
}

// appendName appends a member's name, which needs no escapes, and the comma
// before it.
func appendName(dst []byte, name string) []byte {
	dst = append(appendComma(dst), '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

// appendComma appends what stands before a member: nothing where the object has
// just been opened.
func appendComma(dst []byte) []byte {
	if dst[len(dst)-1] == '{' {
		return dst
	}
	return append(dst, ',')
}

// appendString appends a JSON string. Bytes that are not UTF-8, which no
// decoded row has, become U+FFFD.
func appendString(dst []byte, s []byte) []byte {
	dst = append(dst, '"')
	from := 0 // of the bytes that are not appended yet
	for i := 0; i < len(s); {
		if plain[s[i]] && s[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		if size > 1 {
			i += size
			continue
		}
		dst = appendEscape(append(dst, s[from:i]...), r)
		i += size
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}

// appendEscape appends the escape of a quote, a backslash, a control character
// or U+FFFD.
func appendEscape(dst []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	case utf8.RuneError:
		return append(dst, `\ufffd`...)
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
}
