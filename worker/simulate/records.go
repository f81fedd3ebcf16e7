package simulate

import "datawriter/worker/event"

// Shares of records with `via`, the repost or starter pack that led to the
// reaction: 24 of 120 likes and reposts in a sample.
const (
	viaShare       = 0.20
	followViaShare = 0.02
	feedLikeShare  = 0.004 // likes of a feed generator, whose rkey is a word
)

var feedNames = []string{"whats-hot", "with-friends", "cat-pics", "catch-up", "quiet-posters", "science", "aaaf2xk5lqrnu"}

// likeRecord makes likes and reposts; they differ in $type only.
func (g *Generator) likeRecord(dst []byte, _ author, us int64) []byte {
	dst = g.appendCreatedAt(dst, us)
	dst = append(dst, `,"subject":`...)
	if g.likely(feedLikeShare) {
		dst = g.appendFeedRef(dst)
	} else {
		dst = g.post(us).appendRef(dst, event.Posts.Collection())
	}
	if g.likely(viaShare) {
		dst = g.appendVia(dst, us, event.Reposts.Collection())
	}
	return dst
}

func (g *Generator) followRecord(dst []byte, _ author, us int64) []byte {
	dst = g.blockRecord(dst, 0, us)
	if g.likely(followViaShare) {
		dst = g.appendVia(dst, us, "app.bsky.graph.starterpack")
	}
	return dst
}

func (g *Generator) blockRecord(dst []byte, _ author, us int64) []byte {
	dst = g.appendCreatedAt(dst, us)
	dst = append(dst, `,"subject":"`...)
	dst = g.famous().appendDID(dst)
	return append(dst, '"')
}

func (g *Generator) appendVia(dst []byte, us int64, collection string) []byte {
	dst = append(dst, `,"via":`...)
	return g.post(us).appendRef(dst, collection)
}

func (g *Generator) appendFeedRef(dst []byte) []byte {
	by := g.famous()
	name := g.rng.IntN(len(feedNames))
	dst = append(dst, `{"cid":"`...)
	dst = appendCID(dst, recordCID, uint64(by)^uint64(name))
	dst = append(dst, `","uri":"at://`...)
	dst = by.appendDID(dst)
	dst = append(dst, `/app.bsky.feed.generator/`...)
	dst = append(dst, feedNames[name]...)
	return append(dst, `"}`...)
}
