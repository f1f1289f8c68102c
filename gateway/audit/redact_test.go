package audit

import (
	"runtime"
	"slices"
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
	"dblink, uescape":         {`SELECT dblink_connect(U&'!0070assword=hunter2' UESCAPE '!')`, `SELECT dblink_connect(U&'<redacted>' UESCAPE '<redacted>')`},
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
	"named later":             {`SELECT 'hun' || 'ter2'::text AS password, 'a' AS b`, `SELECT '<redacted>'::text AS password, 'a' AS b`},
	"compared":                {`SELECT 1 WHERE 'hunter2' = u.password AND 'a' = b`, `SELECT 1 WHERE '<redacted>' = u.password AND 'a' = b`},
	"next column":             {`UPDATE u SET password = 'hunter2', name = 'bob'`, `UPDATE u SET password = '<redacted>', name = 'bob'`},
	"put together":            {`UPDATE u SET password = 'hun' || 'hunter2', name = 'bob'`, `UPDATE u SET password = '<redacted>' || '<redacted>', name = 'bob'`},
	"a function of it":        {`UPDATE u SET password = lower('x' || upper('hunter2')) || 'hunter2', name = 'bob'`, `UPDATE u SET password = lower('<redacted>' || upper('<redacted>')) || '<redacted>', name = 'bob'`},
	"a function's arguments":  {`SELECT change_password('bob', 'old', 'hunter2'), 'x'`, `SELECT change_password('<redacted>', '<redacted>', '<redacted>'), 'x'`},
	"row":                     {`UPDATE u SET (name, password) = ('bob', 'hunter2')`, `UPDATE u SET (name, password) = ('<redacted>', '<redacted>')`},
	"insert select":           {`INSERT INTO u (name, password) SELECT 'bob', 'hunter2'`, `INSERT INTO u (name, password) SELECT '<redacted>', '<redacted>'`},
	"a clause in a function":  {`UPDATE u SET password = trim(both 'x' from 'hunter2') WHERE name = 'bob'`, `UPDATE u SET password = trim(both '<redacted>' from '<redacted>') WHERE name = 'bob'`},
	"format":                  {`SELECT dblink_connect(format('user=%s password=%s', 'bob', 'hunter2'))`, `SELECT dblink_connect(format('user=%s password<redacted>', '<redacted>', '<redacted>'))`},
	"format of a URL":         {`SELECT format('postgresql://%s:%s@h', 'bob', 'hunter2')`, `SELECT format('postgresql://<redacted>', '<redacted>', '<redacted>')`},
	"an empty part":           {`SELECT dblink('password=' || '' || 'hunter2')`, `SELECT dblink('password<redacted>' || '' || '<redacted>')`},
	"another escape, a part":  {`SELECT dblink(U&'!0070assword=' UESCAPE '!' || 'hunter2')`, `SELECT dblink(U&'<redacted>' UESCAPE '<redacted>' || '<redacted>')`},
	"URL in parts":            {`SELECT dblink('postgresql://' || 'bob:hunter2' || '@h/d', 'x')`, `SELECT dblink('<redacted>', '<redacted>')`},
	"URL with a password":     {`SELECT dblink('postgresql://h/d?user=bob&password=hunter2')`, `SELECT dblink('postgresql://h/d?user=bob&password<redacted>')`},
	"URL with a token":        {`SELECT 'https://example.com/a?api_key=hunter2'`, `SELECT 'https://example.com/a?api_key<redacted>'`},
	"number":                  {`ALTER ROLE bob PASSWORD 1hunter2`, `ALTER ROLE bob PASSWORD  <redacted>`},
	"number in a row":         {`INSERT INTO u (id, passcode) VALUES (17, 1234)`, `INSERT INTO u (id, passcode) VALUES (<redacted>, <redacted>)`},
	"number assigned":         {`UPDATE u SET passcode = 1234, n = 5`, `UPDATE u SET passcode = <redacted>, n = 5`},
	"SET, no quotes":          {`SET app.password = hunter2; SELECT 'b'`, `SET app.password = <redacted>; SELECT 'b'`},
	"SET TO, no quotes":       {`SET LOCAL app.password TO hunter2`, `SET LOCAL app.password TO <redacted>`},
	"SET, double quotes":      {`SET SESSION "app"."password" TO "hunter2"`, `SET SESSION "app"."password" TO <redacted>`},
	"SET TO DEFAULT":          {`SET app.password TO DEFAULT`, `SET app.password TO DEFAULT`},
	"ALTER DATABASE":          {`ALTER DATABASE d SET app.api_key = hunter2`, `ALTER DATABASE d SET app.api_key = <redacted>`},
	"ALTER SYSTEM":            {`ALTER SYSTEM SET primary_conninfo = 'host=h user=r password=hunter2'`, `ALTER SYSTEM SET primary_conninfo = 'host=h user=r password<redacted>'`},
	"ALTER SYSTEM, URL":       {`ALTER SYSTEM SET primary_conninfo TO 'postgres://r:hunter2@h'`, `ALTER SYSTEM SET primary_conninfo TO 'postgres://<redacted>'`},
	"ALTER SYSTEM, command":   {`ALTER SYSTEM SET ssl_passphrase_command = 'echo hunter2'`, `ALTER SYSTEM SET ssl_passphrase_command = '<redacted>'`},
	"MD5 verifier":            {`SELECT 'md5' || 'x', 'md5d4c5aa71fb3bcf7b2b9ad05a7ab5ad2d'`, `SELECT 'md5' || 'x', '<redacted>'`},
	"MD5 verifier in parts":   {"SELECT 'md5d4c5aa71fb3b'\n'cf7b2b9ad05a7ab5ad2d', 'x'", "SELECT '<redacted>', '<redacted>'"},
	"not a verifier":          {`SELECT md5('x'), 'md5sum'`, `SELECT md5('x'), 'md5sum'`},
	"SCRAM verifier":          {`SELECT 'SCRAM-SHA-256$4096:c2FsdA==$hunter2'`, `SELECT 'SCRAM-SHA-256$<redacted>'`},
	"web token":               {`SELECT verify('eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.hunter2')`, `SELECT verify('<redacted>')`},
	"bearer":                  {`SELECT http_get('https://h/', 'Bearer hunter2')`, `SELECT http_get('https://h/', 'Bearer <redacted>')`},
	"Vault's token":           {`SELECT f('hvs.CAESIJhunter2hunter2')`, `SELECT f('<redacted>')`},
	"private key":             {"SELECT f('-----BEGIN PRIVATE KEY-----\nhunter2')", `SELECT f('<redacted>')`},
	"JSON":                    {`SELECT '{"user": "bob", "token": "hunter2"}'::jsonb`, `SELECT '{"user": "bob", "token"<redacted>'::jsonb`},
	"token":                   {`UPDATE s SET token = 'hunter2', n = 'x'`, `UPDATE s SET token = '<redacted>', n = 'x'`},
	"short names":             {`UPDATE u SET pwd = 'hunter2', db_pass = 'hunter2', "PASS" = 'hunter2', n = 'x'`, `UPDATE u SET pwd = '<redacted>', db_pass = '<redacted>', "PASS" = '<redacted>', n = 'x'`},
	"short name, compared":    {`SELECT 1 FROM u WHERE name = 'bob' AND pass = 'hunter2'`, `SELECT 1 FROM u WHERE name = 'bob' AND pass = '<redacted>'`},
	"not a short name":        {`SELECT 1 FROM passengers WHERE bypass = 'x' AND passed = 'y'`, `SELECT 1 FROM passengers WHERE bypass = 'x' AND passed = 'y'`},
	"JSON, short":             {`SELECT '{"user": "bob", "pass": "hunter2"}'::jsonb`, `SELECT '{"user": "bob", "pass"<redacted>'::jsonb`},
	"crypt":                   {`SELECT crypt('hunter2', gen_salt('bf')), 'x'`, `SELECT crypt('<redacted>', gen_salt('<redacted>')), 'x'`},
	"gen_salt":                {`SELECT gen_salt('bf', 8)`, `SELECT gen_salt('bf', 8)`},
	"pgp":                     {`UPDATE t SET a = pgp_sym_encrypt(b, 'hunter2'), c = 'x'`, `UPDATE t SET a = pgp_sym_encrypt(b, '<redacted>'), c = 'x'`},
	"encrypt":                 {`SELECT public."encrypt"('x', E'\\x68hunter2'::bytea, 'aes')`, `SELECT public."encrypt"('<redacted>', E'<redacted>'::bytea, '<redacted>')`},
	"hmac":                    {`SELECT HMAC('x', 'hunter2', 'sha256') = 'y'`, `SELECT HMAC('<redacted>', '<redacted>', '<redacted>') = 'y'`},
	"program, URL":            {`COPY t FROM PROGRAM 'curl https://bob:hunter2@h/f'`, `COPY t FROM PROGRAM 'curl https://<redacted>'`},
	"program, user":           {`COPY t FROM PROGRAM 'curl -u bob:hunter2 https://h/f'`, `COPY t FROM PROGRAM 'curl<redacted>'`},
	"program, header":         {`COPY t FROM PROGRAM 'curl -H "Authorization: Bearer hunter2" https://h/f'`, `COPY t FROM PROGRAM 'curl -H "Authorization:<redacted>'`},
	"program":                 {`COPY t FROM PROGRAM 'gunzip /tmp/f.gz'`, `COPY t FROM PROGRAM 'gunzip /tmp/f.gz'`},
	"a variable before":       {`DO $$ DECLARE a text := 'x'; p text := 'hunter2'; BEGIN EXECUTE format('ALTER ROLE bob PASSWORD %L', p); END $$`, `DO $$ DECLARE a text := '<redacted>'; p text := '<redacted>'; BEGIN EXECUTE format('ALTER ROLE bob PASSWORD<redacted>$$`},
	"a variable, in quotes":   {`SELECT dblink_exec('c', 'DO ''DECLARE p text := hunter2; BEGIN ALTER ROLE bob PASSWORD ...')`, `SELECT dblink_exec('c', 'DO <redacted>')`},
	"in a body's dollars":     {`DO $a$ BEGIN EXECUTE $b$ALTER ROLE hunter2 PASSWORD 'x'$b$; END $a$`, `DO $a$ BEGIN EXECUTE $b$<redacted>$a$`},
	"function":                {`CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $f$ ALTER ROLE bob PASSWORD 'hunter2' $f$`, `CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $f$ ALTER ROLE bob PASSWORD<redacted>$f$`},
	"explain":                 {`EXPLAIN ANALYZE UPDATE u SET password = 'hunter2'`, `EXPLAIN ANALYZE UPDATE u SET password = '<redacted>'`},
	"prepare":                 {`PREPARE p AS UPDATE u SET password = 'hunter2' WHERE id = $1`, `PREPARE p AS UPDATE u SET password = '<redacted>' WHERE id = $1`},
	"unicode name":            {`UPDATE u SET U&"p\0061ssword" = 'hunter2'`, `UPDATE u SET U&"p\0061ssword" = '<redacted>'`},
	"comments in between":     {"UPDATE u SET password /* a */ = -- b\n 'hun'-- c\n 'hunter2'", "UPDATE u SET password /* a */ = -- b\n '<redacted>'-- c\n '<redacted>'"},
	"role in capitals":        {`aLtEr UsEr "bob" eNcRyPtEd PaSsWoRd 'hunter2'`, `aLtEr UsEr "bob" eNcRyPtEd PaSsWoRd '<redacted>'`},
	"group":                   {`CREATE GROUP g PASSWORD 'hunter2' ROLE a`, `CREATE GROUP g PASSWORD '<redacted>' ROLE a`},
	"mapping, file":           {`CREATE USER MAPPING FOR bob SERVER s OPTIONS (passfile '/hunter2', sslkey '/hunter2')`, `CREATE USER MAPPING FOR bob SERVER s OPTIONS (passfile '<redacted>', sslkey '<redacted>')`},
	"subscription, altered":   {`ALTER SUBSCRIPTION s CONNECTION E'host=h pass\word=hunter2'`, `ALTER SUBSCRIPTION s CONNECTION E'<redacted>'`},
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
		"INSERT INTO people (name, age) VALUES ('Ann', 5), ('o, p', -5), ($1, 7)":      true,
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
		"SELECT $":                                    false,
		"SELECT $a1$b$a1$, $1":                        false,
		"SELECT created_at, options1 FROM altered":    true,
		"alter role r":                                false,
		"SELECT a FROM recreate":                      false, // a glance is not a look
	} {
		if got := harmless(text); got != want {
			t.Errorf("%s: got %t", text, got)
		}
	}
}

