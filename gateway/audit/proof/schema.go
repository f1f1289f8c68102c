package proof

import (
	"bytes"
	"fmt"
	"strconv"
)

// The version of what stands in a log, in the first line of every file. A minor version adds: types of events, fields, words in a field
// that says what happened; or it orders keys otherwise. Readers pass over what they do not know. With a major version something is gone, has another name or another
// meaning, or is proved otherwise; then nobody reads it who was not made for it, and a gateway does not go on with a file of another one.
const (
	Schema      = "1.1" // what is written
	schemaMajor = 1     // what is read
)

// fieldSchema is the first field of a start; those from before there were versions have none, and are read as 1.0.
const fieldSchema = `"schema":"`

// SchemaError says that a file is of a version that cannot be read.
type SchemaError struct{ Version string }

func (e *SchemaError) Error() string {
	return fmt.Sprintf("the log is of schema %s, this program reads %d.x: use that of the gateway which has written it, or a later one", e.Version, schemaMajor)
}

// Readable says whether what follows a line can be read; the error, a *SchemaError, is that of a start of another major version. What
// is said of it is all that is ever asked of a version to come: it begins as this one does.
func Readable(line []byte) error {
	rest, ok := behindTime(line)
	if !ok || !bytes.HasPrefix(rest, []byte(typeStart+fieldSchema)) {
		return nil
	}
	version, _, _ := bytes.Cut(rest[len(typeStart+fieldSchema):], []byte(`"`))
	if major, _, ok := parseSchema(version); ok && major == schemaMajor {
		return nil
	}
	const longest = 32 // of what somebody else may have written
	return &SchemaError{string(version[:min(len(version), longest)])}
}

func parseSchema(version []byte) (major, minor int, ok bool) {
	first, second, _ := bytes.Cut(version, []byte("."))
	major, majorErr := strconv.Atoi(string(first))
	minor, minorErr := strconv.Atoi(string(second))
	return major, minor, majorErr == nil && minorErr == nil && string(version) == fmt.Sprintf("%d.%d", major, minor)
}
