package statement

// scanNumber scans a numeric literal at i: decimal, 0x, 0o and 0b integers, underscores between digits, fractions and exponents. What
// follows without a gap ("1a") is refused, as PostgreSQL 15 and later do.
func scanNumber(text string, i int) (kind, int) {
	if end, ok := basedInteger(text, i); ok {
		return numberEnd(text, end)
	} else if end < 0 {
		return kindBad, len(text)
	}
	end := digits(text, i, isDigit)
	if end < len(text) && text[end] == '.' {
		if end > i && end+1 < len(text) && text[end+1] == '.' {
			return kindNumber, end // 1..2 is 1, .., 2
		}
		end++
		if end < len(text) && isDigit(text[end]) {
			end = digits(text, end, isDigit)
		}
	}
	if end < len(text) && text[end]|0x20 == 'e' {
		exponent := end + 1
		if exponent < len(text) && (text[exponent] == '+' || text[exponent] == '-') {
			exponent++
		}
		if exponent == len(text) || !isDigit(text[exponent]) {
			return kindBad, len(text)
		}
		end = digits(text, exponent, isDigit)
	}
	return numberEnd(text, end)
}

// basedInteger scans 0x1F, 0o17 or 0b11. A prefix without a digit gives -1.
func basedInteger(text string, i int) (int, bool) {
	if i+1 >= len(text) || text[i] != '0' {
		return i, false
	}
	var accept func(byte) bool
	switch text[i+1] | 0x20 {
	case 'x':
		accept = func(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
	case 'o':
		accept = func(c byte) bool { return c >= '0' && c <= '7' }
	case 'b':
		accept = func(c byte) bool { return c == '0' || c == '1' }
	default:
		return i, false
	}
	start := i + 2
	if start < len(text) && text[start] == '_' {
		start++
	}
	if start == len(text) || !accept(text[start]) {
		return -1, false
	}
	return digits(text, start, accept), true
}

// digits returns the end of a run of digits in which single underscores may stand between two.
func digits(text string, i int, accept func(byte) bool) int {
	for i < len(text) {
		switch {
		case accept(text[i]):
			i++
		case text[i] == '_' && i+1 < len(text) && accept(text[i+1]):
			i += 2
		default:
			return i
		}
	}
	return i
}

func numberEnd(text string, end int) (kind, int) {
	if end < len(text) && isIdentStart(text[end]) {
		return kindBad, len(text)
	}
	return kindNumber, end
}
