package event

import (
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

// Decoder turns entries into rows. The zero Decoder is ready for use; one
// Decoder serves one goroutine, and reusing it saves every allocation.
//
// It reads JSON as encoding/json reads it into a map: names are compared
// exactly, and of duplicate names the last one counts, whole.
type Decoder struct {
	scanner
	lossless bool // so far, the row's columns carry all that was read

	// What the columns imply, and Decode has to check.
	kind       Text
	collection Text
	recordType Text
	hasCommit  bool // the last commit is an object
	hasRecord  bool // the last record is an object

	langs, tags List // backing arrays of the row's lists
}

// Decode fills row from the entry, which comes from the stream of that kind,
// and returns the empty Reason. It returns another Reason if the entry cannot
// be a row; row is undefined then.
//
// The row's EventJSON is null exactly if AppendEvent can rebuild the event
// from the other columns, which is never so with a raw kind. The row is valid
// until the next Decode and as long as the entry's bytes are.
func (d *Decoder) Decode(kind Kind, e *Entry, row *Row) Reason {
	event, ok := e.Event()
	switch {
	case !ok:
		return ReasonNoEvent
	case len(event) > MaxEventBytes:
		return ReasonTooLarge
	}
	d.start(event)
	*row = Row{}
	whole := d.document(kind, row)
	if (d.wide || !whole) && !utf8.Valid(event) {
		return ReasonNotUTF8
	}
	if !whole {
		return ReasonNotJSON
	}
	if d.lone {
		return ReasonText
	}
	if reason := d.reject(kind, row); reason != "" {
		return reason
	}
	row.IngestedAt = Some(int64(e.ID.MS))
	row.IngestSeq = Some(int64(e.ID.Seq))
	row.EntryHash = Some(int64(xxhash.Sum64(event))) // Entry.Hash of an entry with an event
	if !d.complete(kind, row) {
		row.EventJSON = event
	}
	return ""
}

// keptScratch is how much of a decoder's space outlives a large event.
const keptScratch = 1 << 20

// Forget drops what aliases the last entry, so that its memory can go.
func (d *Decoder) Forget() {
	if cap(d.scratch) > keptScratch {
		d.scratch = nil
	}
	d.start(nil)
	clear(d.langs[:cap(d.langs)])
	clear(d.tags[:cap(d.tags)])
	d.key = nil
}

func (d *Decoder) start(event []byte) {
	d.scanner.start(event)
	d.lossless = true
	d.kind, d.collection, d.recordType = nil, nil, nil
	d.hasCommit, d.hasRecord = false, false
}

// document reads the event. It returns false unless that is one JSON object
// and nothing else.
func (d *Decoder) document(kind Kind, row *Row) bool {
	if d.peek() != '{' {
		return false
	}
	for d.open(); d.nextMember(); {
		switch string(d.key) {
		case "did":
			d.textColumn(&row.DID)
		case "time_us":
			d.intColumn(&row.EventAt)
		case "kind":
			d.textColumn(&d.kind)
		case "commit":
			d.commit(kind, row)
		case "cursor":
			d.intColumn(&row.Cursor)
		default:
			d.unknown()
		}
	}
	return !d.failed && d.atEnd()
}

func (d *Decoder) commit(kind Kind, row *Row) {
	if d.hasCommit { // a duplicate replaces all that the first one held
		d.lossless = false
		d.collection, d.hasRecord = nil, false
		*row = Row{DID: row.DID, EventAt: row.EventAt, Cursor: row.Cursor}
	}
	if d.hasCommit = d.enter('{'); !d.hasCommit {
		return
	}
	for d.nextMember() {
		switch string(d.key) {
		case "rev":
			d.textColumn(&row.Rev)
		case "operation":
			d.textColumn(&row.Operation)
		case "collection":
			d.textColumn(&d.collection)
		case "rkey":
			d.textColumn(&row.RKey)
		case "record":
			d.record(kind, row)
		case "cid":
			d.textColumn(&row.CID)
		default:
			d.unknown()
		}
	}
}

func (d *Decoder) record(kind Kind, row *Row) {
	if d.hasRecord {
		d.lossless = false
		*row = Row{
			DID: row.DID, EventAt: row.EventAt, Cursor: row.Cursor,
			Rev: row.Rev, Operation: row.Operation, RKey: row.RKey, CID: row.CID,
		}
	}
	if d.hasRecord = d.enter('{'); !d.hasRecord {
		return
	}
	field := specs[kind].decodeField
	for d.nextMember() {
		switch string(d.key) {
		case "$type":
			d.textColumn(&d.recordType)
		case "createdAt":
			d.createdAt(row)
		default:
			field(d, row)
		}
	}
}

// reject returns the first reason why what was read cannot be a row.
func (d *Decoder) reject(kind Kind, row *Row) Reason {
	switch {
	case len(row.DID) == 0:
		return ReasonNoDID
	case !row.EventAt.Valid:
		return ReasonNoTime
	case row.EventAt.Value < MinTimeUS || row.EventAt.Value >= MaxTimeUS:
		return ReasonTimeOutOfRange
	case kind.IsRaw():
		return d.rejectRaw(kind)
	case !d.hasCommit:
		return ReasonNoCommit
	case !isOperation(row.Operation):
		return ReasonOperation
	case string(d.collection) != kind.Collection():
		return ReasonCollection
	case len(row.RKey) == 0:
		return ReasonNoRKey
	}
	return ""
}

func (d *Decoder) rejectRaw(kind Kind) Reason {
	if string(d.kind) != kind.String() {
		return ReasonKind
	}
	return ""
}

func isOperation(operation Text) bool {
	switch string(operation) {
	case "create", "update", opDelete:
		return true
	}
	return false
}

// opDelete is the operation whose commit has neither a record nor a cid.
const opDelete = "delete"

// complete reports whether the columns carry the whole event: all that was
// read fitted, and all that AppendEvent adds by itself was there.
func (d *Decoder) complete(kind Kind, row *Row) bool {
	if !d.lossless || string(d.kind) != "commit" {
		return false
	}
	if string(row.Operation) == opDelete {
		return !d.hasRecord && row.CID == nil
	}
	return d.hasRecord && string(d.recordType) == kind.Collection()
}
