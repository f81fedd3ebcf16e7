package simulate

import (
	"strconv"

	"datawriter/worker/event"
)

// appendEmbed appends one of the five embeds that posts have. No column can hold
// an embed, so these posts show what event_json is for.
func (g *Generator) appendEmbed(dst []byte, us int64) []byte {
	dst = append(dst, `,"embed":`...)
	switch x := g.rng.Float64(); {
	case x < 0.40:
		return g.appendExternal(dst)
	case x < 0.78:
		return g.appendImages(dst)
	case x < 0.91:
		return g.appendQuote(dst, us)
	case x < 0.95:
		return g.appendVideo(dst)
	}
	return g.appendQuoteWithMedia(dst, us)
}

func (g *Generator) appendExternal(dst []byte) []byte {
	dst = append(dst, `{"$type":"app.bsky.embed.external","external":{"description":`...)
	dst = appendString(dst, []byte(g.among(titles)))
	dst = append(dst, `,"thumb":`...)
	dst = g.appendBlob(dst, "image/jpeg", 900_000)
	dst = append(dst, `,"title":`...)
	dst = appendString(dst, []byte(g.among(titles)))
	dst = append(dst, `,"uri":"`...)
	dst = appendURL(dst, g.rng.Uint64())
	return append(dst, `"}}`...)
}

func (g *Generator) appendImages(dst []byte) []byte {
	dst = append(dst, `{"$type":"app.bsky.embed.images","images":[`...)
	for i := range 1 + g.rng.IntN(4)*g.rng.IntN(2) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"alt":`...)
		dst = g.appendAlt(dst)
		dst = append(dst, `,"aspectRatio":`...)
		dst = g.appendAspect(dst)
		dst = append(dst, `,"image":`...)
		dst = g.appendBlob(dst, "image/jpeg", 2_000_000)
		dst = append(dst, '}')
	}
	return append(dst, `]}`...)
}

func (g *Generator) appendVideo(dst []byte) []byte {
	dst = append(dst, `{"$type":"app.bsky.embed.video","aspectRatio":`...)
	dst = g.appendAspect(dst)
	dst = append(dst, `,"video":`...)
	dst = g.appendBlob(dst, "video/mp4", 100_000_000)
	return append(dst, '}')
}

func (g *Generator) appendQuote(dst []byte, us int64) []byte {
	dst = append(dst, `{"$type":"app.bsky.embed.record","record":`...)
	dst = g.post(us).appendRef(dst, event.Posts.Collection())
	return append(dst, '}')
}

func (g *Generator) appendQuoteWithMedia(dst []byte, us int64) []byte {
	dst = append(dst, `{"$type":"app.bsky.embed.recordWithMedia","media":`...)
	if g.likely(0.5) {
		dst = g.appendExternal(dst)
	} else {
		dst = g.appendImages(dst)
	}
	dst = append(dst, `,"record":`...)
	dst = g.appendQuote(dst, us)
	return append(dst, '}')
}

// appendAlt appends a description of an image: none, in most cases.
func (g *Generator) appendAlt(dst []byte) []byte {
	if g.likely(0.7) {
		return append(dst, `""`...)
	}
	return appendString(dst, []byte(g.among(titles)))
}

// appendAspect appends the size of a picture in pixels.
func (g *Generator) appendAspect(dst []byte) []byte {
	dst = append(dst, `{"height":`...)
	dst = strconv.AppendInt(dst, 400+g.rng.Int64N(3600), 10)
	dst = append(dst, `,"width":`...)
	dst = strconv.AppendInt(dst, 400+g.rng.Int64N(3600), 10)
	return append(dst, '}')
}

// appendBlob appends a reference to a file of at most maxBytes.
func (g *Generator) appendBlob(dst []byte, mimeType string, maxBytes int64) []byte {
	dst = append(dst, `{"$type":"blob","ref":{"$link":"`...)
	dst = appendCID(dst, blobCID, g.rng.Uint64())
	dst = append(dst, `"},"mimeType":"`...)
	dst = append(dst, mimeType...)
	dst = append(dst, `","size":`...)
	dst = strconv.AppendInt(dst, 10_000+g.rng.Int64N(maxBytes-10_000), 10)
	return append(dst, '}')
}
