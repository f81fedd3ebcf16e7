package event

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// This file is the slow and obvious decoder that the real one is compared
// with. It is built on encoding/json, and it decides whether a row is lossless
// by rebuilding the event and comparing, not by keeping account on the way.

// jsonValue is a JSON value that hides nothing: numbers as they are written,
// members with their duplicates.
type jsonValue struct {
	token    byte   // one of { [ " 0 and, for true, false, null: t f n
	text     string // of a string, decoded; of a number, its literal
	broken   bool   // the string had a lone surrogate
	elements []jsonValue
	names    []jsonValue // of the elements, in an object
}

// parseJSON parses one valid JSON text.
func parseJSON(tb testing.TB, text []byte) jsonValue {
	tb.Helper()
	p := treeParser{tb: tb, text: text, dec: json.NewDecoder(bytes.NewReader(text))}
	p.dec.UseNumber()
	return p.value()
}

type treeParser struct {
	tb   testing.TB
	text []byte
	dec  *json.Decoder
}

func (p *treeParser) value() jsonValue {
	from := p.dec.InputOffset()
	token, err := p.dec.Token()
	if err != nil {
		p.tb.Fatalf("parse %q: %v", p.text, err)
	}
	switch token := token.(type) {
	case json.Delim:
		return p.container(byte(token))
	case string:
		return stringValue(token, p.text[from:p.dec.InputOffset()])
	case json.Number:
		return jsonValue{token: '0', text: token.String()}
	case bool:
		return jsonValue{token: strconv.FormatBool(token)[0]}
	}
	return jsonValue{token: 'n'}
}

func (p *treeParser) container(token byte) jsonValue {
	v := jsonValue{token: token}
	for p.dec.More() {
		if token == '{' {
			v.names = append(v.names, p.value())
		}
		v.elements = append(v.elements, p.value())
	}
	_, _ = p.dec.Token() // the closing bracket, known to be there
	return v
}

// replacement matches what lawfully decodes to U+FFFD, and, so that nothing
// matches in the middle of an escape, every other two-byte escape.
var replacement = regexp.MustCompile(`\\[^u]|\\u[fF]{3}[dD]|\x{FFFD}`)

// stringValue calls a string broken if it decoded to more U+FFFD than it holds:
// the others stand for lone surrogates.
func stringValue(decoded string, raw []byte) jsonValue {
	lawful := 0
	for _, match := range replacement.FindAll(raw, -1) {
		if len(match) != 2 {
			lawful++
		}
	}
	return jsonValue{token: '"', text: decoded, broken: strings.Count(decoded, "\ufffd") != lawful}
}

// isBroken reports whether a string or a name anywhere in the value is.
func (v jsonValue) isBroken() bool {
	return v.broken || slices.ContainsFunc(v.names, jsonValue.isBroken) || slices.ContainsFunc(v.elements, jsonValue.isBroken)
}

// str and object build values.
func str(s string) jsonValue { return jsonValue{token: '"', text: s} }

func (v *jsonValue) add(name string, element jsonValue) {
	v.names = append(v.names, str(name))
	v.elements = append(v.elements, element)
}

// get returns the last member of each name on the path.
func (v jsonValue) get(path ...string) (found jsonValue, ok bool) {
	for _, name := range path {
		if v.token != '{' {
			return jsonValue{}, false
		}
		i := len(v.names) - 1
		for ; i >= 0 && v.names[i].text != name; i-- {
		}
		if i < 0 {
			return jsonValue{}, false
		}
		v = v.elements[i]
	}
	return v, true
}

func (v jsonValue) getString(path ...string) (string, bool) {
	if found, _ := v.get(path...); found.token == '"' {
		return found.text, true
	}
	return "", false
}

func (v jsonValue) getInt(path ...string) (int64, bool) {
	found, _ := v.get(path...)
	n, err := strconv.ParseInt(found.text, 10, 64)
	return n, found.token == '0' && err == nil && strconv.FormatInt(n, 10) == found.text
}

func (v jsonValue) getStrings(path ...string) ([]string, bool) {
	found, _ := v.get(path...)
	list := []string{}
	for _, element := range found.elements {
		if element.token != '"' {
			return nil, false
		}
		list = append(list, element.text)
	}
	return list, found.token == '['
}

