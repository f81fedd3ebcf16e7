package part

import "io"

// spoolBlock is the unit in which finished pages wait for their row group.
// Blocks instead of one growing buffer per column: nothing is copied as a
// chunk grows, and a row group's size is the memory that it takes.
const spoolBlock = 64 << 10

// blockPool keeps free blocks for all columns of a writer, so that what one
// row group used the next one uses again, whichever column needs it.
type blockPool struct{ free [][]byte }

func (p *blockPool) get() []byte {
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		return b
	}
	return make([]byte, 0, spoolBlock)
}

// trim lets go of the free blocks beyond so many bytes: those that a row group of
// huge rows has needed.
func (p *blockPool) trim(bytes int) {
	if most := bytes/spoolBlock + 1; len(p.free) > most {
		clear(p.free[most:])
		p.free = p.free[:most]
	}
}

// spool holds the finished pages of one column chunk, in blocks of the pool.
type spool struct {
	pool   *blockPool
	blocks [][]byte
	length int64
}

func (s *spool) add(data []byte) {
	s.length += int64(len(data))
	for len(data) > 0 {
		last := len(s.blocks) - 1
		if last < 0 || len(s.blocks[last]) == spoolBlock {
			s.blocks = append(s.blocks, s.pool.get())
			continue
		}
		n := min(len(data), spoolBlock-len(s.blocks[last]))
		s.blocks[last] = append(s.blocks[last], data[:n]...)
		data = data[n:]
	}
}

// drain writes the pages to w and gives the blocks back to the pool.
func (s *spool) drain(w io.Writer) error {
	for _, b := range s.blocks {
		if _, err := w.Write(b); err != nil {
			return err
		}
		s.pool.free = append(s.pool.free, b[:0])
	}
	s.blocks, s.length = s.blocks[:0], 0
	return nil
}
