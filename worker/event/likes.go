package event

// likeSpec: app.bsky.feed.like records.
var likeSpec = kindSpec{
	name:       "likes",
	collection: "app.bsky.feed.like",
	columns: []Column[Row]{
		subjectURIColumn, subjectCIDColumn, viaURIColumn, viaCIDColumn,
	},
}