// TestWordsAreNotHarmless: none of the words that are looked for is passed over at a glance, wherever the text ends.
func TestWordsAreNotHarmless(t *testing.T) {
	for _, word := range slices.Concat(keywords[:], places[:], secretWords[:]) {
		for _, text := range []string{word, strings.ToUpper(word), "SELECT x" + word, "SELECT " + word + " FROM t"} {
			if harmless(text) {
				t.Errorf("harmless at a glance: %q", text)
			}
		}
	}
}

// FuzzHarmless: a text that looks harmless has nothing to redact.
func FuzzHarmless(f *testing.F) {
	for _, test := range redactions {
		f.Add(test.in)
	}
	f.Add("SELECT 'a', 'b' 'c' n'd' FROM t WHERE x - y / z = '' ; begin")
	f.Add("SELECT created, $1, $2a$ FROM t; 1create role r$1 user 'x'; create\x80 role; alter$ user u 'x'")
	f.Fuzz(func(t *testing.T, sql string) {
		if _, found, speaks := redactTokens(sql, false); (found || speaks) && harmless(sql) {
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

// carriers are statements that carry a password; a text in it is the password alone, or behind what announces it.
var carriers = []struct{ before, announced, after string }{
	{"ALTER ROLE bob PASSWORD ", "", ""},
	{"CREATE USER bob ENCRYPTED PASSWORD ", "", " LOGIN"},
	{"CREATE USER MAPPING FOR bob SERVER s OPTIONS (user 'x', password ", "", ")"},
	{"ALTER SUBSCRIPTION s CONNECTION ", "host=h password=", ""},
	{"ALTER SYSTEM SET primary_conninfo = ", "host=h password=", ""},
	{"UPDATE u SET n = 1, password = 'x' || ", "", " WHERE name = 'y'"},
	{"INSERT INTO u (name, password) VALUES ('x', ", "", ")"},
	{"SELECT set_config('app.password', ", "", ", false)"},
	{"SELECT change_password('x', 'y', ", "", ")"},
	{"SELECT dblink_connect('c', ", "postgresql://bob@h/d?password=", ")"},
	{"SELECT dblink('password=' || '' || ", "", ")"},
	{"SELECT format('postgresql://bob:%s@h', ", "", ")"},
	{"SELECT crypt(", "", ", gen_salt('bf'))"},
	{"SELECT pgp_sym_encrypt('x', ", "", ")"},
	{"SELECT ", "", " AS password"},
	{"SET app.password TO ", "", ""},
	{"DO ", "BEGIN ALTER ROLE bob PASSWORD ", ""},
	{"COPY t FROM PROGRAM ", "curl -u bob:", ""},
}

// FuzzRedact puts a password behind every sort of quote and after any text whose own quotes are closed: no part of it may be left.
func FuzzRedact(f *testing.F) {
	for _, test := range redactions {
		f.Add(test.in, "a", "b", uint8(0))
	}
	for i := range 4 * len(carriers) {
		f.Add("SELECT 'a'", "it''s", `\`, uint8(i))
		f.Add("", "", "", uint8(i))
	}
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
		carrier := carriers[int(how/4)%len(carriers)]
		sql := before + "\n; " + carrier.before + quote(carrier.announced+left+mark+right, how) + carrier.after + "; SELECT 1"
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

// TestRedactIsLinear: what a client sends cannot make it copy a text again and again.
func TestRedactIsLinear(t *testing.T) {
	prefix := "SELECT " + strings.Repeat("a, ", 1<<16)
	for _, rest := range []string{" AS token", "'x' AS token ", "|| 'x' AS token", "'a' 'b'", "'://' || '@' ", "$$password$$"} {
		sql := prefix + "'x'" + strings.Repeat(rest, 1<<12)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		Redact(sql)
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > uint64(64*len(sql)) {
			t.Errorf("%s: %d bytes are allocated for %d", rest, allocated, len(sql))
		}
	}
}
