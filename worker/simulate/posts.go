package simulate

import (
	"strconv"

	"datawriter/worker/event"
)

const (
	noLangsShare    = 0.117 // measured
	emptyLangsShare = 0.002
	replyShare      = 0.42
	directReply     = 0.6 // of replies: the parent is the root
	embedShare      = 0.33
	labelShare      = 0.01
	tagsShare       = 0.015
	clientShare     = 0.012 // of posts: with members that only their client knows
)

// postRecord appends a post's members in the order in which servers send them:
// by name.
func (g *Generator) postRecord(dst []byte, by author, us int64) []byte {
	t := g.composeText()
	if g.likely(clientShare) {
		dst = g.appendClientMembers(dst)
	}
	dst = g.appendCreatedAt(dst, us)
	if len(g.text) == 0 || g.likely(embedShare) {
		dst = g.appendEmbed(dst, us)
	}
	dst = g.appendFacets(dst)
	if g.likely(labelShare) {
		dst = append(dst, `,"labels":{"$type":"com.atproto.label.defs#selfLabels","values":[{"val":"nudity"}]}`...)
	}
	dst = g.appendLangs(dst, t)
	if g.likely(replyShare) {
		dst = g.appendReply(dst, us)
	}
	if g.likely(tagsShare) {
		dst = g.appendTags(dst)
	}
	dst = append(dst, `,"text":`...)
	return appendString(dst, g.text)
}

// appendClientMembers appends what bridges from other networks add.
func (g *Generator) appendClientMembers(dst []byte) []byte {
	dst = append(dst, `"bridgyOriginalText":`...)
	dst = appendString(dst, g.text)
	dst = append(dst, `,"bridgyOriginalUrl":"`...)
	dst = appendURL(dst, g.rng.Uint64())
	return append(dst, `",`...)
}

// appendLangs appends langs, or none, or an empty list: an archive must tell
// the last two apart.
func (g *Generator) appendLangs(dst []byte, t *tongue) []byte {
	switch x := g.rng.Float64(); {
	case x < noLangsShare:
		return dst
	case x < noLangsShare+emptyLangsShare:
		return append(dst, `,"langs":[]`...)
	}
	dst = append(dst, `,"langs":[`...)
	dst = append(dst, t.langs...)
	return append(dst, ']')
}

// appendReply appends what a post answers: often the post that began the
// thread, otherwise an answer to an older one.
func (g *Generator) appendReply(dst []byte, us int64) []byte {
	parent := g.post(us)
	root := parent
	if !g.likely(directReply) {
		root = g.post(parent.us)
	}
	dst = append(dst, `,"reply":{"parent":`...)
	dst = parent.appendRef(dst, event.Posts.Collection())
	dst = append(dst, `,"root":`...)
	dst = root.appendRef(dst, event.Posts.Collection())
	return append(dst, '}')
}

func (g *Generator) appendTags(dst []byte) []byte {
	dst = append(dst, `,"tags":[`...)
	for i := range g.rng.IntN(4) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '"')
		dst = append(dst, g.among(tags)...)
		dst = append(dst, '"')
	}
	return append(dst, ']')
}

func (g *Generator) appendFacets(dst []byte) []byte {
	for i, f := range g.facets {
		if i == 0 {
			dst = append(dst, `,"facets":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"features":[`...)
		dst = g.appendFeature(dst, f)
		dst = append(dst, `],"index":{"byteEnd":`...)
		dst = strconv.AppendInt(dst, int64(f.end), 10)
		dst = append(dst, `,"byteStart":`...)
		dst = strconv.AppendInt(dst, int64(f.start), 10)
		dst = append(dst, `}}`...)
	}
	if len(g.facets) > 0 {
		dst = append(dst, ']')
	}
	return dst
}

func (g *Generator) appendFeature(dst []byte, f facet) []byte {
	dst = append(dst, `{"$type":"app.bsky.richtext.facet#`...)
	switch f.feature {
	case link:
		dst = append(dst, `link","uri":"`...)
		dst = appendURL(dst, f.value)
	case mention:
		dst = append(dst, `mention","did":"`...)
		dst = g.number(f.value).appendDID(dst)
	case tag:
		dst = append(dst, `tag","tag":"`...)
		dst = append(dst, tags[f.value]...)
	}
	return append(dst, `"}`...)
}
