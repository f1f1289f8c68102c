package audit

import (
	"strings"
	"testing"
)

// redactions are texts and what is left of them. The secret is always in it by the name hunter2.
var redactions = map[string]struct{ in, want string }{
	"role":                    {`ALTER ROLE bob PASSWORD 'hunter2'`, `ALTER ROLE bob PASSWORD '<redacted>'`},
	"user with":               {`create user bob with login encrypted password 'hunter2' valid until '2030-01-01'`, `create user bob with login encrypted password '<redacted>' valid until '2030-01-01'`},
	"null":                    {`ALTER ROLE bob PASSWORD NULL VALID UNTIL '2030-01-01'`, `ALTER ROLE bob PASSWORD NULL VALID UNTIL '2030-01-01'`},
	"role setting":            {`ALTER ROLE bob SET search_path TO 'a', 'b'`, `ALTER ROLE bob SET search_path TO 'a', 'b'`},
	"role named so":           {`CREATE ROLE password_admin SUPERUSER LOGIN`, `CREATE ROLE password_admin SUPERUSER LOGIN`},
	"misspelt":                {`ALTER ROLE bob PASWORD 'hunter2'`, `ALTER ROLE bob PASWORD '<redacted>'`},
	"verifier":                {`ALTER USER bob PASSWORD 'SCRAM-SHA-256$4096:hunter2'`, `ALTER USER bob PASSWORD '<redacted>'`},
	"doubled quote":           {`ALTER ROLE bob PASSWORD 'hun''hunter2' LOGIN`, `ALTER ROLE bob PASSWORD '<redacted>' LOGIN`},
	"escape string":           {`ALTER ROLE bob PASSWORD E'\'hunter2' LOGIN`, `ALTER ROLE bob PASSWORD E'<redacted>' LOGIN`},
	"unicode string":          {`ALTER ROLE bob PASSWORD U&'hunter2!0061' UESCAPE '!' LOGIN`, `ALTER ROLE bob PASSWORD U&'<redacted>' UESCAPE '<redacted>' LOGIN`},
	"dollars":                 {`ALTER ROLE bob PASSWORD $$hunter2$$`, `ALTER ROLE bob PASSWORD $$<redacted>$$`},
	"tagged dollars":          {`ALTER ROLE bob PASSWORD $x$a$$hunter2$x$ LOGIN`, `ALTER ROLE bob PASSWORD $x$<redacted>$x$ LOGIN`},
	"continued":               {"ALTER ROLE bob PASSWORD 'a'\n  'hunter2' LOGIN", "ALTER ROLE bob PASSWORD '<redacted>'\n  '<redacted>' LOGIN"},
	"comment between":         {"ALTER ROLE bob PASSWORD /* x /* y */ */ -- z\n 'hunter2'", "ALTER ROLE bob PASSWORD /* x /* y */ */ -- z\n '<redacted>'"},
	"comment":                 {"SELECT 1 -- password: hunter2\n, 2", "SELECT 1 -- password<redacted>\n, 2"},
	"open comment":            {"SELECT 1 /* password: hunter2", "SELECT 1  <redacted>"},
	"no quotes":               {`ALTER ROLE bob PASSWORD hunter2`, `ALTER ROLE bob PASSWORD  <redacted>`},
	"double quotes":           {`ALTER ROLE bob PASSWORD "hunter2"`, `ALTER ROLE bob PASSWORD  <redacted>`},
	"number":                  {`ALTER ROLE bob PASSWORD 1hunter2`, `ALTER ROLE bob PASSWORD  <redacted>`},
	"typographic quotes":      {`ALTER ROLE bob PASSWORD ‘hunter2’`, `ALTER ROLE bob PASSWORD  <redacted>`},
	"quote not doubled":       {`ALTER ROLE bob PASSWORD 'it's hunter2'`, `ALTER ROLE bob PASSWORD '<redacted>' <redacted>`},
	"quote, space":            {`ALTER ROLE bob PASSWORD 'it' hunter2'`, `ALTER ROLE bob PASSWORD '<redacted>' <redacted>`},
	"quote, semicolon":        {`ALTER ROLE bob PASSWORD 'it'; hunter2'`, `ALTER ROLE bob PASSWORD '<redacted>' <redacted>`},
	"two single quotes":       {`ALTER ROLE bob PASSWORD ''hunter2''`, `ALTER ROLE bob PASSWORD '' <redacted>`},
	"backslash":               {`ALTER ROLE bob PASSWORD 'a\'hunter2'`, `ALTER ROLE bob PASSWORD '<redacted>' <redacted>`},
	"not closed":              {`ALTER ROLE bob PASSWORD 'hunter2`, `ALTER ROLE bob PASSWORD  <redacted>`},
	"dollars not closed":      {`ALTER ROLE bob PASSWORD $x$hunter2$y$`, `ALTER ROLE bob PASSWORD  <redacted>`},
	"second statement":        {`SELECT 'a'; ALTER ROLE bob PASSWORD 'hunter2'; SELECT 'b'`, `SELECT 'a'; ALTER ROLE bob PASSWORD '<redacted>'; SELECT 'b'`},
	"mapping":                 {`CREATE USER MAPPING FOR bob SERVER s OPTIONS (user 'bob', password 'hunter2')`, `CREATE USER MAPPING FOR bob SERVER s OPTIONS (user 'bob', password '<redacted>')`},
	"mapping, unknown option": {`ALTER USER MAPPING FOR bob SERVER s OPTIONS (SET "tok en" 'hunter2')`, `ALTER USER MAPPING FOR bob SERVER s OPTIONS (SET "tok en" '<redacted>')`},
	"mapping, escaped name":   {`CREATE USER MAPPING FOR bob SERVER s OPTIONS (U&"\0070assword" 'hunter2', user 'bob')`, `CREATE USER MAPPING FOR bob SERVER s OPTIONS (U&"\0070assword" '<redacted>', user 'bob')`},
	"mapping, no quotes":      {`CREATE USER MAPPING FOR bob SERVER s OPTIONS (password hunter2)`, `CREATE USER MAPPING FOR bob SERVER s OPTIONS (password  <redacted>`},
	"mapping, bad quotes":     {`CREATE USER MAPPING FOR bob SERVER s OPTIONS (password 'a' 'b' hunter2)`, `CREATE USER MAPPING FOR bob SERVER s OPTIONS (password '<redacted>' '<redacted>' <redacted>`},
	"server":                  {`CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'h', sslpassword 'hunter2')`, `CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'h', sslpassword '<redacted>')`},
	"subscription":            {`CREATE SUBSCRIPTION s CONNECTION 'host=h password=hunter2' PUBLICATION p`, `CREATE SUBSCRIPTION s CONNECTION 'host=h password<redacted>' PUBLICATION p`},
	"dblink":                  {`SELECT * FROM dblink('host=h password = hunter2','select 1') t(a int)`, `SELECT * FROM dblink('host=h password<redacted>','<redacted>') t(a int)`},
	"dblink, escapes":         {`SELECT dblink_connect(E'\x70ass\167ord=hunter2')`, `SELECT dblink_connect(E'<redacted>')`},
	"dblink, unicode":         {`SELECT dblink_connect(U&'\0070ass\+000077ord=hunter2')`, `SELECT dblink_connect(U&'<redacted>')`},
	"dblink, uescape":         {`SELECT dblink_connect(U&'!0070assword=hunter2' UESCAPE '!')`, `SELECT dblink_connect(U&'<redacted>' UESCAPE '!')`},
	"dblink, quote":           {`SELECT dblink_connect('password=it's hunter2')`, `SELECT dblink_connect('password<redacted>' <redacted>`},
	"URL":                     {`SELECT dblink_connect('postgresql://bob:hunter2@h/d')`, `SELECT dblink_connect('postgresql://<redacted>')`},
	"URL without a user":      {`SELECT 'https://example.com/a'`, `SELECT 'https://example.com/a'`},
	"function body":           {`DO $$ BEGIN ALTER ROLE bob PASSWORD 'hunter2'; END $$`, `DO $$ BEGIN ALTER ROLE bob PASSWORD<redacted>$$`},
	"concatenated":            {`SELECT dblink('password=' || 'hunter2')`, `SELECT dblink('password<redacted>' || '<redacted>')`},
	"a word in two":           {"SELECT dblink('host=h pass'\n'word=hunter2')", "SELECT dblink('host=h pass'\n'<redacted>')"},
	"a word concatenated":     {`SELECT dblink('pass' || 'word=hunter2')`, `SELECT dblink('pass' || '<redacted>')`},
	"setting":                 {`SET app.password = 'hunter2'`, `SET app.password = '<redacted>'`},
	"set_config":              {`SELECT set_config('app.password', 'hunter2', false)`, `SELECT set_config('app.password', '<redacted>', false)`},
	"insert":                  {`INSERT INTO u (name, password) VALUES ('bob', 'hunter2')`, `INSERT INTO u (name, password) VALUES ('<redacted>', '<redacted>')`},
	"update":                  {`UPDATE u SET password = 'hunter2' WHERE name = 'bob'`, `UPDATE u SET password = '<redacted>' WHERE name = 'bob'`},
	"another clause":          {`SELECT password FROM u WHERE name = 'bob'`, `SELECT password FROM u WHERE name = 'bob'`},
	"no secret":               {`SELECT 'it''s', E'\'', $$x$$, "y" /* z */ FROM t`, `SELECT 'it''s', E'\'', $$x$$, "y" /* z */ FROM t`},
	"no secret, not closed":   {`SELECT 'abc`, `SELECT 'abc`},
	"create table":            {`CREATE TABLE u (name text DEFAULT 'x', password text)`, `CREATE TABLE u (name text DEFAULT 'x', password text)`},
	"normalized":              {`ALTER ROLE bob PASSWORD $1`, `ALTER ROLE bob PASSWORD  <redacted>`},
	"empty":                   {``, ``},
}

