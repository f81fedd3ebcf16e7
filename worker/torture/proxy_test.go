package torture

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// proxy stands between a drain and Redis. It can lose a reply, which is what a
// broken connection does to a command that was executed, and it can be wrong
// about the time, which is what another machine's clock is.
type proxy struct {
	listener net.Listener
	to       string
	replies  atomic.Int64
	cut      int64        // the reply that is lost, with its connection; 0 is none
	clock    atomic.Int64 // what TIME answers, in milliseconds of Unix time; 0 is the truth
}

func startProxy(socket string, to *server, cut int64) *proxy {
	p := &proxy{listener: must(net.Listen("unix", socket)), to: to.socket(), cut: cut}
	go func() {
		for {
			conn, err := p.listener.Accept()
			if err != nil {
				return
			}
			go p.serve(conn)
		}
	}()
	return p
}

func (p *proxy) url() string { return "unix://" + p.listener.Addr().String() + "?db=0" }

// lost reports whether the reply that was to be lost is.
func (p *proxy) lost() bool { return p.cut > 0 && p.replies.Load() >= p.cut }

func (p *proxy) stop() { _ = p.listener.Close() }

// serve passes on what comes, one command at a time: the client never pipelines.
func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	redis, err := net.Dial("unix", p.to)
	if err != nil {
		return
	}
	defer redis.Close()
	var asksTime atomic.Bool
	go func() {
		defer redis.Close()
		buffer := make([]byte, 1<<16)
		for {
			n, err := client.Read(buffer)
			if err != nil {
				return
			}
			asksTime.Store(bytes.EqualFold(buffer[:n], []byte("*1\r\n$4\r\ntime\r\n")))
			if _, err := redis.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	p.answer(redis, client, &asksTime)
}

func (p *proxy) answer(redis io.Reader, client io.Writer, asksTime *atomic.Bool) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := redis.Read(buffer)
		if err != nil || p.replies.Add(1) == p.cut {
			return
		}
		reply := buffer[:n]
		if clock := p.clock.Load(); clock != 0 && asksTime.Load() {
			at := time.UnixMilli(clock)
			seconds, micros := fmt.Sprint(at.Unix()), fmt.Sprint(at.Nanosecond()/1000)
			reply = fmt.Appendf(nil, "*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(seconds), seconds, len(micros), micros)
		}
		if _, err := client.Write(reply); err != nil {
			return
		}
	}
}
