package audit

import (
	"strconv"
	"strings"
)

// secretWords are what names of secrets contain in SQL, in libpq's connection strings and in options of foreign data wrappers.
// In lower case.
var secretWords = [...]string{
	"password", "passwd", "passphrase", "pwd=",
	"scram-sha-256$", "scram_client_key", "scram_server_key",
	"client_secret", "access_token", "secret_key", "secret_access_key",
}

// maxWordBytes is more than the longest of secretWords.
const maxWordBytes = 24

// roleOptions are the words that can follow a password in CREATE ROLE and ALTER ROLE.
var roleOptions = map[string]bool{
	"SUPERUSER": true, "NOSUPERUSER": true, "CREATEDB": true, "NOCREATEDB": true, "CREATEROLE": true, "NOCREATEROLE": true,
	"INHERIT": true, "NOINHERIT": true, "LOGIN": true, "NOLOGIN": true, "REPLICATION": true, "NOREPLICATION": true,
	"BYPASSRLS": true, "NOBYPASSRLS": true, "CONNECTION": true, "ENCRYPTED": true, "UNENCRYPTED": true, "PASSWORD": true,
	"VALID": true, "IN": true, "ROLE": true, "ADMIN": true, "USER": true, "SYSID": true, "CREATEUSER": true, "NOCREATEUSER": true,
	"UESCAPE": true,
}

// clauses are the words behind which a literal no longer belongs to what was named before them.
var clauses = map[string]bool{
	"FROM": true, "WHERE": true, "AND": true, "OR": true, "JOIN": true, "ON": true,
	"GROUP": true, "ORDER": true, "HAVING": true, "LIMIT": true, "RETURNING": true,
}

// harmlessOptions are the options of servers, user mappings and foreign tables whose values are worth reading in an audit.
var harmlessOptions = map[string]bool{
	"host": true, "hostaddr": true, "port": true, "dbname": true, "user": true, "username": true,
	"schema_name": true, "table_name": true, "column_name": true, "filename": true, "format": true, "header": true,
	"delimiter": true, "sslmode": true, "fetch_size": true, "batch_size": true, "updatable": true, "truncatable": true,
	"use_remote_estimate": true, "async_capable": true, "extensions": true, "connect_timeout": true,
}

func speaksOfSecret(text string) bool { return secretIn(text) >= 0 }

// secretIn returns where in text a secret may begin: behind the first word that announces one, or behind the scheme of a URL that
// has a user in it; -1 when neither is there.
func secretIn(text string) int {
	for i := range len(text) {
		switch text[i] | 0x20 {
		case 'p', 's', 'c', 'a':
			for _, word := range secretWords {
				if len(text)-i >= len(word) && strings.EqualFold(text[i:i+len(word)], word) {
					return i + len(word)
				}
			}
		case ':':
			if strings.HasPrefix(text[i:], "://") && strings.Contains(text[i:], "@") {
				return i + len("://")
			}
		}
	}
	return -1
}

// unescape reads the escapes of E'…' and U&'…' that can spell a letter. Both kinds at once: it only serves to find words.
func unescape(body string) string {
	out := make([]byte, 0, len(body))
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' || i+1 == len(body) {
			out = append(out, body[i])
			continue
		}
		from, digits, base := escapeDigits(body[i+1:])
		code, err := strconv.ParseUint(body[i+1+from:i+1+from+digits], base, 32)
		if err != nil || code >= 0x80 {
			out = append(out, body[i+1]) // no letter of ours
			i++
			continue
		}
		out = append(out, byte(code))
		i += from + digits
	}
	return string(out)
}

// escapeDigits finds the digits behind a backslash: \ooo and \xhh, \uhhhh and \Uhhhhhhhh of E'…', \hhhh and \+hhhhhh of U&'…'.
// \hhhh is preferred to \ooo when it has four digits.
func escapeDigits(text string) (from, digits, base int) {
	switch text[0] {
	case 'x':
		return 1, countDigits(text[1:], 2, 16), 16
	case 'u':
		return 1, countDigits(text[1:], 4, 16), 16
	case 'U':
		return 1, countDigits(text[1:], 8, 16), 16
	case '+':
		return 1, countDigits(text[1:], 6, 16), 16
	}
	if strings.HasPrefix(text, "00") && countDigits(text, 4, 16) == 4 {
		return 0, 4, 16
	}
	return 0, countDigits(text, 3, 8), 8
}

func countDigits(text string, limit, base int) int {
	n := 0
	for n < limit && n < len(text) {
		if _, err := strconv.ParseUint(text[n:n+1], base, 8); err != nil {
			break
		}
		n++
	}
	return n
}
