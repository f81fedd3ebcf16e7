package event

// Type is the Parquet type of a column, in the words of schema.md.
type Type uint8

// Column types; the accessor that a Column of each type has stands behind it.
const (
	Int64           Type = iota // INT64: Int
	TimestampMillis             // INT64 TIMESTAMP(MILLIS, UTC): Int
	TimestampMicros             // INT64 TIMESTAMP(MICROS, UTC): Int
	String                      // BYTE_ARRAY UTF8: Text
	StringList                  // LIST of BYTE_ARRAY UTF8: List
	BinaryList                  // LIST of BYTE_ARRAY: List
)

// Int is a nullable 64-bit number.
type Int struct {
	Value int64
	Valid bool
}

// Some returns a valid Int.
func Some(v int64) Int { return Int{Value: v, Valid: true} }

// Text is a nullable byte string: nil is null, empty is not.
type Text []byte

// List is a nullable list of byte strings, none of them null: nil is null, empty is not.
type List [][]byte

// Column is one Parquet column of a record of type R: its name, its type, and
// the one accessor that its Type calls for. The accessor serves writers and
// readers: it points at the record's field.
type Column[R any] struct {
	Name     string
	Type     Type
	Nullable bool
	Int      func(*R) *Int
	Text     func(*R) *Text
	List     func(*R) *List
}

func required[R any](c Column[R]) Column[R] { c.Nullable = false; return c }

func intColumn[R any](name string, t Type, at func(*R) *Int) Column[R] {
	return Column[R]{Name: name, Type: t, Nullable: true, Int: at}
}

func textColumn[R any](name string, at func(*R) *Text) Column[R] {
	return Column[R]{Name: name, Type: String, Nullable: true, Text: at}
}

func listColumn[R any](name string, t Type, at func(*R) *List) Column[R] {
	return Column[R]{Name: name, Type: t, Nullable: true, List: at}
}
