package audit

import (
	"strconv"
	"strings"
)

// secretWords are what names of secrets contain in SQL, in libpq's connection strings, in options of foreign data wrappers, in JSON, in
// URLs and in command lines. In lower case.
var secretWords = [...]string{
	"password", "passwd", "passphrase", "passcode", "pwd=", "pass=", `pwd"`, `pass"`,
	"scram-sha-256$", "scram_client_key", "scram_server_key",
	"secret", "credential", "access_key", "private_key", "api_key", "api-key", "apikey",
	"_token", "token=", `token"`, "authorization:", "x-amz-signature", "bearer ", "sig=",
}

// words are keywords and names, in upper case.
type words map[string]bool

// longestWord is more than the longest of them.
const longestWord = 32

// has looks for a word in any case. It does not allocate.
func (w words) has(word string) bool {
	if len(word) > longestWord {
		return false
	}
	var upper [longestWord]byte
	for i := range len(word) {
		upper[i] = word[i]
		if c := word[i]; c >= 'a' && c <= 'z' {
			upper[i] = c &^ 0x20
		}
	}
	return w[string(upper[:len(word)])]
}

// roleOptions are the words that can follow a password in CREATE ROLE and ALTER ROLE.
var roleOptions = words{
	"SUPERUSER": true, "NOSUPERUSER": true, "CREATEDB": true, "NOCREATEDB": true, "CREATEROLE": true, "NOCREATEROLE": true,
	"INHERIT": true, "NOINHERIT": true, "LOGIN": true, "NOLOGIN": true, "REPLICATION": true, "NOREPLICATION": true,
	"BYPASSRLS": true, "NOBYPASSRLS": true, "CONNECTION": true, "ENCRYPTED": true, "UNENCRYPTED": true, "PASSWORD": true,
	"VALID": true, "IN": true, "ROLE": true, "ADMIN": true, "USER": true, "SYSID": true, "CREATEUSER": true, "NOCREATEUSER": true,
	"UESCAPE": true,
}

// clauses are the words behind which a literal no longer belongs to what was named before them.
var clauses = words{
	"FROM": true, "WHERE": true, "AND": true, "OR": true, "JOIN": true, "ON": true,
	"GROUP": true, "ORDER": true, "HAVING": true, "LIMIT": true, "RETURNING": true, "PUBLICATION": true,
}

// secretCalls are the functions of pgcrypto that take passwords and keys. Every literal among their arguments is taken out:
// where the key stands differs, and the other one is what it is to protect.
var secretCalls = words{
	"CRYPT": true, "HMAC": true, "ENCRYPT": true, "DECRYPT": true, "ENCRYPT_IV": true, "DECRYPT_IV": true,
	"PGP_SYM_ENCRYPT": true, "PGP_SYM_ENCRYPT_BYTEA": true, "PGP_SYM_DECRYPT": true, "PGP_SYM_DECRYPT_BYTEA": true,
	"PGP_PUB_ENCRYPT": true, "PGP_PUB_ENCRYPT_BYTEA": true, "PGP_PUB_DECRYPT": true, "PGP_PUB_DECRYPT_BYTEA": true,
}

// harmlessOptions are the options of servers, user mappings and foreign tables whose values are worth reading in an audit.
var harmlessOptions = map[string]bool{
	"host": true, "hostaddr": true, "port": true, "dbname": true, "user": true, "username": true,
	"schema_name": true, "table_name": true, "column_name": true, "filename": true, "format": true, "header": true,
	"delimiter": true, "sslmode": true, "fetch_size": true, "batch_size": true, "updatable": true, "truncatable": true,
	"use_remote_estimate": true, "async_capable": true, "extensions": true, "connect_timeout": true,
}

func speaksOfSecret(text string) bool { return secretIn(text) >= 0 }

// secretName says whether an identifier names a secret.
func secretName(name string) bool {
	for _, short := range shortNames {
		if n := len(name) - len(short); n == 0 && strings.EqualFold(name, short) || n > 0 && name[n-1] == '_' && strings.EqualFold(name[n:], short) {
			return true
		}
	}
	return speaksOfSecret(name)
}

// shortNames are names of secrets, or their last words, that are parts of too many others to be looked for in them: passenger, bypass.
var shortNames = [...]string{"token", "pwd", "pass"}

// secretIn returns where in text a secret may begin: behind the first word that announces one, behind the scheme of a URL that
// has a user in it, or where something begins that only secrets look like; -1 when nothing of it is there.
func secretIn(text string) int {
	for i := range len(text) {
		if text[i] == ':' && strings.HasPrefix(text[i:], "://") && strings.Contains(text[i:], "@") {
			return i + len("://")
		}
		if !secretFirsts[text[i]] || !mayAnnounce(text[i:]) {
			continue
		}
		if n := secretAt(text[i:]); n >= 0 {
			return i + n
		}
	}
	return -1
}

// secretAt says how far behind the beginning of text a secret begins that is announced there; -1: none is.
func secretAt(text string) int {
	for _, word := range secretWords {
		if beginsWith(text, word) {
			return len(word)
		}
	}
	if verifierAt(text) || tokenAt(text) || strings.HasPrefix(text, "-----BEGIN ") {
		return 0
	}
	return -1
}

// verifierAt knows what pg_authid.rolpassword has of an MD5 password.
func verifierAt(text string) bool {
	return len(text) >= len("md5")+32 && strings.EqualFold(text[:len("md5")], "md5") && countDigits(text[len("md5"):], 32, 16) == 32
}

// shortestToken is less than any token has behind its prefix.
const shortestToken = 16

// tokenAt knows JSON Web Tokens, which begin with '{"' in base64 (RFC 7519, 3), and Vault's tokens.
func tokenAt(text string) bool {
	for _, prefix := range []string{"eyJ", "hvs.", "hvb.", "hvr."} {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			n := 0
			for n < len(rest) && n < shortestToken && (isWordPart(rest[n]) && rest[n] < 0x80 || rest[n] == '-') {
				n++
			}
			return n == shortestToken
		}
	}
	return false
}

// secretShapes are the beginnings of what secretAt knows beside words.
var secretShapes = [...]string{"md5", "eyJ", "hvs.", "hvb.", "hvr.", "-----BEGIN "}

// secretFirsts are the characters that secretAt finds something at.
var secretFirsts = func() (firsts [256]bool) {
	for _, word := range append(secretWords[:], secretShapes[:]...) {
		lower := strings.ToLower(word)
		firsts[lower[0]], firsts[strings.ToUpper(word)[0]] = true, true
	}
	return firsts
}()

// programSecret returns where the arguments of a program begin that may have a secret among them; -1: none of them does.
func programSecret(command string) int {
	from := strings.IndexAny(command, " \t\n")
	if from < 0 {
		return -1
	}
	for _, sign := range []string{" -u", " -p", " -H", " --", "\t-", "\n-", "@", "$", "`"} {
		if strings.Contains(command[from:], sign) {
			return from
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
