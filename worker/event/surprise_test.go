package event

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// mutations are the ways in which clients surprise: each takes the text of a
// value and returns what stands in its place.
var mutations = map[string]func(string) string{
	"null":             func(string) string { return "null" },
	"true":             func(string) string { return "true" },
	"a string":         func(string) string { return `"surprise"` },
	"an empty string":  func(string) string { return `""` },
	"a lone surrogate": func(string) string { return `"\udfff"` },
	"a number":         func(string) string { return "1795428300000000" },
	"a fraction":       func(string) string { return "1795428300000000.0" },
	"zero below zero":  func(string) string { return "-0" },
	"a huge number":    func(string) string { return "123456789012345678901234567890" },
	"an empty object":  func(string) string { return "{}" },
	"an empty array":   func(string) string { return "[]" },
	"an array of it":   func(v string) string { return "[" + v + "]" },
	"an object of it":  func(v string) string { return `{"uri":` + v + `}` },
	"white space":      func(v string) string { return " \t\r\n" + v + "\n " },
}

// TestEverySurprise puts every mutation in the place of every value of every
// sample, adds duplicates before and behind it, drops it, and adds members.
func TestEverySurprise(t *testing.T) {
	for _, kind := range Kinds() {
		for _, event := range samples(t, kind) {
			tree := parseJSON(t, event)
			for at := range count(tree) {
				for _, m := range mutatorsAt(at) {
					checkDecode(t, kind, []byte(m.print(tree)))
				}
			}
		}
	}
}

func mutatorsAt(at int) []*mutator {
	null, same := mutations["null"], func(v string) string { return v }
	list := []*mutator{
		{at, drop, nil}, {at, addMember, same}, {at, duplicateBefore, same},
		{at, duplicateBefore, null}, {at, duplicateBehind, null}, {at, duplicateBehind, mutations["an empty object"]},
	}
	for _, name := range slices.Sorted(maps.Keys(mutations)) {
		list = append(list, &mutator{at, replace, mutations[name]})
	}
	return list
}

// TestEveryPrefix cuts every odd event short at every byte of its record, and
// puts bytes to which JSON gives a meaning in the place of the last.
func TestEveryPrefix(t *testing.T) {
	for _, event := range oddEvents() {
		if len(event) > 1000 {
			continue
		}
		for cut := max(0, strings.Index(event, `"$type"`)); cut < len(event); cut++ {
			checkDecode(t, Posts, []byte(event[:cut]))
			for _, c := range []byte("\"}]\\,\x1f") {
				changed := []byte(event)
				changed[cut] = c
				checkDecode(t, Posts, changed)
			}
		}
	}
}

// count returns the number of values in v, v among them.
func count(v jsonValue) int {
	n := 1
	for _, element := range v.elements {
		n += count(element)
	}
	return n
}

// The ways in which a mutation is put into a tree.
const (
	replace = iota
	duplicateBefore
	duplicateBehind
	drop
	addMember
)

// mutator prints a tree with a mutation at the value number at, in the order
// of printing.
type mutator struct {
	at     int
	way    int
	mutate func(string) string
}

func (m *mutator) print(v jsonValue) string {
	mine := m.at == 0
	m.at--
	text := m.printWhole(v, mine && m.way == addMember)
	if mine && m.way == replace {
		return m.mutate(text)
	}
	return text
}

func (m *mutator) printWhole(v jsonValue, add bool) string {
	switch v.token {
	case '"':
		return quote(v.text)
	case '0':
		return v.text
	case 't', 'f', 'n':
		return map[byte]string{'t': "true", 'f': "false", 'n': "null"}[v.token]
	}
	var parts []string
	for i, element := range v.elements {
		parts = append(parts, m.printPart(v, i, element)...)
	}
	if v.token == '[' {
		return "[" + strings.Join(parts, ",") + "]"
	}
	if add {
		parts = append(parts, `"extra":`+m.mutate("1"))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (m *mutator) printPart(parent jsonValue, i int, element jsonValue) []string {
	mine := m.at == 0
	name := ""
	if parent.token == '{' {
		name = quote(parent.names[i].text) + ":"
	}
	text := m.print(element)
	switch {
	case mine && m.way == drop:
		return nil
	case mine && m.way == duplicateBefore:
		return []string{name + m.mutate(text), name + text}
	case mine && m.way == duplicateBehind:
		return []string{name + text, name + m.mutate(text)}
	}
	return []string{name + text}
}

func quote(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}