func TestRedact(t *testing.T) {
	for name, test := range redactions {
		t.Run(name, func(t *testing.T) {
			got, found := Redact(test.in)
			if got != test.want {
				t.Errorf("Redact(%s)\n got %s\nwant %s", test.in, got, test.want)
			}
			if found != (test.in != test.want) {
				t.Errorf("found = %t", found)
			}
			if strings.Contains(got, "hunter2") {
				t.Error("the secret is still there")
			}
		})
	}
}

func TestRedactDoesNotAllocateWithoutSecrets(t *testing.T) {
	sql := "SELECT id, name FROM app.customers WHERE id = 17 AND name <> 'x' -- all\n ORDER BY id"
	if n := testing.AllocsPerRun(100, func() { Redact(sql) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestHarmless(t *testing.T) {
	for text, want := range map[string]bool{
		"": true,
		"SELECT id, name FROM app.customers WHERE id = 17 AND name <> 'x' ORDER BY id": true,
		"INSERT INTO people (name, age) VALUES ('Ann', 5), ('o, p', -5), ($1, 7)":      false, // $
		"INSERT INTO people (name, age) VALUES ('Ann', 5), ('o, p', -5)":               true,
		"UPDATE t SET a = 'http:/x', b = 1 / 2 - 3":                                    true,
		"SELECT 'a://b'": false,
		"SELECT 'x', 'it''s', \"a\", \"it's\" FROM t": true,
		"SELECT \"it's\", 'pass' 'word'":              false,
		"SELECT passwd FROM t":                        false,
		"SELECT 'PassWord'":                           false,
		"SELECT 'pass' \n 'word'":                     false,
		"SELECT 'pass' E'word'":                       false,
		"SELECT 'pass' n'word'":                       false,
		"SELECT 'pass'U&'word'":                       false,
		"SELECT 'pass' || 'word'":                     false,
		"SELECT 'a' -- b\n'c'":                        false,
		"SELECT 'a' /* b */ 'c'":                      false,
		`SELECT E'p\x61ss'`:                           false,
		"SELECT $$a$$":                                false,
		"alter role r":                                false,
		"SELECT a FROM recreated":                     false, // a glance is not a look
	} {
		if got := harmless(text); got != want {
			t.Errorf("%s: got %t", text, got)
		}
	}
}

// FuzzHarmless: a text that looks harmless has nothing to redact.
func FuzzHarmless(f *testing.F) {
	for _, test := range redactions {
		f.Add(test.in)
	}
	f.Add("SELECT 'a', 'b' 'c' n'd' FROM t WHERE x - y / z = '' ; begin")
	f.Fuzz(func(t *testing.T, sql string) {
		if _, found := redact(sql); found && harmless(sql) {
			t.Errorf("harmless at a glance: %q", sql)
		}
	})
}

// quote writes a password as SQL allows it.
func quote(password string, how uint8) string {
	switch how % 4 {
	case 0:
		return "'" + strings.ReplaceAll(password, "'", "''") + "'"
	case 1:
		return "E'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(password) + "'"
	case 2:
		return "U&'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(password) + "'"
	}
	return "$q$" + strings.ReplaceAll(password, "$", "") + "$q$"
}

// FuzzRedact puts a password behind every sort of quote and after any text whose own quotes are closed: no part of it may be left.
func FuzzRedact(f *testing.F) {
	for _, test := range redactions {
		f.Add(test.in, "a", "b", uint8(0))
	}
	f.Add("", "it''s", `\`, uint8(1))
	f.Add("select 1", "'", "$$", uint8(3))
	f.Fuzz(func(t *testing.T, before, left, right string, how uint8) {
		if got, found := Redact(before); !found && got != before {
			t.Fatalf("Redact(%q) = %q although nothing was found", before, got)
		}
		if !balanced(before) {
			before = ""
		}
		const mark = "zq7hunter2zq7"
		if strings.Contains(before+left+right, "zq7") {
			t.Skip()
		}
		sql := before + "\n; ALTER ROLE bob PASSWORD " + quote(left+mark+right, how) + "; SELECT 1"
		if got, _ := Redact(sql); strings.Contains(got, mark) {
			t.Errorf("Redact(%q)\n = %q", sql, got)
		}
	})
}

// balanced says that text ends outside of quotes and comments.
func balanced(text string) bool {
	l := lexer{sql: text}
	for {
		t := l.next()
		if t.open || t.kind == tokenComment && strings.HasPrefix(text[t.start:], "--") && t.end == len(text) {
			return false
		}
		if t.kind == tokenEnd {
			return true
		}
	}
}

// FuzzRedactAnything gives it any text: it must end, and take out only.
func FuzzRedactAnything(f *testing.F) {
	for _, test := range redactions {
		f.Add(test.in)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		got, found := Redact(sql)
		if !found && got != sql {
			t.Errorf("Redact(%q) = %q although nothing was found", sql, got)
		}
		if len(got) > len(sql)+(len(sql)+1)*len(redacted) {
			t.Errorf("Redact(%q) grew to %d bytes", sql, len(got))
		}
	})
}
