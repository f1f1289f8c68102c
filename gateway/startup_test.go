package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/backend"
)

// hello is the body of a StartupMessage of the given names and values.
func hello(words ...string) []byte {
	return []byte(strings.Join(words, "\x00") + "\x00\x00")
}

func TestReadPacketLengths(t *testing.T) {
	tests := map[string]struct {
		length uint32
		ok     bool
	}{
		"seven": {7, false}, "eight": {8, true}, "the longest": {10004, true}, "one more": {10005, false},
		"zero": {0, false}, "negative": {0xffffffff, false}, "two gigabytes": {0x7fffffff, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			in := binary.BigEndian.AppendUint32(nil, tt.length)
			in = binary.BigEndian.AppendUint32(in, protocol30)
			in = append(in, make([]byte, maxStartupPacket)...)
			_, err := readPacket(bytes.NewReader(in))
			if tt.ok != (err == nil) || !tt.ok && !errors.Is(err, errPacketLength) {
				t.Errorf("readPacket of length %d: %v", tt.length, err)
			}
		})
	}
}

func TestReadPacketTakesNotAByteMore(t *testing.T) {
	in := []byte{0, 0, 0, 8, 4, 210, 22, 47, 'x'}
	r := bytes.NewReader(in)
	if p, err := readPacket(r); err != nil || p.code != codeSSL {
		t.Fatalf("readPacket = %+v, %v", p, err)
	}
	if r.Len() != 1 {
		t.Errorf("%d bytes are left, want 1", r.Len())
	}
}

func TestParseStartup(t *testing.T) {
	got, err := parseStartup(packet{protocol30, hello("user", "ana", "database", "app", "application_name", "psql")})
	if err != nil {
		t.Fatal(err)
	}
	if got.user != "ana" || got.database != "app" || got.parameter("Application_Name") != "psql" || got.negotiation() != nil {
		t.Errorf("got %+v", got)
	}
}

func TestParseStartupRefuses(t *testing.T) {
	long := strings.Repeat("u", maxName+1)
	tests := map[string]struct {
		packet packet
		want   string
	}{
		"protocol 2.0":             {packet{2 << 16, hello("user", "a")}, "0A000"},
		"protocol 4.0":             {packet{4 << 16, hello("user", "a")}, "0A000"},
		"no terminator":            {packet{protocol30, []byte("user\x00a\x00")}, "08P01"},
		"no value":                 {packet{protocol30, []byte("user\x00")}, "08P01"},
		"name without NUL":         {packet{protocol30, []byte("user")}, "08P01"},
		"empty":                    {packet{protocol30, nil}, "08P01"},
		"bytes behind the end":     {packet{protocol30, append(hello("user", "a"), 'x')}, "08P01"},
		"a second message behind":  {packet{protocol30, append(hello("user", "a"), hello("user", "b")...)}, "08P01"},
		"no user":                  {packet{protocol30, hello("database", "app")}, "28000"},
		"empty user":               {packet{protocol30, hello("user", "", "database", "app")}, "28000"},
		"two users":                {packet{protocol30, hello("user", "a", "user", "b")}, "08P01"},
		"two databases":            {packet{protocol30, hello("user", "a", "database", "x", "database", "y")}, "08P01"},
		"two options":              {packet{protocol30, hello("user", "a", "options", "", "options", "-c x=y")}, "08P01"},
		"two replications":         {packet{protocol30, hello("user", "a", "replication", "0", "replication", "1")}, "08P01"},
		"a user cut by PostgreSQL": {packet{protocol30, hello("user", long)}, "08P01"},
		"a database cut":           {packet{protocol30, hello("user", "a", "database", long)}, "08P01"},
		"a user not UTF-8":         {packet{protocol30, hello("user", "\xff")}, "08P01"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseStartup(tt.packet)
			if err == nil {
				t.Fatal("taken")
			}
			if got := asSessionError(err).code(); got != tt.want {
				t.Errorf("got %s (%v), want %s", got, err, tt.want)
			}
		})
	}
}

