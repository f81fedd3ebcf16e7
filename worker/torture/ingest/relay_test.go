package ingest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// relay sends a network to Jetstream servers as a relay does, and answers for the
// directory of identities. It knows no host of accounts, so that a server has
// nothing to fetch before it begins. What it sends, and how fast, is the seed's.
type relay struct {
	network *network
	server  *httptest.Server
	mute    bool // it has nothing to send: for a server whose store is only read

	mu     sync.Mutex
	moved  *sync.Cond
	tip    int         // frames sent so far
	floor  int         // frames it no longer has
	at     []time.Time // when each frame was sent
	rate   float64     // events a second
	events int         // sent so far
	closed bool
}

// startRelay begins silent.
func startRelay(t testing.TB, n *network) *relay {
	r := &relay{network: n, at: make([]time.Time, len(n.frames))}
	r.moved = sync.NewCond(&r.mu)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /xrpc/com.atproto.sync.subscribeRepos", r.subscribe)
	mux.HandleFunc("GET /xrpc/com.atproto.sync.listHosts", answer(map[string]any{"hosts": []any{}}))
	mux.HandleFunc("GET /xrpc/com.atproto.sync.listRepos", answer(map[string]any{"repos": []any{}}))
	mux.HandleFunc("GET /xrpc/", http.NotFound)
	mux.HandleFunc("GET /{did}", r.document)
	r.server = httptest.NewServer(mux)
	ctx, cancel := context.WithCancel(t.Context())
	var helpers sync.WaitGroup
	helpers.Go(func() { r.pump(ctx) })
	t.Cleanup(func() {
		cancel()
		r.mu.Lock()
		r.closed = true
		r.moved.Broadcast()
		r.mu.Unlock()
		helpers.Wait()
		r.server.CloseClientConnections()
		r.server.Close()
	})
	return r
}

func answer(with any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(with)
	}
}

func (r *relay) document(w http.ResponseWriter, request *http.Request) {
	document, known := r.network.documents[request.PathValue("did")]
	if !known {
		http.NotFound(w, request)
		return
	}
	answer(document)(w, request)
}

// set changes how many events a second are sent.
func (r *relay) set(rate float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rate = rate
}

// forget drops all frames but the last few, for who asks from now on.
func (r *relay) forget(keep int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.floor = max(r.floor, r.tip-keep)
}

// sent returns how many frames and events were sent by now.
func (r *relay) sent() (frames, events int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tip, r.events
}

// sentAt returns when a frame was sent.
func (r *relay) sentAt(n int) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at[n]
}

func (r *relay) pump(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	last, due := time.Now(), 0.0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		r.mu.Lock()
		due += now.Sub(last).Seconds() * r.rate
		due = min(due, r.rate)
		for ; due >= 1 && r.tip < len(r.network.frames); r.tip++ {
			r.at[r.tip] = now
			n := len(r.network.frames[r.tip].events)
			r.events += n
			due -= float64(max(n, 1))
		}
		r.moved.Broadcast()
		r.mu.Unlock()
		last = now
	}
}

// outdated is the notice that a relay sends first to who asks for what it has no
// longer: {"op":1,"t":"#info"}{"name":"OutdatedCursor"} in CBOR.
const outdated = "\xa2\x62op\x01\x61t\x65#info\xa1\x64name\x6eOutdatedCursor"

// subscribe sends what follows the cursor; without one, what is sent from now on.
// The simulator of Jetstream and its servers understand that in the same way, but
// for a new server, which the simulator gives all it has; so does this.
func (r *relay) subscribe(w http.ResponseWriter, request *http.Request) {
	conn, err := websocket.Accept(w, request, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	ctx, cancel := context.WithCancel(conn.CloseRead(request.Context()))
	defer cancel()
	context.AfterFunc(ctx, func() { r.mu.Lock(); r.moved.Broadcast(); r.mu.Unlock() })
	cursor, _ := strconv.ParseInt(request.URL.Query().Get("cursor"), 10, 64)
	r.mu.Lock()
	next := r.floor
	for next < r.tip && r.network.frames[next].seq <= cursor {
		next++
	}
	missed := cursor > 0 && next == r.floor && next > 0 && r.network.frames[next-1].seq > cursor
	r.mu.Unlock()
	if missed && conn.Write(ctx, websocket.MessageBinary, []byte(outdated)) != nil {
		return
	}
	for {
		some := r.wait(ctx, &next)
		if some == nil {
			return
		}
		for _, f := range some {
			if conn.Write(ctx, websocket.MessageBinary, f.raw) != nil {
				return
			}
		}
	}
}

// wait returns frames from next on and moves it, or nil when it is over.
func (r *relay) wait(ctx context.Context, next *int) []frame {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.mute || *next >= r.tip {
		if r.closed || ctx.Err() != nil {
			return nil
		}
		r.moved.Wait()
	}
	from := *next // who listens already misses nothing
	*next = min(r.tip, from+256)
	return r.network.frames[from:*next]
}

// stream is the address of the frames, for servers that ask for it whole.
func (r *relay) stream() string {
	return "ws" + strings.TrimPrefix(r.server.URL, "http") + "/xrpc/com.atproto.sync.subscribeRepos"
}
