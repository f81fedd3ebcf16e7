package part

import (
	"datawriter/worker/event"

	"github.com/xitongsys/parquet-go/parquet"
)

// leaf is one column as Parquet sees it: a physical type and how deep its
// nulls and lists nest.
type leaf struct {
	name     string
	path     []string // from the root: one name, or three for a list
	typ      event.Type
	nullable bool
	maxDef   uint8
	maxRep   uint8
}

// leavesOf returns the leaves of the columns, in order.
func leavesOf[R any](columns []event.Column[R]) []leaf {
	leaves := make([]leaf, len(columns))
	for i, c := range columns {
		leaves[i] = newLeaf(c.Name, c.Type, c.Nullable)
	}
	return leaves
}

func newLeaf(name string, typ event.Type, nullable bool) leaf {
	l := leaf{name: name, path: []string{name}, typ: typ, nullable: nullable}
	if nullable {
		l.maxDef = 1
	}
	if l.isList() {
		// The standard three levels: a list is there, it has an element, the element is there.
		l.path = append(l.path, "list", "element")
		l.maxDef += 2
		l.maxRep = 1
	}
	return l
}

func (l *leaf) isList() bool { return l.typ == event.StringList || l.typ == event.BinaryList }

func (l *leaf) isText() bool { return l.typ == event.String || l.isList() }

// isUTF8 reports whether the values are characters, not just bytes.
func (l *leaf) isUTF8() bool { return l.typ == event.String || l.typ == event.StringList }

func (l *leaf) physical() parquet.Type {
	if l.isText() {
		return parquet.Type_BYTE_ARRAY
	}
	return parquet.Type_INT64
}

// schemaElements returns the schema of a file with these leaves, depth first,
// as a footer holds it.
func schemaElements(leaves []leaf) []*parquet.SchemaElement {
	elements := []*parquet.SchemaElement{{Name: "schema", NumChildren: pointer(int32(len(leaves)))}}
	for i := range leaves {
		l := &leaves[i]
		if l.isList() {
			elements = append(elements, listElements(l)...)
			continue
		}
		elements = append(elements, valueElement(l, l.name, l.nullable))
	}
	return elements
}

// listElements returns the three levels of a list. The element is optional
// though no element is ever null: so pyarrow and DuckDB write it, and files
// of theirs and ours have one schema.
func listElements(l *leaf) []*parquet.SchemaElement {
	return []*parquet.SchemaElement{
		{
			Name: l.name, RepetitionType: repetition(l.nullable), NumChildren: pointer(int32(1)),
			ConvertedType: pointer(parquet.ConvertedType_LIST), LogicalType: &parquet.LogicalType{LIST: &parquet.ListType{}},
		},
		{Name: "list", RepetitionType: pointer(parquet.FieldRepetitionType_REPEATED), NumChildren: pointer(int32(1))},
		valueElement(l, "element", true),
	}
}

func valueElement(l *leaf, name string, nullable bool) *parquet.SchemaElement {
	e := &parquet.SchemaElement{Name: name, Type: pointer(l.physical()), RepetitionType: repetition(nullable)}
	switch {
	case l.isUTF8():
		e.ConvertedType = pointer(parquet.ConvertedType_UTF8)
		e.LogicalType = &parquet.LogicalType{STRING: &parquet.StringType{}}
	case l.typ == event.TimestampMillis:
		e.ConvertedType = pointer(parquet.ConvertedType_TIMESTAMP_MILLIS)
		e.LogicalType = timestamp(&parquet.TimeUnit{MILLIS: &parquet.MilliSeconds{}})
	case l.typ == event.TimestampMicros:
		e.ConvertedType = pointer(parquet.ConvertedType_TIMESTAMP_MICROS)
		e.LogicalType = timestamp(&parquet.TimeUnit{MICROS: &parquet.MicroSeconds{}})
	}
	return e
}

func timestamp(unit *parquet.TimeUnit) *parquet.LogicalType {
	return &parquet.LogicalType{TIMESTAMP: &parquet.TimestampType{IsAdjustedToUTC: true, Unit: unit}}
}

func repetition(nullable bool) *parquet.FieldRepetitionType {
	if nullable {
		return pointer(parquet.FieldRepetitionType_OPTIONAL)
	}
	return pointer(parquet.FieldRepetitionType_REQUIRED)
}

func pointer[T any](v T) *T { return &v }
