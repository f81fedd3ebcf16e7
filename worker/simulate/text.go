package simulate

// facet is a stretch of a post's text that means something: byte offsets into
// the unescaped UTF-8, as app.bsky.richtext.facet counts them.
type facet struct {
	start, end int
	feature    feature
	value      uint64 // what it points at: a seed of a URL, an index of tags, an author
}

type feature uint8

const (
	link feature = iota
	mention
	tag
)

const (
	emojiShare   = 0.22
	quoteShare   = 0.04
	tagShare     = 0.08
	mentionShare = 0.04
	linkShare    = 0.16
	emptyShare   = 0.02 // posts that are only their embed
	maxWords     = 46   // with the longest words about the 300 characters that a post may have
	shownURL     = 24   // clients shorten the URL in the text
)

// composeText writes a text into g.text and what stands in it into g.facets.
func (g *Generator) composeText() *tongue {
	t := g.tongue()
	g.text, g.facets = g.text[:0], g.facets[:0]
	if g.likely(emptyShare) {
		return t
	}
	g.appendWords(t, g.length())
	if g.likely(emojiShare) {
		g.text = append(append(g.text, ' '), g.among(emoji)...)
	}
	if g.likely(mentionShare) {
		g.appendFacet(mention, g.attention.Uint64())
	}
	if g.likely(linkShare) {
		g.appendFacet(link, g.rng.Uint64())
	}
	if g.likely(tagShare) {
		for range 1 + g.rng.IntN(4) {
			g.appendFacet(tag, g.rng.Uint64N(uint64(len(tags))))
		}
	}
	return t
}

func (g *Generator) tongue() *tongue {
	x := g.rng.Float64()
	for i := range tongues {
		if x -= tongues[i].share; x < 0 {
			return &tongues[i]
		}
	}
	return &tongues[0]
}

// length draws how many words a text has: many short answers, some essays.
func (g *Generator) length() int {
	switch x := g.rng.Float64(); {
	case x < 0.35:
		return 1 + g.rng.IntN(7)
	case x < 0.75:
		return 7 + g.rng.IntN(14)
	}
	return 20 + g.rng.IntN(maxWords-20)
}

func (g *Generator) appendWords(t *tongue, n int) {
	for i := range n {
		if i > 0 {
			g.text = append(g.text, t.joiner...)
		}
		// The product of two uniform numbers favours the first words of the
		// list, as natural language does.
		pick := int(g.rng.Float64() * g.rng.Float64() * float64(len(t.words)))
		g.text = append(g.text, t.words[pick]...)
		if g.rng.IntN(10) == 0 {
			g.text = append(g.text, g.among(t.stops)...)
		}
	}
	if g.likely(quoteShare) {
		g.text = append(append(g.text, ' '), g.among(quotes)...)
	}
}

// appendFacet appends what the reader sees and remembers where it stands.
func (g *Generator) appendFacet(f feature, value uint64) {
	if len(g.text) > 0 {
		g.text = append(g.text, ' ')
	}
	start := len(g.text)
	switch f {
	case link:
		g.text = appendSite(g.text, value)
		g.text = append(g.text[:min(len(g.text), start+shownURL)], "..."...)
	case mention:
		g.text = append(g.text, '@')
		g.text = appendBase32(g.text, value, 9)
		g.text = append(g.text, ".bsky.social"...)
	case tag:
		g.text = append(append(g.text, '#'), tags[value]...)
	}
	g.facets = append(g.facets, facet{start, len(g.text), f, value})
}

// appendSite appends the URL that a seed stands for, without its scheme.
func appendSite(dst []byte, seed uint64) []byte {
	dst = append(dst, sites[seed%uint64(len(sites))]...)
	dst = appendBase32(dst, seed, 11)
	if seed>>60 == 0 {
		dst = append(dst, "?hh=280&ww=498"...)
	}
	return dst
}

func appendURL(dst []byte, seed uint64) []byte {
	return appendSite(append(dst, "https://"...), seed)
}

const hexDigits = "0123456789abcdef"

// appendString appends text as a JSON string the way Jetstream does: escapes
// only where JSON demands them, everything else as UTF-8.
func appendString(dst, text []byte) []byte {
	dst = append(dst, '"')
	for _, c := range text {
		switch {
		case c == '"', c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
