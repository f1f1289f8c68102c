package statement

// Saying is what a sheet says of its text, but for how the text is called: sheets with the same Saying differ in fingerprint and normalized
// text at most. It is for comparing, and as a key.
//
// It goes by where the statements are, not by what is in them, because no sheet changes: sheets that happen to be equal may have two.
type Saying struct {
	statements *Statement // the first
	count      int
	complete   bool
	resolved   bool
	incomplete *string // the first
	reasons    int
}

// Saying is what the sheet says.
func (s *Sheet) Saying() Saying {
	return Saying{
		statements: first(s.Statements), count: len(s.Statements), complete: s.Complete, resolved: s.Resolved,
		incomplete: first(s.Incomplete), reasons: len(s.Incomplete),
	}
}

// first is where a list begins; nil: it is empty.
func first[T any](list []T) *T {
	if len(list) == 0 {
		return nil
	}
	return &list[0]
}

// Called is a sheet that says the same as s, of a text that is called like the one that other is of.
func (s *Sheet) Called(other *Sheet) *Sheet {
	if s.Fingerprint == other.Fingerprint && s.Normalized == other.Normalized {
		return s
	}
	called := *s
	called.Fingerprint, called.Normalized = other.Fingerprint, other.Normalized
	return &called
}
