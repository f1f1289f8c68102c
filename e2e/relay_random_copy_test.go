package e2e

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/e2e/stack"
)

// randomCopy is a pipeline of what a client may send around COPY: mostly with its data and an end, sometimes with too much of either, or
// with what has no place there.
func randomCopy(r *rand.Rand) step {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	in := func() string {
		return pick("COPY app.copied FROM STDIN", "COPY app.copied (a) FROM STDIN (FORMAT csv)")
	}
	var all [][]byte
	data := func() {
		for range r.IntN(4) {
			all = append(all, pData(pick("1\n", "2\n", "3\n", "", "x\t\n", "4", "\\.\n")))
		}
	}
	end := func() {
		switch r.IntN(8) {
		case 0:
			all = append(all, message('f', "no\x00"))
		case 1: // too late, or by what comes next
		default:
			all = append(all, message('c', ""))
		}
	}
	for range 1 + r.IntN(mostMessages) {
		switch r.IntN(12) {
		case 0, 1, 2:
			all = append(all, pQuery(in()))
			data()
			end()
		case 3:
			all = append(all, pQuery(pick("SELECT 1; ", "BEGIN; ", "")+in()+"; "+pick(in(), "SELECT 1", "SELECT 1/0", "COPY app.copied TO STDOUT")))
			data()
			end()
			data()
			end()
		case 4, 5:
			all = append(all, pParse("", in()), pBind("", ""), pDescribe('P', ""), pExecute("", uint32(r.IntN(2)))) // #nosec -- 0 or 1
			if r.IntN(2) == 0 {
				all = append(all, message('S', "")) // as libpq does
			}
			data()
			end()
			all = append(all, message('S', ""))
		case 6:
			all = append(all, pQuery(pick("BEGIN", "COMMIT", "SELECT 1", "", "SELECT 1/0", "COPY app.copied TO STDOUT")))
		case 7:
			all = append(all, pParse(pick("", "u"), in()), pBind(pick("", "c"), pick("", "u")), pExecute(pick("", "c"), 0))
		case 8:
			data()
		case 9:
			end()
		case 10:
			all = append(all, message('H', ""))
		case 11:
			all = append(all, message('S', ""))
		}
	}
	for range 3 { // whatever is open
		all = append(all, message('c', ""), message('S', ""))
	}
	all = append(all, pQuery("ROLLBACK"), pQuery("SELECT 'the end'"))
	return send("!", all...)
}

// amidCopy is the type of a message that has no place in a copy. What is refused there is replaced by a Parse.
var amidCopy = regexp.MustCompile(`unexpected message type 0x(42|45|50|51) during COPY`)

// TestRelayDifferentialRandomCopy does for COPY what TestRelayDifferentialRandom does for the rest: answers, and what is in the table
// afterwards.
func TestRelayDifferentialRandomCopy(t *testing.T) {
	everywhere(t, "CREATE TABLE app.copied (a text); GRANT ALL ON app.copied TO app_readwrite")
	t.Cleanup(func() { everywhere(t, "DROP TABLE app.copied") })
	for seed := range uint64(conversations) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7)) // #nosec -- the same at every run
			var steps []step
			for range stepsInEach {
				steps = append(steps, randomCopy(r))
			}
			run := func(dsn string) []string {
				everywhere(t, "TRUNCATE app.copied")
				lines := converse(t, dsn, steps)
				for i, line := range lines {
					lines[i] = amidCopy.ReplaceAllString(line, "unexpected message")
				}
				return append(lines, value(t, superuser(t, stack.App), "SELECT coalesce(string_agg(a, ',' ORDER BY a), '') FROM app.copied"))
			}
			want := run(shared.services.Postgres.DSN(stack.App))
			for _, account := range []string{stack.DBA, stack.Engineer} {
				if diff := cmp.Diff(want, run(login{account: account}.dsn(t))); diff != "" {
					t.Errorf("%s (-PostgreSQL +gateway):\n%s", account, diff)
				}
			}
		})
	}
}
