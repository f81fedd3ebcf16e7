package event

import "slices"

// Row is one event as Parquet: the columns of schema.md, those of every kind
// side by side. Which of them a kind has, and in which order, is what
// RowColumns says. Byte slices alias the decoder's input and scratch space:
// they are valid until the next Decode.
type Row struct {
	IngestedAt   Int // milliseconds of the entry ID
	IngestSeq    Int // sequence of the entry ID, its bits as a signed number
	EventAt      Int // microseconds: time_us
	Cursor       Int
	Operation    Text
	DID          Text
	RKey         Text
	Rev          Text
	CID          Text
	CreatedAt    Int // microseconds
	CreatedAtRaw Text
	EventJSON    Text // a raw kind has it in every row
	EntryHash    Int  // the bits of Entry.Hash as a signed number

	Text           Text
	Langs          List
	ReplyRootURI   Text
	ReplyRootCID   Text
	ReplyParentURI Text
	ReplyParentCID Text
	EmbedType      Text
	Tags           List

	SubjectURI Text
	SubjectCID Text
	SubjectDID Text
	ViaURI     Text
	ViaCID     Text
}

// ID returns the ID of the entry that the row came from.
func (r *Row) ID() ID {
	return ID{MS: uint64(r.IngestedAt.Value), Seq: uint64(r.IngestSeq.Value)}
}

// Columns that the raw kinds have too.
var (
	ingestedAtColumn = required(intColumn("ingested_at", TimestampMillis, func(r *Row) *Int { return &r.IngestedAt }))
	ingestSeqColumn  = required(intColumn("ingest_seq", Int64, func(r *Row) *Int { return &r.IngestSeq }))
	eventAtColumn    = required(intColumn("event_at", TimestampMicros, func(r *Row) *Int { return &r.EventAt }))
	cursorColumn     = intColumn("cursor", Int64, func(r *Row) *Int { return &r.Cursor })
	didColumn        = required(textColumn("did", func(r *Row) *Text { return &r.DID }))
	entryHashColumn  = required(intColumn("entry_hash", Int64, func(r *Row) *Int { return &r.EntryHash }))
)

// leading and trailing columns frame every kind's own, but for the raw ones.
var (
	leadingColumns = []Column[Row]{
		ingestedAtColumn,
		ingestSeqColumn,
		eventAtColumn,
		cursorColumn,
		required(textColumn("operation", func(r *Row) *Text { return &r.Operation })),
		didColumn,
		required(textColumn("rkey", func(r *Row) *Text { return &r.RKey })),
		textColumn("rev", func(r *Row) *Text { return &r.Rev }),
		textColumn("cid", func(r *Row) *Text { return &r.CID }),
		intColumn("created_at", TimestampMicros, func(r *Row) *Int { return &r.CreatedAt }),
		textColumn("created_at_raw", func(r *Row) *Text { return &r.CreatedAtRaw }),
	}
	trailingColumns = []Column[Row]{
		textColumn("event_json", func(r *Row) *Text { return &r.EventJSON }),
		entryHashColumn,
	}
)

// Columns that several kinds share.
var (
	subjectURIColumn = textColumn("subject_uri", func(r *Row) *Text { return &r.SubjectURI })
	subjectCIDColumn = textColumn("subject_cid", func(r *Row) *Text { return &r.SubjectCID })
	subjectDIDColumn = textColumn("subject_did", func(r *Row) *Text { return &r.SubjectDID })
	viaURIColumn     = textColumn("via_uri", func(r *Row) *Text { return &r.ViaURI })
	viaCIDColumn     = textColumn("via_cid", func(r *Row) *Text { return &r.ViaCID })
)

// RowColumns returns the columns of a kind's parts, in file order.
func RowColumns(k Kind) []Column[Row] {
	if k.IsRaw() {
		return slices.Clone(rawColumns)
	}
	own := specs[k].columns
	columns := make([]Column[Row], 0, len(leadingColumns)+len(own)+len(trailingColumns))
	columns = append(columns, leadingColumns...)
	columns = append(columns, own...)
	return append(columns, trailingColumns...)
}
