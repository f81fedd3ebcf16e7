package ingest_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// passage is a TCP proxy with an address that stays the same: what stands behind
// it may die, be another server, or be read slowly.
type passage struct {
	listener net.Listener

	mu     sync.Mutex
	to     string // empty: nobody is there
	conns  map[net.Conn]bool
	slow   int // bytes a second from the server; 0 is as fast as it can
	opened int
}

func startPassage(t testing.TB) *passage {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &passage{listener: listener, conns: make(map[net.Conn]bool)}
	var accepting sync.WaitGroup
	accepting.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		accepting.Wait()
		p.lead("")
	})
	return p
}

// url is what the ingest is given as a host.
func (p *passage) url() string { return "ws://" + p.listener.Addr().String() }

// lead changes what stands behind the address, and cuts what led there.
func (p *passage) lead(to string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = to
	p.drop()
}

// cut ends all connections.
func (p *passage) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop()
}

func (p *passage) drop() {
	for conn := range p.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
	clear(p.conns)
}

// narrow limits how much is read of the server.
func (p *passage) narrow(bytesPerSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slow = bytesPerSecond
}

// live returns how many connections stand, and how many there ever were.
func (p *passage) live() (now, ever int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns) / 2, p.opened
}

func (p *passage) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		to := p.to
		p.mu.Unlock()
		server, err := net.DialTimeout("tcp", to, time.Second)
		if to == "" || err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		if p.to != to {
			p.mu.Unlock()
			_, _ = client.Close(), server.Close()
			continue
		}
		p.conns[client], p.conns[server] = true, true
		p.opened++
		p.mu.Unlock()
		go p.pass(server, client, false)
		go p.pass(client, server, true)
	}
}

// pass moves bytes in one direction until one side ends.
func (p *passage) pass(to, from net.Conn, fromServer bool) {
	defer func() {
		_, _ = to.Close(), from.Close()
		p.mu.Lock()
		delete(p.conns, to)
		delete(p.conns, from)
		p.mu.Unlock()
	}()
	buffer := make([]byte, 64<<10)
	for {
		p.mu.Lock()
		slow := p.slow
		p.mu.Unlock()
		size := len(buffer)
		if fromServer && slow > 0 {
			size = max(1, min(size, slow/10))
		}
		n, err := io.ReadAtLeast(from, buffer[:size], 1)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
		if fromServer && slow > 0 {
			time.Sleep(time.Duration(float64(n) / float64(slow) * float64(time.Second)))
		}
	}
}
