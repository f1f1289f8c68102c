package statement

// Sizes of Go values, rounded up: a cache that is bounded by them must not hold more than it says.
const (
	sheetBytes     = 256
	statementBytes = 1024
	relationBytes  = 384
	functionBytes  = 256
	smallBytes     = 128 // a setting, a channel, an object, a name
	stringBytes    = 16
)

// Size is about how many bytes of memory the sheet takes.
func (s *Sheet) Size() int {
	size := sheetBytes + len(s.Fingerprint) + len(s.Normalized) + sizeOf(s.Incomplete)
	for i := range s.Statements {
		size += s.Statements[i].size()
	}
	return size
}

func (s *Statement) size() int {
	size := statementBytes + sizeOf(s.Commands) + sizeOf(s.Attributes) + sizeOf(s.Roles) + sizeOf(s.Opaque) +
		sizeOf(s.Hints.Operators) + sizeOf(s.Hints.Calls) + sizeOf(s.Hints.Fields)
	for i := range s.Relations {
		r := &s.Relations[i]
		size += relationBytes + len(r.Schema) + len(r.Name) + sizeOf(r.Access) + sizeOf(r.Columns) + sizeOf(r.Written) +
			sizeOfNames(r.Through) + sizeOfNames(r.Ancestors) + sizeOfNames(r.Descendants)
	}
	for i := range s.Functions {
		f := &s.Functions[i]
		size += functionBytes + len(f.Schema) + len(f.Name) + sizeOf(f.Constants) + sizeOfNames(f.Through)
	}
	for _, o := range s.Operators {
		size += smallBytes + len(o.Schema) + len(o.Name)
	}
	for _, o := range s.Types {
		size += smallBytes + len(o.Schema) + len(o.Name)
	}
	for _, setting := range s.Settings {
		size += smallBytes + len(setting.Name) + len(setting.Value)
	}
	for _, c := range s.Channels {
		size += smallBytes + len(c.Name)
	}
	if s.Prepared != nil {
		size += smallBytes*(1+len(s.Prepared.Uses)) + len(s.Prepared.Name)
	}
	return size + sizeOfNames(s.Unfiltered) + sizeOfNames(s.Unknown)
}

func sizeOf(texts []string) int {
	size := len(texts) * stringBytes
	for _, text := range texts {
		size += len(text)
	}
	return size
}

func sizeOfNames(names []Name) int {
	size := len(names) * 2 * stringBytes
	for _, name := range names {
		size += len(name.Schema) + len(name.Name)
	}
	return size
}
