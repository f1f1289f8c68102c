package statement

import (
	"errors"
	"strconv"
	"strings"
)

// document reads the JSON that libpg_query writes, from its beginning to its end. It has no white space, no null and no fractions; anything
// else than is asked for is an error. Strings are parts of the document where nothing in them is escaped.
type document struct {
	text string
	pos  int
}

var errDocument = errors.New("parse tree is not as it should be")

// at says whether c comes next, and takes it.
func (d *document) at(c byte) bool {
	if d.pos < len(d.text) && d.text[d.pos] == c {
		d.pos++
		return true
	}
	return false
}

func (d *document) expect(c byte) error {
	if !d.at(c) {
		return errDocument
	}
	return nil
}

// more says whether an object or an array, which has been opened, has a first or another element before end.
func (d *document) more(first bool, end byte) (bool, error) {
	if d.at(end) {
		return false, nil
	}
	if !first {
		return true, d.expect(',')
	}
	return true, nil
}

// key takes the name of an object's member.
func (d *document) key() (string, error) {
	key, err := d.string()
	if err != nil {
		return "", err
	}
	return key, d.expect(':')
}

func (d *document) string() (string, error) {
	if !d.at('"') {
		return "", errDocument
	}
	rest := d.text[d.pos:]
	end := strings.IndexByte(rest, '"')
	if end < 0 {
		return "", errDocument
	}
	if strings.IndexByte(rest[:end], '\\') < 0 {
		d.pos += end + 1
		return rest[:end], nil
	}
	return d.escaped()
}

// escaped takes the rest of a string that has escapes.
func (d *document) escaped() (string, error) {
	var b strings.Builder
	for {
		plain := strings.IndexAny(d.text[d.pos:], `"\`)
		if plain < 0 {
			return "", errDocument
		}
		b.WriteString(d.text[d.pos : d.pos+plain])
		d.pos += plain
		if d.at('"') {
			return b.String(), nil
		}
		c, err := d.escape()
		if err != nil {
			return "", err
		}
		b.WriteByte(c)
	}
}

// escape takes an escape. libpg_query escapes nothing but ASCII.
func (d *document) escape() (byte, error) {
	rest := d.text[d.pos:]
	if len(rest) < 2 {
		return 0, errDocument
	}
	if rest[1] == 'u' && len(rest) >= len(`\u0000`) {
		d.pos += len(`\u0000`)
		code, err := strconv.ParseUint(rest[2:len(`\u0000`)], 16, 7)
		return byte(code), err
	}
	d.pos += len(`\n`)
	if i := strings.IndexByte(`bfnrt"\`, rest[1]); i >= 0 {
		return "\b\f\n\r\t\"\\"[i], nil
	}
	return 0, errDocument
}

// number takes an integer.
func (d *document) number() (int64, error) {
	end := d.pos
	for end < len(d.text) && (isDigit(d.text[end]) || d.text[end] == '-') {
		end++
	}
	number, err := strconv.ParseInt(d.text[d.pos:end], 10, 64)
	d.pos = end
	return number, err
}

func (d *document) truth() (bool, error) {
	word, truth := "false", strings.HasPrefix(d.text[d.pos:], "true")
	if truth {
		word = "true"
	}
	if !strings.HasPrefix(d.text[d.pos:], word) {
		return false, errDocument
	}
	d.pos += len(word)
	return truth, nil
}
