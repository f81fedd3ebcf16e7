package event

// repostSpec: app.bsky.feed.repost records.
var repostSpec = kindSpec{
	name:         "reposts",
	collection:   "app.bsky.feed.repost",
	columns:      []Column[Row]{subjectURIColumn, subjectCIDColumn, viaURIColumn, viaCIDColumn},
	decodeField:  decodeRepostField,
	appendFields: appendRepostFields,
}

func decodeRepostField(d *Decoder, row *Row) {
	switch string(d.key) {
	case "subject":
		d.strongRef(&row.SubjectURI, &row.SubjectCID)
	case "via":
		d.strongRef(&row.ViaURI, &row.ViaCID)
	default:
		d.unknown()
	}
}

func appendRepostFields(dst []byte, row *Row) []byte {
	dst = appendStrongRef(dst, "subject", row.SubjectURI, row.SubjectCID)
	return appendStrongRef(dst, "via", row.ViaURI, row.ViaCID)
}
