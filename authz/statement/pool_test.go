package statement

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var saboteurs = []string{os.Args[0], "saboteur"}

func TestAnalyze(t *testing.T) {
	pool := startPool(t, Config{})
	text := "SELECT id FROM app.orders WHERE id = 7; ROLLBACK"
	got, err := pool.Analyze(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	want := &Sheet{
		Complete: true, Fingerprint: "93a4eaf11062321e", Normalized: "SELECT id FROM app.orders WHERE id = $1; ROLLBACK",
		Statements: []Statement{
			statementOf("SELECT", ClassQuery, Relation{Schema: "app", Name: "orders", Access: []string{"select"}, Columns: []string{"id"}, Written: []string{}}),
			statementOf("ROLLBACK", ClassTransaction),
		},
	}
	want.Fingerprint = got.Fingerprint
	want.Statements[0].Hints.Operators = []string{"="}
	if diff := cmp.Diff(want, got); diff != "" || len(got.Fingerprint) != 16 {
		t.Errorf("(-want +got)\n%s", diff)
	}
	again, err := pool.Analyze(t.Context(), text)
	if err != nil || again != got {
		t.Errorf("a second time: got %p, %v; want the same sheet %p", again, err, got)
	}
	if stats := pool.Stats(); stats.Hits != 1 || stats.Analyzed != 1 {
		t.Errorf("got %+v", stats)
	}
}

// TestPoolGivesEqualFactsOneSheet: who has decided about a sheet knows it again, whatever the literals are.
func TestPoolGivesEqualFactsOneSheet(t *testing.T) {
	pool := startPool(t, Config{})
	first, err := pool.Analyze(t.Context(), "SELECT * FROM t WHERE id = 1;")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		text string
		same bool
	}{
		"another number":   {"SELECT * FROM t WHERE id = 23456;", true},
		"another spelling": {"select  * from T\nwhere id = 7", false}, // its normalized text is another
		"another relation": {"SELECT * FROM u WHERE id = 1;", false},
		"no condition":     {"SELECT * FROM t;", false},
		"another column":   {"SELECT * FROM t WHERE ssn = 1;", false},
		"a regclass":       {"SELECT * FROM t WHERE id = 'secrets'::regclass::int;", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			sheet, err := pool.Analyze(t.Context(), tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := sheet == first; got != tt.same {
				t.Errorf("the same sheet: %t, want %t", got, tt.same)
			}
		})
	}
}

// statementOf is a statement with all its lists there, and empty.
func statementOf(command string, class Class, relations ...Relation) Statement {
	return Statement{
		Command: command, Class: class, Commands: []string{command},
		Relations: append([]Relation{}, relations...), Functions: []Function{}, Attributes: []string{}, Operators: []Object{}, Types: []Object{},
		Settings: []Setting{}, Channels: []Channel{}, Roles: []string{}, Unfiltered: []Name{}, Opaque: []string{}, Unknown: []Name{},
	}
}