// equal reports whether two values are equal beyond doubt: one with duplicate
// names or lone surrogates equals nothing, and numbers are compared as written.
func equal(a, b jsonValue) bool {
	if a.token != b.token || a.text != b.text || a.broken || b.broken || len(a.elements) != len(b.elements) {
		return false
	}
	if a.token != '{' {
		for i := range a.elements {
			if !equal(a.elements[i], b.elements[i]) {
				return false
			}
		}
		return true
	}
	return membersEqual(a, b)
}

func membersEqual(a, b jsonValue) bool {
	seen := map[string]bool{}
	for i, name := range a.names {
		other, ok := b.get(name.text)
		if seen[name.text] || name.broken || !ok || !equal(a.elements[i], other) {
			return false
		}
		seen[name.text] = true
	}
	return true // as many members in b, and each name of a among them
}

// columns is a row as a test likes it: by column name, nulls left out, as
// int64, string or []string.
type columns map[string]any

// columnsOf reads a row by the column table of its kind.
func columnsOf(kind Kind, row *Row) columns {
	c := columns{}
	for _, column := range RowColumns(kind) {
		switch {
		case column.Int != nil && column.Int(row).Valid:
			c[column.Name] = column.Int(row).Value
		case column.Text != nil && *column.Text(row) != nil:
			c[column.Name] = string(*column.Text(row))
		case column.List != nil && *column.List(row) != nil:
			list := []string{}
			for _, element := range *column.List(row) {
				list = append(list, string(element))
			}
			c[column.Name] = list
		}
	}
	return c
}

// referenceDecode is Decode of an entry with that event, without the columns
// that the entry itself fills.
func referenceDecode(tb testing.TB, kind Kind, event []byte) (columns, Reason) {
	tb.Helper()
	if len(event) > MaxEventBytes {
		return nil, ReasonTooLarge
	}
	if !utf8.Valid(event) {
		return nil, ReasonNotUTF8
	}
	if !json.Valid(event) || bytes.TrimLeft(event, " \t\r\n")[0] != '{' {
		return nil, ReasonNotJSON
	}
	tree := parseJSON(tb, event)
	if tree.isBroken() {
		return nil, ReasonText
	}
	if reason := referenceReject(kind, tree); reason != "" {
		return nil, reason
	}
	if kind.IsRaw() {
		return referenceRaw(tree, event), ""
	}
	c := referenceColumns(kind, tree)
	if !equal(referenceRebuild(kind, c), tree) {
		c["event_json"] = string(event)
	}
	return c, ""
}

func referenceRaw(tree jsonValue, event []byte) columns {
	c := columns{"event": string(event)}
	c.take("event_at", tree, []string{"time_us"})
	c.take("cursor", tree, []string{"cursor"})
	c.take("did", tree, []string{"did"})
	return c
}

func referenceReject(kind Kind, tree jsonValue) Reason {
	did, _ := tree.getString("did")
	at, atOK := tree.getInt("time_us")
	commit, _ := tree.get("commit")
	operation, operationOK := commit.getString("operation")
	collection, collectionOK := commit.getString("collection")
	rkey, _ := commit.getString("rkey")
	switch {
	case did == "":
		return ReasonNoDID
	case !atOK:
		return ReasonNoTime
	case time.UnixMicro(at).UTC().Year() < 2000 || time.UnixMicro(at).UTC().Year() > 2099:
		return ReasonTimeOutOfRange
	case kind.IsRaw():
		if class, _ := tree.getString("kind"); class != kind.String() {
			return ReasonKind
		}
	case commit.token != '{':
		return ReasonNoCommit
	case !operationOK || operation != "create" && operation != "update" && operation != "delete":
		return ReasonOperation
	case !collectionOK || collection != kind.Collection():
		return ReasonCollection
	case rkey == "":
		return ReasonNoRKey
	}
	return ""
}

// source is where a column's value stands in an event.
type source struct {
	column string
	path   []string
}

func commonSources() []source {
	return []source{
		{"event_at", []string{"time_us"}}, {"cursor", []string{"cursor"}},
		{"did", []string{"did"}}, {"operation", []string{"commit", "operation"}},
		{"rkey", []string{"commit", "rkey"}}, {"rev", []string{"commit", "rev"}},
		{"cid", []string{"commit", "cid"}},
	}
}

