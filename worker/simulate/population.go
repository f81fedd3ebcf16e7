package simulate

import (
	"math/rand/v2"
	"time"
)

// Shapes of the two Zipf laws, P(k) ~ (v+k)^-s. Activity is flat at the head
// (nobody makes even a percent of all events), attention is steep (a few
// authors are liked by everybody).
const (
	activityS, activityV   = 1.1, 60
	attentionS, attentionV = 1.25, 20
)

// population draws authors and what they react to.
type population struct {
	rng       *rand.Rand
	activity  *rand.Zipf
	attention *rand.Zipf
	salt      uint64 // makes the DIDs of another seed other DIDs
}

func newPopulation(rng *rand.Rand, authors int, seed uint64) population {
	last := uint64(authors - 1)
	return population{
		rng:       rng,
		activity:  rand.NewZipf(rng, activityS, activityV, last),
		attention: rand.NewZipf(rng, attentionS, attentionV, last),
		salt:      mix(seed),
	}
}

// author is the hash behind an author's DID; further properties derive from it.
type author uint64

func (p *population) number(n uint64) author { return author(mix(n ^ p.salt)) }

// actor draws somebody who does something.
func (p *population) actor() author { return p.number(p.activity.Uint64()) }

// famous draws somebody to whom something is done. The two laws rank authors
// alike: who is followed most is also among the busiest.
func (p *population) famous() author { return p.number(p.attention.Uint64()) }

func (a author) clock() uint64 { return uint64(a) >> 32 % commonClockID }

func (a author) appendDID(dst []byte) []byte { return appendDID(dst, uint64(a)) }

// post is one post of an author, known by its time.
type post struct {
	by author
	us int64
}

// An author is believed to post once per postPeriod, at a moment within it that
// only depends on author and period. So two likes of that post agree on its URI
// and CID without anybody remembering it.
const postPeriod = int64(time.Hour / time.Microsecond)

// maxAgeDoublings: posts are reacted to between a second and 2^21 seconds (24
// days) after they were written, each doubling being equally likely.
const maxAgeDoublings = 21

// post draws the post that somebody reacts to at a moment in microseconds.
func (p *population) post(us int64) post {
	second := int64(time.Second / time.Microsecond)
	age := second << p.rng.IntN(maxAgeDoublings)
	age += p.rng.Int64N(age)
	return postNear(p.famous(), us-age)
}

// postNear returns the last post of an author before a moment.
func postNear(by author, us int64) post {
	period := us / postPeriod
	at := postInPeriod(by, period)
	if at > us {
		at = postInPeriod(by, period-1)
	}
	return post{by: by, us: at}
}

func postInPeriod(by author, period int64) int64 {
	return period*postPeriod + int64(mix(uint64(by)^uint64(period))%uint64(postPeriod))
}

func (p post) appendURI(dst []byte, collection string) []byte {
	dst = append(dst, "at://"...)
	dst = p.by.appendDID(dst)
	dst = append(dst, '/')
	dst = append(dst, collection...)
	dst = append(dst, '/')
	return appendTID(dst, p.us, p.by.clock())
}

func (p post) appendCID(dst []byte) []byte {
	return appendCID(dst, recordCID, uint64(p.by)^uint64(p.us))
}

// appendRef appends {"cid":…,"uri":…}, a strong reference to a record.
func (p post) appendRef(dst []byte, collection string) []byte {
	dst = append(dst, `{"cid":"`...)
	dst = p.appendCID(dst)
	dst = append(dst, `","uri":"`...)
	dst = p.appendURI(dst, collection)
	return append(dst, `"}`...)
}
