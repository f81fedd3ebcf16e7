package part

import (
	"context"

	"github.com/apache/thrift/lib/go/thrift"
)

// thriftStruct is what the generated structures of the format have in common.
type thriftStruct interface {
	Write(ctx context.Context, p thrift.TProtocol) error
	Read(ctx context.Context, p thrift.TProtocol) error
}

// thriftEncoder encodes structures in Thrift's compact protocol.
type thriftEncoder struct {
	buffer   *thrift.TMemoryBuffer
	protocol thrift.TProtocol
}

func newThriftEncoder() *thriftEncoder {
	buffer := thrift.NewTMemoryBuffer()
	return &thriftEncoder{buffer: buffer, protocol: thrift.NewTCompactProtocolConf(buffer, nil)}
}

// encode returns s encoded; the bytes are valid until the next call.
func (e *thriftEncoder) encode(s thriftStruct) ([]byte, error) {
	e.buffer.Reset()
	err := s.Write(context.Background(), e.protocol)
	return e.buffer.Bytes(), err
}

// decodeThrift fills s from the front of data and returns how many bytes it
// took. Sizes that data claims are checked against what data has left.
func decodeThrift(data []byte, s thriftStruct) (n int, err error) {
	buffer := thrift.NewTMemoryBuffer()
	if _, err := buffer.Write(data); err != nil {
		return 0, err
	}
	size := int32(max(len(data), 1))
	conf := &thrift.TConfiguration{MaxMessageSize: size, MaxFrameSize: size}
	err = s.Read(context.Background(), thrift.NewTCompactProtocolConf(buffer, conf))
	return len(data) - buffer.Len(), err
}