// recordSources lists each kind's own columns, from the record on.
func recordSources(kind Kind) []source {
	switch kind {
	case Posts:
		return []source{
			{"text", []string{"text"}}, {"langs", []string{"langs"}}, {"tags", []string{"tags"}},
			{"reply_root_uri", []string{"reply", "root", "uri"}}, {"reply_root_cid", []string{"reply", "root", "cid"}},
			{"reply_parent_uri", []string{"reply", "parent", "uri"}}, {"reply_parent_cid", []string{"reply", "parent", "cid"}},
			{"embed_type", []string{"embed", "$type"}},
		}
	case Follows:
		return []source{{"subject_did", []string{"subject"}}, {"via_uri", []string{"via", "uri"}}, {"via_cid", []string{"via", "cid"}}}
	case Blocks:
		return []source{{"subject_did", []string{"subject"}}}
	}
	return []source{
		{"subject_uri", []string{"subject", "uri"}}, {"subject_cid", []string{"subject", "cid"}},
		{"via_uri", []string{"via", "uri"}}, {"via_cid", []string{"via", "cid"}},
	}
}

func referenceColumns(kind Kind, tree jsonValue) columns {
	c := columns{}
	for _, s := range commonSources() {
		c.take(s.column, tree, s.path)
	}
	record, _ := tree.get("commit", "record")
	for _, s := range recordSources(kind) {
		c.take(s.column, record, s.path)
	}
	if raw, ok := record.getString("createdAt"); ok {
		c.takeTime(raw)
	}
	return c
}

func (c columns) take(column string, v jsonValue, path []string) {
	switch column {
	case "event_at", "cursor":
		if n, ok := v.getInt(path...); ok {
			c[column] = n
		}
	case "langs", "tags":
		if list, ok := v.getStrings(path...); ok {
			c[column] = list
		}
	default:
		if s, ok := v.getString(path...); ok {
			c[column] = s
		}
	}
}

var (
	// rfc3339 is the syntax; package time is too kind to it.
	rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)
	millis  = regexp.MustCompile(`^.{19}\.\d{3}Z$`)
)

func (c columns) takeTime(raw string) {
	at, err := time.Parse(time.RFC3339, raw)
	valid := err == nil && rfc3339.MatchString(raw) && 1 <= at.UTC().Year() && at.UTC().Year() <= 9999
	if valid {
		c["created_at"] = at.UnixMicro()
	}
	if !valid || !millis.MatchString(raw) {
		c["created_at_raw"] = raw
	}
}

// referenceRebuild is the event that the columns stand for.
func referenceRebuild(kind Kind, c columns) jsonValue {
	event, commit := jsonValue{token: '{'}, jsonValue{token: '{'}
	for _, s := range commonSources() {
		if len(s.path) == 1 {
			c.give(s.column, &event, s.path)
		} else if s.column != "cid" || c["operation"] != "delete" {
			c.give(s.column, &commit, s.path[1:])
		}
	}
	event.add("kind", str("commit"))
	commit.add("collection", str(kind.Collection()))
	if c["operation"] != "delete" {
		commit.add("record", referenceRecord(kind, c))
	}
	event.add("commit", commit)
	return event
}

func referenceRecord(kind Kind, c columns) jsonValue {
	record := jsonValue{token: '{'}
	record.add("$type", str(kind.Collection()))
	if raw, ok := c["created_at_raw"]; ok {
		record.add("createdAt", str(raw.(string)))
	} else if at, ok := c["created_at"]; ok {
		record.add("createdAt", str(time.UnixMicro(at.(int64)).UTC().Format("2006-01-02T15:04:05.000Z")))
	}
	for _, s := range recordSources(kind) {
		if s.column != "embed_type" {
			c.give(s.column, &record, s.path)
		}
	}
	return record
}

// give puts a column's value below an object, opening objects on the way.
func (c columns) give(column string, v *jsonValue, path []string) {
	value, ok := c[column]
	if !ok {
		return
	}
	for _, name := range path[:len(path)-1] {
		if _, ok := v.get(name); !ok {
			v.add(name, jsonValue{token: '{'})
		}
		for i := range v.names {
			if v.names[i].text == name {
				v = &v.elements[i]
				break
			}
		}
	}
	v.add(path[len(path)-1], columnValue(value))
}

func columnValue(value any) jsonValue {
	switch value := value.(type) {
	case int64:
		return jsonValue{token: '0', text: strconv.FormatInt(value, 10)}
	case []string:
		list := jsonValue{token: '['}
		for _, element := range value {
			list.elements = append(list.elements, str(element))
		}
		return list
	}
	return str(value.(string))
}
