package event

// blockSpec: app.bsky.graph.block records.
var blockSpec = kindSpec{
	name:         "blocks",
	collection:   "app.bsky.graph.block",
	columns:      []Column[Row]{subjectDIDColumn},
	decodeField:  decodeBlockField,
	appendFields: appendBlockFields,
}

func decodeBlockField(d *Decoder, row *Row) {
	switch string(d.key) {
	case "subject":
		d.textColumn(&row.SubjectDID)
	default:
		d.unknown()
	}
}

func appendBlockFields(dst []byte, row *Row) []byte {
	return appendText(dst, "subject", row.SubjectDID)
}
