package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"os"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// readLog calls read with what a file of an audit log holds, uncompressed. Gzip is known by its first bytes.
func readLog(name string, read func(io.Reader) error) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	buffered := bufio.NewReader(file)
	magic, err := buffered.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return errors.Join(err, file.Close())
	}
	var r io.Reader = buffered
	if string(magic) == "\x1f\x8b" {
		if r, err = gzip.NewReader(buffered); err != nil {
			return errors.Join(&os.PathError{Op: "read", Path: name, Err: err}, file.Close())
		}
	}
	return errors.Join(read(r), file.Close())
}

// eachLine calls f with every whole line of the files.
func eachLine(names []string, f func(line []byte)) error {
	return eachLineOf(names, func(string) {}, f)
}

// eachLineOf is eachLine, and calls begin before each file.
func eachLineOf(names []string, begin func(name string), f func(line []byte)) error {
	for _, name := range names {
		begin(name)
		err := readLog(name, func(r io.Reader) error {
			lines := proof.NewLines(r)
			for {
				line, err := lines.Next()
				switch {
				case errors.Is(err, io.EOF):
					return nil
				case err != nil:
					return &os.PathError{Op: "read", Path: name, Err: err}
				case !lines.Torn():
					f(line)
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}
