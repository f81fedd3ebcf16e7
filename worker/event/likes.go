package event

// likeSpec: app.bsky.feed.like records.
var likeSpec = kindSpec{
	name:         "likes",
	collection:   "app.bsky.feed.like",
	columns:      []Column[Row]{subjectURIColumn, subjectCIDColumn, viaURIColumn, viaCIDColumn},
	decodeField:  decodeLikeField,
	appendFields: appendLikeFields,
}

func decodeLikeField(d *Decoder, row *Row) {
	switch string(d.key) {
	case "subject":
		d.strongRef(&row.SubjectURI, &row.SubjectCID)
	case "via":
		d.strongRef(&row.ViaURI, &row.ViaCID)
	default:
		d.unknown()
	}
}

func appendLikeFields(dst []byte, row *Row) []byte {
	dst = appendStrongRef(dst, "subject", row.SubjectURI, row.SubjectCID)
	return appendStrongRef(dst, "via", row.ViaURI, row.ViaCID)
}