func TestNegotiation(t *testing.T) {
	tests := map[string]struct {
		code  uint32
		words []string
		want  []byte
	}{
		"3.0":            {protocol30, nil, nil},
		"3.2":            {protocol32, nil, nil},
		"3.1":            {3<<16 | 1, nil, []byte{0, 3, 0, 0, 0, 0, 0, 0}},
		"3.3":            {3<<16 | 3, nil, []byte{0, 3, 0, 2, 0, 0, 0, 0}},
		"grease":         {3<<16 | 9999, []string{"_pq_.test_protocol_negotiation", ""}, append([]byte{0, 3, 0, 2, 0, 0, 0, 1}, "_pq_.test_protocol_negotiation\x00"...)},
		"unknown option": {protocol30, []string{"_pq_.x", "1"}, append([]byte{0, 3, 0, 0, 0, 0, 0, 1}, "_pq_.x\x00"...)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := parseStartup(packet{tt.code, hello(append([]string{"user", "a"}, tt.words...)...)})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, s.negotiation()); diff != "" {
				t.Error(diff)
			}
			if len(s.parameters) != 0 {
				t.Errorf("a protocol option became a setting: %v", s.parameters)
			}
		})
	}
}

// settings is the parameters as a map.
func settings(list []backend.Parameter) map[string]string {
	m := map[string]string{}
	for _, p := range list {
		m[p.Name] = p.Value
	}
	return m
}

func TestStartupParametersArePinned(t *testing.T) {
	s := &startup{user: "ana", parameters: []backend.Parameter{
		{Name: "application_name", Value: "psql"},
		{Name: "client_encoding", Value: "SQL_ASCII"},
		{Name: "options", Value: `-c statement_timeout=90s --IntervalStyle=iso_8601 -cTimeZone=UTC`},
	}}
	g := grant{ConnectDecision: authz.ConnectDecision{ReadOnly: true, StatementTimeout: 60e9}}
	list, err := startupParameters(s, g, Database{SearchPath: []string{"app", "Odd name"}}, "id")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"application_name": "id ana psql", "client_encoding": "UTF8", "standard_conforming_strings": "on",
		"search_path": `app, "Odd name", pg_temp`, "row_security": "on", "transform_null_equals": "off", "client_min_messages": "notice",
		"default_transaction_read_only": "on", "statement_timeout": "60000", "intervalstyle": "iso_8601", "timezone": "UTC",
	}
	if diff := cmp.Diff(want, settings(list)); diff != "" {
		t.Error(diff)
	}
}

func TestStartupParametersRefused(t *testing.T) {
	tests := map[string]backend.Parameter{
		"search_path":                     {Name: "search_path", Value: "evil"},
		"role":                            {Name: "role", Value: "boss"},
		"row_security":                    {Name: "row_security", Value: "off"},
		"local_preload_libraries":         {Name: "local_preload_libraries", Value: "x"},
		"a setting of an extension":       {Name: "app.tenant", Value: "7"},
		"backslash quoting":               {Name: "standard_conforming_strings", Value: "off"},
		"an encoding with backslashes":    {Name: "client_encoding", Value: "SJIS"},
		"debug output":                    {Name: "client_min_messages", Value: "debug1"},
		"another case":                    {Name: "SEARCH_PATH", Value: "evil"},
		"options -c":                      {Name: "options", Value: "-c search_path=evil"},
		"options -cname":                  {Name: "options", Value: "-csearch_path=evil"},
		"options --name":                  {Name: "options", Value: "--search-path=evil"},
		"options with an escape":          {Name: "options", Value: `-c sear\ch_path=evil`},
		"options, single letter":          {Name: "options", Value: "-e"},
		"options, statistics switch":      {Name: "options", Value: "-tpa"},
		"options, -c without a value":     {Name: "options", Value: "-c"},
		"options, no equals":              {Name: "options", Value: "-c search_path"},
		"options, tab between":            {Name: "options", Value: "-c\tsearch_path=evil"},
		"a negative timeout":              {Name: "statement_timeout", Value: "-1"},
		"a timeout of an unknown unit":    {Name: "statement_timeout", Value: "1y"},
		"a path as TimeZone":              {Name: "TimeZone", Value: "../../etc/passwd"},
		"control characters in DateStyle": {Name: "DateStyle", Value: "ISO\n"},
	}
	for name, p := range tests {
		t.Run(name, func(t *testing.T) {
			s := &startup{user: "ana", parameters: []backend.Parameter{p}}
			list, err := startupParameters(s, grant{}, Database{SearchPath: []string{"app"}}, "id")
			if err == nil {
				t.Fatalf("taken: %v", list)
			}
			if got := asSessionError(err).code(); got != "42501" {
				t.Errorf("got %s, want 42501", got)
			}
		})
	}
}

