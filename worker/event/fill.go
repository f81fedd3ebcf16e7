package event

import "strconv"

// The methods of this file read one value into the columns that it belongs
// to. Whatever does not fit leaves the columns null and the row not lossless.
//
// None of them keeps a list of the names it has seen: a column that is filled
// before its value comes means a duplicate, and a value that filled no column
// has cost the row its losslessness already.

// textColumn reads a string.
func (d *Decoder) textColumn(column *Text) {
	if *column != nil {
		d.lossless = false
	}
	*column = d.string()
}

// string reads a string; it returns nil if the value is none.
func (d *Decoder) string() Text {
	if d.peek() != '"' {
		d.unknown()
		return nil
	}
	return d.text()
}

// unknown reads a value that no column is for.
func (d *Decoder) unknown() {
	d.lossless = false
	d.skip()
}

// enter opens the value if it is a container of that bracket, and reads past
// it if it is not.
func (d *Decoder) enter(bracket byte) bool {
	if d.peek() != bracket {
		d.unknown()
		return false
	}
	d.open()
	return true
}

// intColumn reads a 64-bit integer.
func (d *Decoder) intColumn(column *Int) {
	if column.Valid {
		d.lossless = false
	}
	*column = Int{}
	if c := d.peek(); c != '-' && (c < '0' || c > '9') {
		d.unknown()
		return
	}
	value, ok := parseInt(d.number())
	if !ok {
		d.lossless = false
		return
	}
	*column = Some(value)
}

// maxIntLen is the length of the longest 64-bit integer, "-9223372036854775808".
const maxIntLen = 20

// parseInt parses a JSON number written as strconv.AppendInt writes it: 1.0,
// 1e3 and -0 are equal to integers but cannot be rebuilt from them.
func parseInt(literal []byte) (value int64, ok bool) {
	if len(literal) > maxIntLen || string(literal) == "-0" {
		return 0, false
	}
	value, err := strconv.ParseInt(string(literal), 10, 64)
	return value, err == nil
}

// listColumn reads an array of strings into backing's array. One element of
// another type leaves the column null: a list has no place for it.
func (d *Decoder) listColumn(column, backing *List) {
	if *column != nil {
		d.lossless = false
		*column = nil
	}
	if !d.enter('[') {
		return
	}
	list, whole := (*backing)[:0], true
	if list == nil {
		list = List{} // an empty list is not null
	}
	for d.nextElement() {
		element := d.string()
		whole = whole && element != nil
		list = append(list, element)
	}
	*backing = list
	if whole {
		*column = list
	}
}

// strongRef reads a com.atproto.repo.strongRef, {uri, cid}. The empty object
// leaves both columns null, as no object does.
func (d *Decoder) strongRef(uri, cid *Text) {
	if *uri != nil || *cid != nil {
		d.lossless = false
		*uri, *cid = nil, nil
	}
	if !d.enter('{') {
		return
	}
	for d.nextMember() {
		switch string(d.key) {
		case "uri":
			d.textColumn(uri)
		case "cid":
			d.textColumn(cid)
		default:
			d.unknown()
		}
	}
	if *uri == nil && *cid == nil {
		d.lossless = false
	}
}

// createdAt reads record.createdAt, which clients set to whatever they like.
func (d *Decoder) createdAt(row *Row) {
	if row.CreatedAt.Valid || row.CreatedAtRaw != nil {
		d.lossless = false
		row.CreatedAt, row.CreatedAtRaw = Int{}, nil
	}
	raw := d.string()
	if raw == nil {
		return
	}
	micros, valid := parseTime(raw)
	if valid {
		row.CreatedAt = Some(micros)
	}
	if !valid || !isMillis(raw) {
		row.CreatedAtRaw = raw
	}
}
