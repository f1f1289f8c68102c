package gateway

import (
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/metrics"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txtar")

// login is one attempt to log in, from its first byte to its last.
type login struct {
	about   string // what it shows, for who reads the file
	rules   authn.Rules
	prepare func(t *testing.T, s *surroundings) // may be nil
	play    func(c *tracedClient)
}

// TestGolden plays every login and compares what the client saw, what the audit log holds and what was counted with
// testdata/<name>.txtar. "go test ./gateway -run TestGolden -update" writes them anew: read what changed.
func TestGolden(t *testing.T) {
	shared := newSurroundings(t)
	var names []string
	for _, logins := range []map[string]login{
		firstPackets(), versions(), scramLogins(), scramPlusLogins(), md5Logins(), tokenLogins(), bearerLogins(), certificateLogins(), refusedLogins(),
	} {
		for name, l := range logins {
			names = append(names, name)
			t.Run(name, func(t *testing.T) { l.compare(t, *shared, name) })
		}
	}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".txtar"); !slices.Contains(names, name) {
			t.Errorf("%s is nobody's", file)
		}
	}
}

// compare has its own audit log and metrics; all else is shared with the other logins.
func (l login) compare(t *testing.T, s surroundings, name string) {
	s.audit = filepath.Join(t.TempDir(), "audit.log")
	log, err := audit.Open(audit.Config{Path: s.audit})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	s.config.Audit, s.config.Metrics = log, metrics.New(Labels()...)
	if l.prepare != nil {
		l.prepare(t, &s)
	}
	g := s.start(t, l.rules...)
	c := s.connect(g)
	l.play(c)
	c.leave()
	g.server.Close() // all has been written and counted
	trail, session := s.trail(t)
	if session != "" {
		c.trace.names = append(c.trace.names, session, "<session>")
	}
	trace := strings.NewReplacer(c.trace.names...).Replace(strings.Join(c.trace.lines, "\n") + "\n")
	checkGolden(t, name, &txtar.Archive{
		Comment: []byte(l.about + "\n\n"),
		Files: []txtar.File{
			{Name: "trace", Data: []byte(trace)},
			{Name: "audit", Data: []byte(strings.NewReplacer(c.trace.names...).Replace(trail))},
			{Name: "metrics", Data: []byte(s.counted(t))},
		},
	})
}

func checkGolden(t *testing.T, name string, got *txtar.Archive) {
	t.Helper()
	path := filepath.Join("testdata", name+".txtar")
	if *update {
		if err := os.WriteFile(path, txtar.Format(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(txtar.Format(got)), "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// volatile is what differs from run to run in an audit event, and is not known beforehand.
var volatile = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`(?m)^\{"time":"[^"]*","type":"(tree|checkpoint)".*\n`), ""}, // no events: the proof of them
	{regexp.MustCompile(`"time":"[^"]*",`), ""},
	{regexp.MustCompile(`"(expires|lease_expires)":"[^"]*"`), `"$1":"<time>"`},
	{regexp.MustCompile(`"tls_cipher":"TLS_[^"]*"`), `"tls_cipher":"<cipher>"`},
	{regexp.MustCompile(`"policy_revision":"[0-9a-f]+".*\}`), `…}`}, // what follows is about policy and backend
	{regexp.MustCompile(`"duration_us":\d+`), `"duration_us":<n>`},
}

// trail is the audit log, and the id of the one session in it.
func (s *surroundings) trail(t *testing.T) (trail, session string) {
	t.Helper()
	text, err := os.ReadFile(s.audit)
	if err != nil {
		t.Fatal(err)
	}
	trail = string(text)
	for _, v := range volatile {
		trail = v.pattern.ReplaceAllString(trail, v.name)
	}
	if found := regexp.MustCompile(`"session":"([0-9a-f]{16})"`).FindStringSubmatch(trail); found != nil {
		session = found[1]
	}
	return trail, session
}

// counted is what has been counted of logins and their ends.
func (s *surroundings) counted(t *testing.T) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.config.Metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	var counted strings.Builder
	for line := range strings.Lines(w.Body.String()) {
		if ours.MatchString(line) && !strings.HasSuffix(line, " 0\n") {
			counted.WriteString(line)
		}
	}
	return counted.String()
}

var ours = regexp.MustCompile(`^sallyport_(connections|sessions|admission_failures|session_ends|logins|logins_throttled)_`)

// TestGoldenFailuresLookTheSame: what the gateway says to these is the same, but for the name that the client gave and its salt.
func TestGoldenFailuresLookTheSame(t *testing.T) {
	name, salt := regexp.MustCompile(`user \\"\w+\\"`), regexp.MustCompile(`s=[A-Za-z0-9+/]{22}==`)
	said := func(golden string) []string {
		archive, err := txtar.ParseFile(filepath.Join("testdata", golden+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for line := range strings.Lines(string(archive.Files[0].Data)) {
			if strings.HasPrefix(line, "B ") {
				lines = append(lines, salt.ReplaceAllString(name.ReplaceAllString(line, "user NAME"), "s=SALT"))
			}
		}
		return lines
	}
	for one, others := range map[string][]string{
		"scram-wrong-password": {"scram-unknown-user", "scram-plus-wrong-password", "cert-and-scram-wrong-password", "reject", "no-rule"},
		"md5-wrong-password":   {"md5-unknown-user"},
		"token-forged":         {"token-another-user", "token-not-one"},
		"oauthbearer-forged":   {"oauthbearer-another-user", "oauthbearer-discovery"},
		"cert-another-user":    {"cert-and-scram-another-user"},
	} {
		for _, other := range others {
			if diff := cmp.Diff(said(one), said(other)); diff != "" || len(said(one)) < 3 {
				t.Errorf("%s and %s differ:\n%s", one, other, diff)
			}
		}
	}
}
