package ingesttest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// Faults are what a host does wrong, as chances for each message, and how it
// treats each connection.
type Faults struct {
	Cut       float64 // ends the connection without a word
	Close     float64 // ends it with a close code
	Most      int     // ends it after so many events
	Again     float64 // sends one of the last events once more
	Garbage   float64 // sends something that is no event
	Slow      float64 // sends a message in pieces, with pauses
	Silent    float64 // sends nothing any more, but answers pings
	Dead      float64 // does not even read any more
	Strangers float64 // sends an event that nobody asked for
	Long      float64 // sends a message of LongBytes
	LongBytes int
	JumpAhead int           // where its replay meets what happens now, a legacy host leaves out up to so many events
	JumpCut   float64       // and with this chance the connection ends right behind the first live one
	Pause     time.Duration // of a slow message
}

// Host serves a source on both wires, as the real servers do that it stands for.
//
// One that has the first wire alone and no numbers is the legacy server: it
// replays by time, and where that meets what happens now it leaves out what it has
// not replayed yet. All others are the newer server, on whose both wires a number
// is where an event stands. A time in a cursor only finds the segment there: what
// comes first may be much older. Crash lets such a host forget what it had not
// written. Every host hangs up when a reader does not read for five seconds.
type Host struct {
	Source  *Source
	V1, V2  bool
	Skew    time.Duration // of its clock
	Base    int64         // added to its numbers
	Numbers bool          // its first wire also has the number, as newer servers do
	Segment int64         // events of the segment that is being written; 10,000 when it is 0
	At      net.Listener  // where it serves; a free port of loopback where there is none

	mu      sync.Mutex
	faults  Faults
	refuse  bool
	rng     *rand.Rand
	server  *httptest.Server
	closing atomic.Bool
	live    map[*websocket.Conn]*sending
	fired   map[string]int
	crashes []crash
	Asked   []string // the cursors of connections, in order
}

// Start serves until Stop.
func (h *Host) Start(seed uint64) *Host {
	h.rng = rand.New(rand.NewPCG(seed, 1))
	h.live, h.fired = make(map[*websocket.Conn]*sending), make(map[string]int)
	mux := http.NewServeMux()
	if h.V1 {
		mux.HandleFunc("/subscribe", h.serveV1)
	}
	if h.V2 {
		mux.HandleFunc("/xrpc/network.bsky.jetstream.subscribeEvents", h.serveV2)
	}
	h.server = httptest.NewUnstartedServer(mux)
	if h.At != nil {
		_ = h.server.Listener.Close()
		h.server.Listener = h.At
	}
	h.server.Start()
	return h
}

// URL is the address for --host.
func (h *Host) URL() string { return "ws" + strings.TrimPrefix(h.server.URL, "http") }

// Stop ends all connections and the host.
func (h *Host) Stop() {
	h.closing.Store(true)
	h.Drop()
	h.Source.wake()
	h.server.Close()
}

// Set changes the faults of connections to come and of those that stand.
func (h *Host) Set(f Faults) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = f
}

// The names under which Fired counts what has gone wrong.
const (
	Cut       = "cut"
	Close     = "close code"
	Again     = "sent again"
	Garbage   = "garbage"
	Slow      = "slow frame"
	Silent    = "silent"
	Dead      = "dead"
	Strangers = "stranger"
	Long      = "too long"
	Jump      = "left out where replay meets live"
	JumpCut   = "cut behind what was left out"
	Crashed   = "numbers given again"
	TooOld    = "cursor too old" // refused, or moved in silence or with a notice
)

// Fired returns how often each fault has happened so far.
func (h *Host) Fired() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.fired)
}

func (h *Host) happened(fault string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fired[fault]++
}

// Refuse turns all away with 503, or no longer.
func (h *Host) Refuse(on bool) {
	h.mu.Lock()
	h.refuse = on
	h.mu.Unlock()
	if on {
		h.Drop()
	}
}

// Drop ends all connections without a word.
func (h *Host) Drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for conn, s := range h.live {
		_ = conn.CloseNow()
		s.cancel() // one that plays dead does not hear of it
	}
}

// Live returns how many connections stand, without those that play dead: they
// do not notice that the other side has left.
func (h *Host) Live() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.live {
		if !s.dead.Load() {
			n++
		}
	}
	return n
}

// Connections returns the cursors that were asked for so far.
func (h *Host) Connections() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.Asked)
}

func (h *Host) turnedAway(w http.ResponseWriter, r *http.Request) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse || h.closing.Load() {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return true
	}
	h.Asked = append(h.Asked, r.URL.Query().Get("cursor"))
	return false
}

func (h *Host) legacy() bool { return h.V1 && !h.V2 && !h.Numbers }

