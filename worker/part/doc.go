// Package part owns one Parquet file: how rows and rejects become column
// pages, row groups and a footer, and how a file is read back and checked.
//
// It is the only importer of the Parquet library, and of it only the Thrift
// structures of the format; the pages it encodes itself. It knows nothing of
// file names, directories, durability or publishing: a Writer fills an
// io.Writer, Open reads an io.ReaderAt. It decides nothing about columns
// either: their names, types and order come from package event.
package part
