package event

// Reason says why an entry cannot be a row. The set is closed: it is a label
// of metrics and a column of reject files.
type Reason string

// Reasons, in the order in which Decode looks for them. The empty Reason
// means that the entry is a row.
const (
	ReasonNoEvent        Reason = "no_event_field"    // not exactly one field named event
	ReasonTooLarge       Reason = "too_large"         // the event is longer than MaxEventBytes
	ReasonNotUTF8        Reason = "not_utf8"          // the event is not valid UTF-8
	ReasonNotJSON        Reason = "not_json"          // the event is not one JSON object
	ReasonText           Reason = "bad_text"          // a string or a name has half of a surrogate pair, \ud83d, which no UTF-8 can hold
	ReasonNoDID          Reason = "no_did"            // did is missing, empty or not a string
	ReasonNoTime         Reason = "no_time_us"        // time_us is missing or not a 64-bit integer
	ReasonTimeOutOfRange Reason = "time_out_of_range" // time_us is outside [MinTimeUS, MaxTimeUS)
	ReasonNoCommit       Reason = "no_commit"         // commit is missing or not an object
	ReasonOperation      Reason = "wrong_operation"   // commit.operation is none of create, update, delete
	ReasonCollection     Reason = "wrong_collection"  // commit.collection is not the stream's
	ReasonNoRKey         Reason = "no_rkey"           // commit.rkey is missing, empty or not a string

	// Only of raw kinds, which have no commit, and instead of the reasons that are about one.
	ReasonKind Reason = "wrong_kind" // kind is not the stream's
)

// Reasons lists every reason that entries of the five kinds can have, in the
// order in which Decode looks for them.
func Reasons() []Reason {
	return []Reason{
		ReasonNoEvent, ReasonTooLarge, ReasonNotUTF8, ReasonNotJSON, ReasonText, ReasonNoDID, ReasonNoTime,
		ReasonTimeOutOfRange, ReasonNoCommit, ReasonOperation, ReasonCollection, ReasonNoRKey,
	}
}

// Bounds of a believable time_us, in microseconds: [2000-01-01, 2100-01-01).
const (
	MinTimeUS int64 = 946_684_800_000_000
	MaxTimeUS int64 = 4_102_444_800_000_000
)

// Reject is an entry that cannot be a row, as its reject file holds it.
type Reject struct {
	IngestedAt Int // milliseconds of the entry ID
	IngestSeq  Int // sequence of the entry ID, its bits as a signed number
	EntryHash  Int // the bits of Entry.Hash as a signed number
	Reason     Text
	Fields     List // names and values in turn, exactly as Redis held them
}

// ID returns the ID of the rejected entry.
func (r *Reject) ID() ID {
	return ID{MS: uint64(r.IngestedAt.Value), Seq: uint64(r.IngestSeq.Value)}
}

// NewReject returns the reject of an entry; it aliases the entry's fields.
func NewReject(e *Entry, reason Reason) Reject {
	return Reject{
		IngestedAt: Some(int64(e.ID.MS)),
		IngestSeq:  Some(int64(e.ID.Seq)),
		EntryHash:  Some(int64(e.Hash())),
		Reason:     Text(reason),
		Fields:     e.Fields,
	}
}

// RejectColumns returns the columns of a reject file, in file order.
func RejectColumns() []Column[Reject] {
	return []Column[Reject]{
		required(intColumn("ingested_at", TimestampMillis, func(r *Reject) *Int { return &r.IngestedAt })),
		required(intColumn("ingest_seq", Int64, func(r *Reject) *Int { return &r.IngestSeq })),
		required(intColumn("entry_hash", Int64, func(r *Reject) *Int { return &r.EntryHash })),
		required(textColumn("reason", func(r *Reject) *Text { return &r.Reason })),
		required(listColumn("fields", BinaryList, func(r *Reject) *List { return &r.Fields })),
	}
}
