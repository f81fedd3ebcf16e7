module datawriter

go 1.26.0

require (
	github.com/cespare/xxhash/v2 v2.3.0
	github.com/redis/go-redis/v9 v9.23.0
)

require (
	github.com/apache/thrift v0.25.0 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/xitongsys/parquet-go v1.6.2 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
)
