package verify

import "datawriter/worker/event"

// checkWindow: entries are unique within their window only if none stands in
// another's file.
var checkWindow = check{
	Name:    "window",
	Promise: "every entry's ID lies in the window of its file",
	row:     func(f *file, r *event.Row) string { return outside(f, r.ID()) },
	reject:  func(f *file, r *event.Reject) string { return outside(f, r.ID()) },
}

func outside(f *file, id event.ID) string {
	if f.name.Window.ContainsMS(id.MS) {
		return ""
	}
	return about(id, "it does not lie in %s", f.name.Window)
}
