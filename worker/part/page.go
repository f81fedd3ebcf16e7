package part

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/xitongsys/parquet-go/parquet"
)

// pageEncoder turns the bytes of a page into what stands in the file: a
// header and a compressed body. One serves all columns of a writer.
type pageEncoder struct {
	compressor *compressor
	thrift     *thriftEncoder
	raw        []byte // the page before compression
	scratch    deltaScratch
}

// encodedPage is a page as it stands in the file, valid until the next one.
type encodedPage struct {
	header, body []byte
	rawSize      int64 // of header and body, had the body not been compressed
}

func (p *encodedPage) size() int { return len(p.header) + len(p.body) }

// appendLevels appends the levels as a data page of version 1 holds them:
// their length, then the hybrid encoding.
func appendLevels(dst []byte, levels []uint8, width uint) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = appendHybrid(dst, levels, width)
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// dataPage seals raw, a data page of that many levels.
func (e *pageEncoder) dataPage(raw []byte, levels int, encoding parquet.Encoding) (encodedPage, error) {
	return e.seal(raw, &parquet.PageHeader{
		Type: parquet.PageType_DATA_PAGE,
		DataPageHeader: &parquet.DataPageHeader{
			NumValues: int32(levels), Encoding: encoding,
			DefinitionLevelEncoding: parquet.Encoding_RLE, RepetitionLevelEncoding: parquet.Encoding_RLE,
		},
	})
}

// dictionaryPage seals the page of a chunk's distinct values.
func (e *pageEncoder) dictionaryPage(d *dictionary) (encodedPage, error) {
	e.raw = d.values.appendPlain(e.raw[:0])
	return e.seal(e.raw, &parquet.PageHeader{
		Type:                 parquet.PageType_DICTIONARY_PAGE,
		DictionaryPageHeader: &parquet.DictionaryPageHeader{NumValues: int32(len(d.values.ends)), Encoding: parquet.Encoding_PLAIN},
	})
}

// seal compresses raw and completes its header: sizes, and the checksum over
// the body as it stands in the file.
func (e *pageEncoder) seal(raw []byte, h *parquet.PageHeader) (encodedPage, error) {
	body := e.compressor.compress(raw)
	if len(raw) > math.MaxInt32 || len(body) > math.MaxInt32 {
		return encodedPage{}, fmt.Errorf("a page of %d bytes is larger than Parquet's 2 GiB", len(raw))
	}
	h.UncompressedPageSize, h.CompressedPageSize = int32(len(raw)), int32(len(body))
	h.Crc = pointer(int32(crc32.ChecksumIEEE(body)))
	header, err := e.thrift.encode(h)
	return encodedPage{header: header, body: body, rawSize: int64(len(header) + len(raw))}, err
}
