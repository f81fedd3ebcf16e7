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
}
