package part

import (
	"fmt"
	"math"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/xitongsys/parquet-go/parquet"
)

// compressor compresses pages with one codec. It reuses its state and is not
// for concurrent use.
type compressor struct {
	codec parquet.CompressionCodec
	zstd  *zstd.Encoder
	out   []byte
}

// zstdWindow is how far back zstd looks for repetition: beyond the usual page
// it would cost memory and find nothing.
const zstdWindow = 1 << 20

func newCompressor(c Compression) (*compressor, error) {
	switch c {
	case None:
		return &compressor{codec: parquet.CompressionCodec_UNCOMPRESSED}, nil
	case Snappy:
		return &compressor{codec: parquet.CompressionCodec_SNAPPY}, nil
	case Zstd:
		encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithAllLitEntropyCompression(true),                                                     // hashes in base 32 repeat nothing but use 5 of 8 bits
			zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false)) // the page has its own checksum
		return &compressor{codec: parquet.CompressionCodec_ZSTD, zstd: encoder}, err
	}
	return nil, fmt.Errorf("compression %q is unknown: use zstd, snappy or none", string(c))
}

// compress returns page compressed; the bytes are valid until the next call.
func (c *compressor) compress(page []byte) []byte {
	switch c.codec {
	case parquet.CompressionCodec_ZSTD:
		if len(page) > zstdWindow && cap(c.out) < len(page) { // it would grow block by block, copied each time
			c.out = make([]byte, 0, c.zstd.MaxEncodedSize(len(page)))
		}
		c.out = c.zstd.EncodeAll(page, c.out[:0])
	case parquet.CompressionCodec_SNAPPY:
		c.out = snappy.Encode(c.out[:cap(c.out)], page)
	default:
		return page
	}
	return c.out
}

// decompressor is the inverse of compressor, for pages of any codec.
type decompressor struct {
	zstd *zstdDecoder
	out  []byte
}

// zstdDecoder is made when the first page needs it, and serves all columns.
type zstdDecoder struct{ decoder *zstd.Decoder }

func (z *zstdDecoder) decode(dst, page []byte) (_ []byte, err error) {
	if z.decoder == nil {
		z.decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(math.MaxInt32))
	}
	if err != nil {
		return dst, err
	}
	return z.decoder.DecodeAll(page, dst)
}

// How many times its own size a page can grow: a zstd block of 128 KiB takes
// at least three bytes, a snappy copy of 64 bytes at least two. A page that
// claims more is refused before its claim is allocated.
const (
	zstdGrowth   = (128 << 10) / 3
	snappyGrowth = 64 / 2
)

// decompress returns the page, which is size bytes long when it is intact;
// the bytes are valid until the next call.
func (d *decompressor) decompress(codec parquet.CompressionCodec, page []byte, size int) (_ []byte, err error) {
	switch codec {
	case parquet.CompressionCodec_UNCOMPRESSED:
		d.out = append(d.out[:0], page...)
	case parquet.CompressionCodec_SNAPPY:
		err = d.unsnap(page, size)
	case parquet.CompressionCodec_ZSTD:
		err = d.unzstd(page, size)
	default:
		err = fmt.Errorf("codec %s is not one of ZSTD, SNAPPY, UNCOMPRESSED", codec)
	}
	if err == nil && len(d.out) != size {
		err = fmt.Errorf("a page of %d bytes that claims %d", len(d.out), size)
	}
	return d.out, err
}

func (d *decompressor) unsnap(page []byte, size int) error {
	n, err := snappy.DecodedLen(page)
	if err == nil && (n != size || n > snappyGrowth*len(page)) {
		return fmt.Errorf("a page of %d bytes that claims %d", n, size)
	}
	if err == nil {
		d.out, err = snappy.Decode(d.out[:cap(d.out)], page)
	}
	return err
}

func (d *decompressor) unzstd(page []byte, size int) (err error) {
	if size > zstdGrowth*len(page) {
		return fmt.Errorf("a page of %d bytes that claims %d", len(page), size)
	}
	if cap(d.out) < size {
		d.out = make([]byte, 0, size)
	}
	d.out, err = d.zstd.decode(d.out[:0], page)
	return err
}
