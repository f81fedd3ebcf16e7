package drain

import (
	"datawriter/worker/event"
	"datawriter/worker/part"
	"datawriter/worker/sink"
	"datawriter/worker/stream"
)

// memory is what the drain of one kind keeps from window to window. A backlog of
// small windows would otherwise spend most of its time on allocating, for each
// of them, what a large one needs once.
type memory struct {
	pages [2]stream.Page
	tail  tail
	rows  *part.Writer[event.Row]
}

// writer returns a writer of rows to a staged file: the one of the window
// before, unless that failed.
func (m *memory) writer(to sink.Staged, columns []event.Column[event.Row], o part.Options) *part.Writer[event.Row] {
	if m.rows == nil || !m.rows.Reset(to) {
		m.rows = part.NewWriter(to, columns, o)
	}
	return m.rows
}
