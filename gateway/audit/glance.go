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
			if next := &glanceNext[sql[i]&glanceLetters]; i+2 < len(sql) && next[0]&(1<<(sql[i+1]&glanceLetters)) != 0 &&
				next[1]&(1<<(sql[i+2]&glanceLetters)) != 0 && announces(sql[i:]) {
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
		case glanceDouble:
			if i+1 < len(sql) && sql[i+1] == sql[i] || strings.HasPrefix(sql[i:], "/*") {
				return false
			}
		}
	}
	return true
}

// places are words of statements and clauses whose literals are secrets, the shortest names of secrets, and what spells words otherwise.
var places = [...]string{"create", "alter", "options", "uescape", "crypt", "hmac", "program", "token", "pwd", "pass"}

// What a character makes harmless look at.
const (
	glanceNothing uint8 = iota
	glanceWord          // the first letter of secretWords, secretShapes or places
	glanceQuote         // ' and ": where a literal ends another may continue it
	glanceURL           // ://
	glanceSign          // \\ and $ spell words otherwise, | puts two together
	glanceDouble        // -- and /*, also the beginning of a key: what stands in a comment is between two tokens, and no token
)

// glanceNext has, for the first letter of a word, a bit for each second letter and one for each third: of all the last five bits, in which
// upper and lower case are alike. No word is shorter; SELECT begins like secret.
var glances, glanceNext = func() (firsts [256]uint8, next [glanceLetters + 1][2]uint32) {
	for _, word := range slices.Concat(places[:], secretWords[:], secretShapes[:]) {
		firsts[strings.ToLower(word)[0]], firsts[strings.ToUpper(word)[0]] = glanceWord, glanceWord
		for n := range next[0] {
			next[word[0]&glanceLetters][n] |= 1 << (word[1+n] & glanceLetters)
		}
	}
	firsts['\''], firsts['"'], firsts[':'], firsts['-'], firsts['/'] = glanceQuote, glanceQuote, glanceURL, glanceDouble, glanceDouble
	firsts['\\'], firsts['$'], firsts['|'] = glanceSign, glanceSign, glanceSign
	return firsts, next
}()

const glanceLetters = 0x1f

func announces(text string) bool {
	for _, word := range places {
		if len(text) >= len(word) && strings.EqualFold(text[:len(word)], word) {
			return true
		}
	}
	return secretAt(text) >= 0
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