func TestStartupParametersObserveNamesNobodyElse(t *testing.T) {
	for _, options := range []string{"-c user=root", "-c database=other", "--replication=1", "-c options=x"} {
		s := &startup{user: "dba", parameters: []backend.Parameter{{Name: "options", Value: options}}}
		_, err := startupParameters(s, grant{ConnectDecision: authz.ConnectDecision{Observe: true}}, Database{}, "id")
		if err == nil || asSessionError(err).code() != "42501" {
			t.Errorf("%s: got %v, want 42501", options, err)
		}
	}
}

func TestStartupParametersObserve(t *testing.T) {
	s := &startup{user: "dba", parameters: []backend.Parameter{{Name: "work_mem", Value: "1GB"}, {Name: "search_path", Value: "x"}}}
	list, err := startupParameters(s, grant{ConnectDecision: authz.ConnectDecision{Observe: true}}, Database{SearchPath: []string{"app"}}, "id")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"application_name": "id dba", "work_mem": "1GB", "search_path": "x"}
	if diff := cmp.Diff(want, settings(list)); diff != "" {
		t.Error(diff)
	}
}

func TestApplicationNameCannotForge(t *testing.T) {
	got := applicationName("id", "ana", "x\nid2 root\x1b[0m"+strings.Repeat("y", 100))
	if strings.ContainsAny(got, "\n\x1b") || len(got) > maxName || !strings.HasPrefix(got, "id ana ") {
		t.Errorf("got %q", got)
	}
}

func TestWantsReplication(t *testing.T) {
	for value, want := range map[string]bool{"": false, "off": false, "0": false, "no": false, "false": false, "t": true, "1": true, "database": true, "y": true, "fals": true, "junk": true} {
		s := &startup{parameters: []backend.Parameter{{Name: "replication", Value: value}}}
		if got := wantsReplication(s) != ""; got != want {
			t.Errorf("replication=%q is a wish: %t, want %t", value, got, want)
		}
	}
}

func FuzzParseStartup(f *testing.F) {
	f.Add(uint32(protocol30), hello("user", "ana", "database", "app", "options", `-c a=b\ c`))
	f.Add(uint32(3<<16|9999), hello("user", "a", "_pq_.x", ""))
	f.Add(uint32(codeSSL), []byte{})
	f.Fuzz(func(t *testing.T, code uint32, body []byte) {
		s, err := parseStartup(packet{code, body})
		if err != nil {
			return
		}
		if s.user == "" || len(s.user) > maxName || s.database == "" {
			t.Errorf("took %+v", s)
		}
		list, err := startupParameters(s, grant{}, Database{SearchPath: []string{"app"}}, "id")
		if err != nil {
			return
		}
		for name, value := range settings(list) {
			if strings.ContainsRune(name+value, 0) {
				t.Errorf("%q has a NUL", name)
			}
			if check, ok := permitted[name]; ok && name != "application_name" && !check(value) {
				t.Errorf("%s=%q is not permitted and would be set", name, value)
			}
		}
	})
}

// FuzzParseOptions: what was read, written again with every byte escaped, is read the same. So what was judged cannot be split
// otherwise.
func FuzzParseOptions(f *testing.F) {
	f.Add("-c a=b")
	f.Add(`-c a=b\ c --d-e=f -cg=h\\`)
	f.Add("-c\tsearch_path=evil")
	f.Add("--=")
	f.Add("-c")
	f.Add("-e")
	f.Add("-c a=\u00a0b\v-c c=d")
	f.Add("\\")
	f.Fuzz(func(t *testing.T, options string) {
		list, err := parseOptions(options)
		if err != nil {
			if asSessionError(err).code() != "42501" {
				t.Errorf("refused with %v", err)
			}
			return
		}
		var again strings.Builder
		for _, p := range list {
			if strings.Contains(p.Name, "-") || strings.Contains(p.Name, "=") {
				t.Errorf("the name %q", p.Name)
			}
			again.WriteString("-c ")
			for _, r := range p.Name + "=" + p.Value {
				again.WriteString("\\" + string(r))
			}
			again.WriteString(" ")
		}
		second, err := parseOptions(again.String())
		if err != nil {
			t.Fatalf("%q is not read again: %v", again.String(), err)
		}
		if diff := cmp.Diff(list, second); diff != "" {
			t.Errorf("%q is read otherwise as %q:\n%s", options, again.String(), diff)
		}
	})
}