func TestAnalyzeRefuses(t *testing.T) {
	pool := startPool(t, Config{MaxTextBytes: 1000})
	tests := map[string]struct {
		text string
		want error
	}{
		"syntax":              {"SELEC 1", &SyntaxError{Message: `syntax error at or near "SELEC"`, Position: 1}},
		"position in letters": {"SELECT 'éé', é é é", &SyntaxError{Message: `syntax error at or near "é"`, Position: 18}},
		"unterminated":        {"SELECT 'é' || 'abc", &SyntaxError{Message: `unterminated quoted string at or near "'abc"`, Position: 15}},
		"NUL":                 {"SELECT 1\x00", &LimitError{SQLSTATE: "22021", Message: `invalid byte sequence for encoding "UTF8": 0x00`}},
		"bytes":               {"SELECT '\xff'", &LimitError{SQLSTATE: "22021", Message: `invalid byte sequence for encoding "UTF8"`}},
		"length":              {"SELECT '" + strings.Repeat("x", 1000) + "'", &LimitError{SQLSTATE: "54000", Message: "statement too long"}},
		"depth":               {"SELECT " + strings.Repeat("(", 300), &LimitError{SQLSTATE: "54001", Message: "statement too complex: nested more than 200 deep"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			sheet, err := pool.Analyze(t.Context(), test.text)
			if sheet != nil || err == nil {
				t.Fatalf("got %+v, %v", sheet, err)
			}
			if diff := cmp.Diff(test.want, err); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestAnalyzeEmpty(t *testing.T) {
	pool := startPool(t, Config{})
	for _, text := range []string{"", " ", ";;", "-- nothing"} {
		sheet, err := pool.Analyze(t.Context(), text)
		if err != nil || !sheet.Complete || sheet.Statements == nil || len(sheet.Statements) != 0 {
			t.Errorf("%q: got %+v, %v", text, sheet, err)
		}
	}
}

// TestMonsters gives workers what the limits let through at its largest, and what they do not.
func TestMonsters(t *testing.T) {
	pool := startPool(t, Config{Timeout: 10 * time.Second})
	monsters := map[string]string{
		"sums":             "SELECT 1" + strings.Repeat("+1", 100_000),
		"allowed sums":     "SELECT 1" + strings.Repeat("+1", 2_000),
		"casts":            "SELECT 1" + strings.Repeat("::int", 50_000),
		"allowed casts":    "SELECT 1" + strings.Repeat("::int", 2_000),
		"unions":           "SELECT 1" + strings.Repeat(" UNION SELECT 1", 50_000),
		"allowed unions":   "SELECT 1" + strings.Repeat(" UNION SELECT 1", 2_000),
		"allowed joins":    "SELECT 1 FROM t" + strings.Repeat(" JOIN t USING (a)", 1_900),
		"parentheses":      strings.Repeat("(", 20_000) + "SELECT 1" + strings.Repeat(")", 20_000),
		"allowed nesting":  "SELECT " + strings.Repeat("(SELECT ", 199) + "1" + strings.Repeat(")", 199),
		"allowed cases":    "SELECT " + strings.Repeat("CASE WHEN a THEN b ELSE ", 200) + "1" + strings.Repeat(" END", 200),
		"deep and chained": "SELECT " + strings.Repeat("(1"+strings.Repeat("+1", 48)+"+", 199) + "1" + strings.Repeat(")", 199),
		"statements":       strings.Repeat("SELECT 1;", 10_000),
		"IN list":          "SELECT 1 FROM t WHERE a IN (" + strings.Repeat("1,", 500_000) + "1)",
		"allowed IN list":  "SELECT 1 FROM t WHERE a IN (" + strings.Repeat("1,", 9_900) + "1)",
		"columns":          "SELECT " + strings.Repeat("a,", 9_900) + "a FROM t",
		"long literal":     "SELECT '" + strings.Repeat("x", DefaultMaxTextBytes-100) + "'",
		"escapes":          "SELECT E'" + strings.Repeat(`\x`, 100_000) + "'",
		"tables":           "SELECT 1 FROM " + strings.Repeat("a,", 5_000) + "a",
		"names in scope":   "SELECT " + strings.Repeat("x,", 4_000) + "x FROM " + strings.Repeat("a,", 4_000) + "a",
	}
	for name, text := range monsters {
		t.Run(name, func(t *testing.T) {
			sheet, err := pool.Analyze(t.Context(), text)
			var limit *LimitError
			switch {
			case strings.Contains(name, "allowed") && (err != nil || !sheet.Complete):
				t.Errorf("got %v", err)
			case err != nil && !errors.As(err, &limit):
				t.Errorf("got %v", err)
			}
		})
	}
	if killed := pool.Stats().Killed; killed > 0 {
		t.Errorf("%d workers died", killed)
	}
}

func TestWorkerDies(t *testing.T) {
	pool := startPool(t, Config{Command: saboteurs, Timeout: 5 * time.Second})
	var limit *LimitError
	text := "SELECT 'crash here'"
	if _, err := pool.Analyze(t.Context(), text); !errors.As(err, &limit) || limit.SQLSTATE != "54001" {
		t.Fatalf("got %v", err)
	}
	if strings.Contains(limit.Message, "crash") {
		t.Errorf("the text is in the message: %q", limit.Message)
	}
	if _, err := pool.Analyze(t.Context(), text); !errors.As(err, &limit) || limit.SQLSTATE != "54001" {
		t.Errorf("a second time: got %v", err)
	}
	if got := pool.Stats(); got.Killed != 1 {
		t.Errorf("the text killed %d workers, want 1", got.Killed)
	}
	if _, err := pool.Analyze(t.Context(), "SELECT 1"); err != nil {
		t.Errorf("another text: %v", err)
	}
}

func TestWorkerHangs(t *testing.T) {
	pool := startPool(t, Config{Command: saboteurs, Workers: 1, Timeout: 500 * time.Millisecond})
	if err := pool.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	var limit *LimitError
	if _, err := pool.Analyze(t.Context(), "SELECT 'hang here'"); !errors.As(err, &limit) {
		t.Errorf("got %v", err)
	}
	_, err := pool.Analyze(t.Context(), "SELECT 1")
	for errors.Is(err, ErrUnavailable) { // the next worker is on its way
		_, err = pool.Analyze(t.Context(), "SELECT 1")
	}
	if err != nil {
		t.Errorf("another text: %v", err)
	}
}

// TestDeathsDoNotSpread runs texts that kill workers beside texts that do not: every one of these gets its facts.
func TestDeathsDoNotSpread(t *testing.T) {
	pool := startPool(t, Config{Command: saboteurs, Workers: 2, Timeout: 20 * time.Second})
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			text := fmt.Sprintf("SELECT %d FROM t", i)
			if i%8 == 0 {
				text = fmt.Sprintf("SELECT %d, 'crash here'", i)
			}
			sheet, err := pool.Analyze(t.Context(), text)
			var limit *LimitError
			switch {
			case i%8 == 0 && !errors.As(err, &limit):
				t.Errorf("%q: got %v", text, err)
			case i%8 != 0 && (err != nil || sheet.Statements[0].Relations[0].Name != "t"):
				t.Errorf("%q: got %+v, %v", text, sheet, err)
			}
		})
	}
	group.Wait()
	if got := pool.Stats().Killed; got != 5 {
		t.Errorf("%d workers died, want 5", got)
	}
}

func TestNoWorker(t *testing.T) {
	tests := map[string][]string{
		"no program":            {"/nonexistent/worker"},
		"no worker":             {"/bin/true"},
		"says nothing":          {"/bin/sleep", "60"},
		"says what it must not": {"/bin/echo", "hello"},
	}
	for name, command := range tests {
		t.Run(name, func(t *testing.T) {
			pool := startPool(t, Config{Command: command, Timeout: 100 * time.Millisecond})
			if _, err := pool.Analyze(t.Context(), "SELECT 1"); !errors.Is(err, ErrUnavailable) {
				t.Errorf("got %v", err)
			}
			if pool.Ready() == nil {
				t.Error("it is ready")
			}
		})
	}
}

func TestPoolNotRunning(t *testing.T) {
	pool, err := NewPool(Config{Command: saboteurs, Timeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Analyze(t.Context(), "SELECT 1"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pool.Run(ctx); err != nil {
		t.Error(err)
	}
	if _, err := pool.Analyze(t.Context(), "SELECT 1"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after the end: got %v", err)
	}
}

func TestAnalyzeCanceled(t *testing.T) {
	pool := startPool(t, Config{Command: saboteurs, Workers: 1, Timeout: 500 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := pool.Analyze(ctx, "SELECT 'hang here'"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestNewPoolRefuses(t *testing.T) {
	for name, config := range map[string]Config{
		"workers": {Workers: -1}, "timeout": {Timeout: -1}, "memory": {MemoryBytes: -1}, "cache": {CacheBytes: -1}, "text": {MaxTextBytes: -1},
	} {
		if _, err := NewPool(config); err == nil {
			t.Errorf("negative %s passes", name)
		}
	}
}

func BenchmarkAnalyzeCached(b *testing.B) {
	pool := startPool(b, Config{})
	text := "SELECT abalance FROM pgbench_accounts WHERE aid = $1"
	if _, err := pool.Analyze(b.Context(), text); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	ctx := b.Context()
	for b.Loop() {
		if _, err := pool.Analyze(ctx, text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAnalyzeUncached(b *testing.B) {
	pool := startPool(b, Config{})
	if err := pool.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, err := pool.Analyze(b.Context(), fmt.Sprintf("SELECT abalance FROM pgbench_accounts WHERE aid = %d", i)); err != nil {
			b.Fatal(err)
		}
	}
}

// TestSameTextAtOnce asks for a text many times at once: it is analysed once, and everybody gets the same sheet.
func TestSameTextAtOnce(t *testing.T) {
	pool := startPool(t, Config{})
	if err := pool.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	sheets := make([]*Sheet, 50)
	var group sync.WaitGroup
	for i := range sheets {
		group.Go(func() {
			sheet, err := pool.Analyze(t.Context(), "SELECT 1")
			if err != nil {
				t.Error(err)
			}
			sheets[i] = sheet
		})
	}
	group.Wait()
	for _, sheet := range sheets {
		if sheet != sheets[0] {
			t.Fatal("two sheets for one text")
		}
	}
}
