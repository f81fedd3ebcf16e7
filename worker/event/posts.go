package event

// postSpec: app.bsky.feed.post records.
var postSpec = kindSpec{
	name:       "posts",
	collection: "app.bsky.feed.post",
	columns: []Column[Row]{
		textColumn("text", func(r *Row) *Text { return &r.Text }),
		listColumn("langs", StringList, func(r *Row) *List { return &r.Langs }),
		textColumn("reply_root_uri", func(r *Row) *Text { return &r.ReplyRootURI }),
		textColumn("reply_root_cid", func(r *Row) *Text { return &r.ReplyRootCID }),
		textColumn("reply_parent_uri", func(r *Row) *Text { return &r.ReplyParentURI }),
		textColumn("reply_parent_cid", func(r *Row) *Text { return &r.ReplyParentCID }),
		textColumn("embed_type", func(r *Row) *Text { return &r.EmbedType }),
		listColumn("tags", StringList, func(r *Row) *List { return &r.Tags }),
	},
	decodeField:  decodePostField,
	appendFields: appendPostFields,
}

func decodePostField(d *Decoder, row *Row) {
	switch string(d.key) {
	case "text":
		d.textColumn(&row.Text)
	case "langs":
		d.listColumn(&row.Langs, &d.langs)
	case "reply":
		d.reply(row)
	case "embed":
		d.embed(row)
	case "tags":
		d.listColumn(&row.Tags, &d.tags)
	default: // facets and labels among others: too deep and too rare for columns
		d.unknown()
	}
}

// reply reads an app.bsky.feed.post#replyRef, {root, parent}.
func (d *Decoder) reply(row *Row) {
	if isReply(row) {
		d.lossless = false
		row.ReplyRootURI, row.ReplyRootCID = nil, nil
		row.ReplyParentURI, row.ReplyParentCID = nil, nil
	}
	if !d.enter('{') {
		return
	}
	for d.nextMember() {
		switch string(d.key) {
		case "root":
			d.strongRef(&row.ReplyRootURI, &row.ReplyRootCID)
		case "parent":
			d.strongRef(&row.ReplyParentURI, &row.ReplyParentCID)
		default:
			d.unknown()
		}
	}
	if !isReply(row) { // the empty object
		d.lossless = false
	}
}

func isReply(row *Row) bool {
	return row.ReplyRootURI != nil || row.ReplyRootCID != nil ||
		row.ReplyParentURI != nil || row.ReplyParentCID != nil
}

// embed reads the type of an embed; nothing else of it has a column.
func (d *Decoder) embed(row *Row) {
	d.lossless = false
	row.EmbedType = nil
	if !d.enter('{') {
		return
	}
	for d.nextMember() {
		if string(d.key) == "$type" {
			d.textColumn(&row.EmbedType)
		} else {
			d.skip()
		}
	}
}

func appendPostFields(dst []byte, row *Row) []byte {
	dst = appendList(dst, "langs", row.Langs)
	if isReply(row) {
		dst = append(appendName(dst, "reply"), '{')
		dst = appendStrongRef(dst, "parent", row.ReplyParentURI, row.ReplyParentCID)
		dst = appendStrongRef(dst, "root", row.ReplyRootURI, row.ReplyRootCID)
		dst = append(dst, '}')
	}
	dst = appendList(dst, "tags", row.Tags)
	return appendText(dst, "text", row.Text)
}
