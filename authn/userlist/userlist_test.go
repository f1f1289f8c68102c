package userlist

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authn/scram"
)

var config = Config{MockSecret: []byte("0123456789abcdef")}

// verifier is RFC 7677's example: password "pencil".
const verifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" +
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

func TestParse(t *testing.T) {
	list, err := parse([]byte(strings.Join([]string{
		"; users", "", " \t", `"ana" "` + verifier + `"`, `  "bob"	"plain" ` + "\r", `"md" "md5` + strings.Repeat("0a", 16) + `"`,
		`"none" ""`, `"qu""ote" "with ""quotes"" ; and more"`, `"Ana" "md5 is how it begins"`, `"last" "no line break"`,
	}, "\n")), config)
	if err != nil {
		t.Fatal(err)
	}
	var users []string
	for _, user := range []string{"ana", "bob", "md", "none", `qu"ote`, "Ana", "last", "ANA", "", "; users"} {
		if _, ok := list.Lookup(user); ok {
			users = append(users, user)
		}
	}
	if diff := cmp.Diff([]string{"ana", "bob", `qu"ote`, "Ana", "last"}, users); diff != "" || list.Len() != 5 {
		t.Errorf("users, %d (-want +got):\n%s", list.Len(), diff)
	}
	want := []string{
		`user "md" has an MD5 secret, which serves md5 and cannot serve scram-sha-256`,
		`user "none" has no password and cannot log in with one`,
	}
	if diff := cmp.Diff(want, list.Warnings()); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	ana, _ := list.Lookup("ana")
	if ana.Encode() != verifier {
		t.Errorf("ana: %s", ana.Encode())
	}
	quote, _ := list.Lookup(`qu"ote`)
	same, err := scram.NewStableVerifier(config.MockSecret, `qu"ote`, `with "quotes" ; and more`, 0)
	if err != nil || quote.Encode() != same.Encode() {
		t.Errorf("quote: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"no quotes":                {"ana secret", "line 1: user: must be in double quotes"},
		"single quotes":            {"'ana' 'secret'", "line 1: user: must be"},
		"secret without quotes":    {`"ana" secret`, "line 1: secret: must be"},
		"user alone":               {`"ana"`, "line 1: no blank"},
		"user and a blank":         {`"ana" `, "line 1: secret: must be"},
		"no blank between":         {`"ana""secret"`, "line 1: no blank"},
		"quote not closed":         {`"ana" "secret`, "line 1: secret: closing quote"},
		"user's quote not closed":  {`"ana`, "line 1: user: closing quote"},
		"ends in a doubled quote":  {`"ana" "secret""`, "line 1: secret: closing quote"},
		"quote inside not doubled": {`"ana" "sec"ret"`, "line 1: unexpected text"},
		"third field":              {`"ana" "secret" "x"`, "line 1: unexpected text"},
		"comment behind":           {`"ana" "secret" ; x`, "line 1: unexpected text"},
		"hash comment":             {"# x", "line 1: user: must be"},
		"byte order mark":          {"\ufeff\"ana\" \"secret\"", "line 1: user: must be"},
		"empty user":               {`"" "secret"`, "line 1: user: empty"},
		"long user":                {`"` + strings.Repeat("u", 64) + `" "secret"`, "line 1: user: longer"},
		"long secret":              {`"ana" "` + strings.Repeat("s", 2048) + `"`, "line 1: secret: longer"},
		"NUL in the user":          {"\"a\x00\" \"secret\"", "line 1: user: not valid"},
		"NUL in the secret":        {"\"ana\" \"sec\x00ret\"", "line 1: secret: has a NUL"},
		"control in the user":      {"\"a\x1b[0m\" \"secret\"", "line 1: user: not valid"},
		"user not UTF-8":           {"\"\xff\" \"secret\"", "line 1: user: not valid"},
		"twice":                    {"\"ana\" \"a\"\n\n\"ana\" \"b\"", `line 3: user "ana" is already on line 1`},
		"twice, one unusable":      {"\"ana\" \"\"\n\"ana\" \"b\"", `line 2: user "ana" is already on line 1`},
		"broken verifier":          {`"ana" "SCRAM-SHA-256$4096:secret"`, `line 1: user "ana": malformed SCRAM`},
		"verifier cut short":       {`"ana" "` + verifier[:len(verifier)-3] + `"`, `line 1: user "ana": malformed SCRAM`},
		"weak verifier":            {`"ana" "` + strings.Replace(verifier, "4096", "1", 1) + `"`, `line 1: user "ana": malformed SCRAM`},
		"in the middle":            {"\"ana\" \"a\"\nsecret\n\"bob\" \"b\"", "line 2: "},
		"secret over two lines":    {"\"ana\" \"sec\nret\"", "line 1: secret: closing quote"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			list, err := parse([]byte(strings.ReplaceAll(tt.text, "secret", "hunter2")), config)
			if err == nil || list != nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Fatalf("parse = %v, want %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestPlainNeedsMockSecret(t *testing.T) {
	text := []byte(`"ana" "hunter2"`)
	if _, err := parse(text, Config{}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("parse: %v", err)
	}
	if _, err := parse([]byte(`"ana" "`+verifier+`"`), Config{}); err != nil {
		t.Errorf("a verifier needs none: %v", err)
	}
}

func TestWarnsOfOtherIterations(t *testing.T) {
	list, err := parse([]byte(`"ana" "`+verifier+`"`), Config{Iterations: 8192})
	if err != nil {
		t.Fatal(err)
	}
	if got := list.Warnings(); len(got) != 1 || !strings.Contains(got[0], `"ana" has 4096 iterations`) || strings.Contains(got[0], "W22Z") {
		t.Errorf("warnings: %q", got)
	}
}

func TestLoad(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "userlist.txt")
	write := func(text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Load(path, config); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Load(directory, config); err == nil {
		t.Error("a directory is no userlist")
	}
	write(`"ana" "secret"`, 0o600)
	list, err := Load(path, config)
	if err != nil || list.Len() != 1 || len(list.Warnings()) != 0 {
		t.Errorf("Load: %v", err)
	}
	write(`"ana" "secret"`, 0o644)
	if list, err = Load(path, config); err != nil || len(list.Warnings()) != 1 {
		t.Errorf("open to all: %v", err)
	}
	write("x", 0o600)
	if _, err := Load(path, config); err == nil || !strings.Contains(err.Error(), path+": line 1") {
		t.Errorf("malformed: %v", err)
	}
	write("", 0o600)
	if err := os.Truncate(path, maxFileBytes+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, config); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("too large: %v", err)
	}
}

// FuzzParseLine: what is accepted can be written again and is then the same.
func FuzzParseLine(f *testing.F) {
	f.Add(`"ana" "` + verifier + `"`)
	f.Add(`"qu""ote" "a""b"`)
	f.Add("; comment")
	f.Add("\"a\"\t\"\"\r\n")
	f.Add(`"ana""secret"`)
	f.Fuzz(func(t *testing.T, line string) {
		e, ok, err := parseLine(line)
		if err != nil || !ok {
			return
		}
		again, ok, err := parseLine(quote(e.user) + " " + quote(e.secret))
		if err != nil || !ok || again != e {
			t.Errorf("%q: %v, %v", line, ok, err)
		}
	})
}

// FuzzParse: no text makes a userlist of more users than it has lines, or a panic.
func FuzzParse(f *testing.F) {
	f.Add([]byte("\"ana\" \"" + verifier + "\"\n; x\n\"bob\" \"\"\n"))
	f.Add([]byte("\"a\" \"SCRAM-SHA-256$\"\n"))
	f.Add([]byte("\r\n\r\r\"a\" \"md500000000000000000000000000000000\""))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := parse(text, Config{}) // without a mock secret plain passwords fail before any key is derived
		if err == nil && list.Len() > strings.Count(string(text), "\n")+1 {
			t.Errorf("%d users of %q", list.Len(), text)
		}
	})
}
