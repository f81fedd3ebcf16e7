package event

// repostSpec: app.bsky.feed.repost records.
var repostSpec = kindSpec{
	name:       "reposts",
	collection: "app.bsky.feed.repost",
	columns: []Column[Row]{
		subjectURIColumn, subjectCIDColumn, viaURIColumn, viaCIDColumn,
	},
}
