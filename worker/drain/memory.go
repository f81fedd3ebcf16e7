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
	budget *budget // of all kinds
	sizer  *stream.Sizer
	pages  [2]buffer
	tail   tail
	rows   *part.Writer[event.Row]
}

// newMemory returns that of every kind.
func newMemory(source *stream.Client, bytes int64) []memory {
	all := make([]memory, len(event.AllKinds()))
	shared := newBudget(bytes)
	for _, kind := range event.AllKinds() {
		all[kind].budget, all[kind].sizer = shared, stream.NewSizer(source.Stream(kind))
	}
	return all
}

// rowGroupBytes is how much of its rows a writer holds. Five kinds hold five times that.
func (b *budget) rowGroupBytes() int { return int(min(12<<20, b.size/12)) }

// writer returns a writer of rows to a staged file: the one of the window
// before, unless that failed.
func (m *memory) writer(to sink.Staged, columns []event.Column[event.Row], o part.Options) *part.Writer[event.Row] {
	if m.rows == nil || !m.rows.Reset(to) {
		m.rows = part.NewWriter(to, columns, o)
	}
	return m.rows
}