func (h *Host) serveV1(w http.ResponseWriter, r *http.Request) {
	if h.turnedAway(w, r) {
		return
	}
	from := h.Source.tip()
	asked, err := strconv.ParseInt(r.URL.Query().Get("cursor"), 10, 64)
	floor, floorUS := h.Source.floor()
	switch {
	case err != nil:
	case asked < oldestNumberTime && !h.legacy():
		if asked-h.Base < from {
			from = max(asked-h.Base, floor)
		}
	default: // one too old begins silently at the first
		us := asked - h.Skew.Microseconds()
		from = h.found(us)
		if us < floorUS && floor > 1 {
			h.happened(TooOld)
		}
	}
	h.serve(w, r, from, err == nil, h.appendV1, nil)
}

// found returns where a time leads: on the legacy host to the event itself, on the
// others only to the beginning of the segment that is being written.
func (h *Host) found(us int64) int64 {
	from := h.Source.at(us)
	if h.legacy() {
		return from
	}
	size := h.Segment
	if size == 0 {
		size = 10_000
	}
	floor, _ := h.Source.floor()
	active := max(floor, (h.Source.tip()-1)/size*size+1)
	return min(from, active)
}

// oldestNumberTime separates numbers from microseconds in a cursor.
const oldestNumberTime = 1_000_000_000_000_000

func (h *Host) serveV2(w http.ResponseWriter, r *http.Request) {
	if h.turnedAway(w, r) {
		return
	}
	from, tip := h.Source.tip(), h.Source.tip()
	floor, floorUS := h.Source.floor()
	var notice []byte
	asked, err := strconv.ParseInt(r.URL.Query().Get("cursor"), 10, 64)
	switch {
	case err != nil:
	case asked >= oldestNumberTime:
		us := asked - h.Skew.Microseconds()
		from = h.found(us)
		if us < floorUS && floor > 1 {
			h.happened(TooOld)
			notice = fmt.Appendf(nil, `{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#info","name":"OutdatedCursor","message":"starting at seq %d"}}`, from+h.Base)
		}
	case asked-h.Base >= tip: // in the future: from now on
	case asked-h.Base < floor && floor > 1:
		h.happened(TooOld)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":"CursorTooOld","message":"cursor %d below lookback floor %d"}`, asked, floor+h.Base)
		return
	default:
		from = asked - h.Base
	}
	h.serve(w, r, from, err == nil, h.appendV2, notice)
}

func (h *Host) appendV1(dst []byte, e *Event) []byte {
	dst = append(append(dst, `{"did":"`...), e.did...)
	dst = strconv.AppendInt(append(dst, `","time_us":`...), e.US+h.Skew.Microseconds(), 10)
	if h.Numbers {
		dst = strconv.AppendInt(append(dst, `,"cursor":`...), e.Number+h.Base, 10)
	}
	dst = append(append(append(dst, `,"kind":"`...), e.class...), `","`...)
	dst = append(append(dst, e.class...), `":{`...)
	return append(append(dst, e.inner...), "}}"...)
}

func (h *Host) appendV2(dst []byte, e *Event) []byte {
	dst = append(dst, `{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#`...)
	dst = strconv.AppendInt(append(append(dst, e.class...), `","seq":`...), e.Number+h.Base, 10)
	dst = append(append(dst, `,"did":"`...), e.did...)
	at := time.UnixMicro(e.US + h.Skew.Microseconds()).UTC()
	dst = at.AppendFormat(append(dst, `","time":"`...), "2006-01-02T15:04:05.000000Z")
	if e.class == "commit" {
		return append(append(append(dst, `",`...), e.inner...), "}}"...)
	}
	dst = append(append(append(dst, `","`...), e.class...), `":{`...)
	return append(append(dst, e.inner...), "}}}"...)
}

// serve sends events from a number on, until one of both sides ends it.
func (h *Host) serve(w http.ResponseWriter, r *http.Request, from int64, replays bool, write func([]byte, *Event) []byte, notice []byte) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled, Subprotocols: []string{"xrpc.v1.json"}})
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	s := &sending{h: h, conn: conn, cancel: cancel, write: write, next: from}
	if replays && h.legacy() {
		s.replay = h.Source.tip()
	}
	h.mu.Lock()
	h.live[conn] = s
	s.rng = rand.New(rand.NewPCG(h.rng.Uint64(), 2))
	refused := h.refuse
	h.mu.Unlock()
	defer func() { h.mu.Lock(); delete(h.live, conn); h.mu.Unlock() }()
	if refused { // while it was being accepted
		return
	}
	go func() { // reads pings and the end, but for a host that plays dead
		for {
			if s.dead.Load() {
				return
			}
			if _, _, err := conn.Read(ctx); err != nil {
				cancel()
				h.Source.wake()
				return
			}
		}
	}()
	if notice != nil && conn.Write(ctx, websocket.MessageText, notice) != nil {
		return
	}
	s.run(ctx)
}
