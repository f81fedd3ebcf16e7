package event

// blockSpec: app.bsky.graph.block records.
var blockSpec = kindSpec{
	name:       "blocks",
	collection: "app.bsky.graph.block",
	columns: []Column[Row]{
		subjectDIDColumn,
	},
}
