package gateway

import "iter"

// byName maps names to what they mean. Most messages use the unnamed statement or portal, of which each pipeline has another: that
// needs no map.
type byName[T any] struct {
	unnamed    T
	hasUnnamed bool
	named      map[string]T // nil: nothing yet
}

// get finds what a name means.
func (b *byName[T]) get(name []byte) (value T, ok bool) {
	if len(name) == 0 {
		return b.unnamed, b.hasUnnamed
	}
	if len(b.named) == 0 {
		return value, false
	}
	value, ok = b.named[string(name)]
	return value, ok
}

func (b *byName[T]) set(name string, value T) {
	switch {
	case name == "":
		b.unnamed, b.hasUnnamed = value, true
	case b.named == nil:
		b.named = map[string]T{name: value}
	default:
		b.named[name] = value
	}
}

func (b *byName[T]) remove(name string) {
	if name == "" {
		b.removeUnnamed()
		return
	}
	delete(b.named, name)
}

func (b *byName[T]) removeUnnamed() {
	var none T
	b.unnamed, b.hasUnnamed = none, false
}

// removeNamed removes all but the unnamed one.
func (b *byName[T]) removeNamed() {
	if len(b.named) > 0 {
		clear(b.named)
	}
}

func (b *byName[T]) clear() {
	b.removeUnnamed()
	b.removeNamed()
}

func (b *byName[T]) len() int {
	if b.hasUnnamed {
		return len(b.named) + 1
	}
	return len(b.named)
}

// all goes through them. What it gives may be removed meanwhile.
func (b *byName[T]) all() iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		if b.hasUnnamed && !yield("", b.unnamed) || len(b.named) == 0 {
			return
		}
		for name, value := range b.named {
			if !yield(name, value) {
				return
			}
		}
	}
}
