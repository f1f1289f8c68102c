package audit

import (
	"slices"
	"strings"
)

// harmless says at a glance that Redact finds nothing in sql: there is no word in it that announces a secret or a place where every literal
// is one, and no way to write such a word in another way. Most texts are harmless, and Redact looks at every token.
func harmless(sql string) bool {
	quote := byte(0) // that of the literal or name which i is in
	for i := 0; i < len(sql); i++ {
		switch glances[sql[i]] {
		case glanceNothing:
		case glanceWord:
			if mayAnnounce(sql[i:]) && announces(sql[i:]) {
				return false
			}
		case glanceQuote:
			switch {
			case quote == 0:
				quote = sql[i]
			case quote != sql[i]:
			case i+1 < len(sql) && sql[i+1] == quote: // a doubled one stands for itself
				i++
			case quote == '\'' && continues(sql[i+1:]):
				return false
			default:
				quote = 0
			}
		case glanceURL:
			if strings.HasPrefix(sql[i:], "://") {
				return false
			}
		case glanceSign:
			return false
		case glanceDollar:
			if i+1 == len(sql) || !isDigit(sql[i+1]) {
				return false
			}
		case glanceDouble:
			if i+1 < len(sql) && sql[i+1] == sql[i] || strings.HasPrefix(sql[i:], "/*") {
				return false
			}
		}
	}
	return true
}

// keywords begin statements and clauses whose literals are secrets, or say that words are spelled otherwise. They stand alone: many a column
// is called created_at.
var keywords = [...]string{"create", "alter", "options", "uescape", "program"}

// places are parts of the names of functions whose literals are secrets, and the shortest names of secrets.
var places = [...]string{"crypt", "hmac", "token", "pwd", "pass"}

// What a character makes harmless look at.
const (
	glanceNothing uint8 = iota
	glanceWord          // the first letter of keywords, places, secretWords or secretShapes
	glanceQuote         // ' and ": where a literal ends another may continue it
	glanceURL           // ://
	glanceSign          // \\ spells words otherwise, | puts two together
	glanceDollar        // begins another kind of literal, where it is not that of a parameter: $1
	glanceDouble        // -- and /*, also the beginning of a key: what stands in a comment is between two tokens, and no token
)

// glanceNext has, for the first letter of a word, a bit for each second letter and one for each third: of all the last five bits, in which
// upper and lower case are alike. No word is shorter; SELECT begins like secret.
var glances, glanceNext = func() (firsts [256]uint8, next [glanceLetters + 1][2]uint32) {
	for _, word := range slices.Concat(keywords[:], places[:], secretWords[:], secretShapes[:]) {
		firsts[strings.ToLower(word)[0]], firsts[strings.ToUpper(word)[0]] = glanceWord, glanceWord
		for n := range next[0] {
			next[word[0]&glanceLetters][n] |= 1 << (word[1+n] & glanceLetters)
		}
	}
	firsts['\''], firsts['"'], firsts[':'], firsts['-'], firsts['/'] = glanceQuote, glanceQuote, glanceURL, glanceDouble, glanceDouble
	firsts['\\'], firsts['|'], firsts['$'] = glanceSign, glanceSign, glanceDollar
	return firsts, next
}()

const glanceLetters = 0x1f

// mayAnnounce says of nearly all texts that none of the words is at their beginning.
func mayAnnounce(text string) bool {
	if len(text) <= len(glanceNext[0]) {
		return false
	}
	next := &glanceNext[text[0]&glanceLetters]
	return next[0]&(1<<(text[1]&glanceLetters)) != 0 && next[1]&(1<<(text[2]&glanceLetters)) != 0
}

func announces(text string) bool {
	for _, word := range keywords {
		if beginsWith(text, word) && (len(text) == len(word) || !isWordPart(text[len(word)])) {
			return true
		}
	}
	return slices.ContainsFunc(places[:], func(word string) bool { return beginsWith(text, word) }) || secretAt(text) >= 0
}

// beginsWith is strings.HasPrefix in any case.
func beginsWith(text, word string) bool {
	return len(text) >= len(word) && strings.EqualFold(text[:len(word)], word)
}

// continues says whether a literal follows, perhaps with a prefix.
func continues(rest string) bool {
	for rest != "" && (rest[0] == ' ' || rest[0] >= '\t' && rest[0] <= '\r') {
		rest = rest[1:]
	}
	for n := 0; n < len(rest) && n <= len("U&"); n++ {
		if rest[n] == '\'' {
			return true
		}
		if !isWordStart(rest[n]) && rest[n] != '&' {
			return false
		}
	}
	return false
}
