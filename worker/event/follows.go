package event

// followSpec: app.bsky.graph.follow records.
var followSpec = kindSpec{
	name:         "follows",
	collection:   "app.bsky.graph.follow",
	columns:      []Column[Row]{subjectDIDColumn, viaURIColumn, viaCIDColumn},
	decodeField:  decodeFollowField,
	appendFields: appendFollowFields,
}

func decodeFollowField(d *Decoder, row *Row) {
	switch string(d.key) {
	case "subject":
		d.textColumn(&row.SubjectDID)
	case "via":
		d.strongRef(&row.ViaURI, &row.ViaCID)
	default:
		d.unknown()
	}
}

func appendFollowFields(dst []byte, row *Row) []byte {
	dst = appendText(dst, "subject", row.SubjectDID)
	return appendStrongRef(dst, "via", row.ViaURI, row.ViaCID)
}
