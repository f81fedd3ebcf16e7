package event

// rawSpec: events of Jetstream whose kind is the name and that hold no record.
// The event is a column; of what is in it, only what every event has is one too.
func rawSpec(name string) kindSpec {
	return kindSpec{
		name:         name,
		decodeField:  func(d *Decoder, _ *Row) { d.unknown() },
		appendFields: func(dst []byte, _ *Row) []byte { return dst },
	}
}

// rawColumns are the columns of the raw kinds, in file order.
var rawColumns = []Column[Row]{
	ingestedAtColumn,
	ingestSeqColumn,
	eventAtColumn,
	cursorColumn,
	didColumn,
	required(textColumn("event", func(r *Row) *Text { return &r.EventJSON })),
	entryHashColumn,
}
