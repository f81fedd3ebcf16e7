package event

// followSpec: app.bsky.graph.follow records.
var followSpec = kindSpec{
	name:       "follows",
	collection: "app.bsky.graph.follow",
	columns: []Column[Row]{
		subjectDIDColumn, viaURIColumn, viaCIDColumn,
	},
}
