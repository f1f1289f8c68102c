package e2e

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/e2e/stack"
)

const (
	conversations = 40 // each is two sessions with a credential of its own
	stepsInEach   = 6
	mostMessages  = 14
)

// randomStep is a pipeline of whatever a client may send outside of COPY, on few names, so that they meet.
func randomStep(r *rand.Rand) step {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	portal := func() string { return pick("", "c", "d") }
	query := func() string { return pick("SELECT 1", "SELECT 2 UNION SELECT 3", "SELECT 1/0", "SELECT nothing") }
	text := func() string {
		return pick(query(), query(), "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT p", "PREPARE s AS SELECT 11", "PREPARE t AS SELECT 12",
			"DEALLOCATE s", "DEALLOCATE ALL", "CLOSE c", "CLOSE ALL", "DECLARE c CURSOR FOR SELECT 21 UNION SELECT 22",
			"DECLARE d CURSOR WITH HOLD FOR SELECT 23", "DISCARD PLANS", "")
	}
	// What runs by a name that means nothing is refused when it is bound, where PostgreSQL refuses it when it is executed.
	byName := func() string {
		return pick("EXECUTE s", "EXECUTE t", "FETCH 1 FROM c", "FETCH ALL FROM d", "MOVE 1 FROM d", "BEGIN; DECLARE c CURSOR FOR SELECT 31",
			"PREPARE s AS SELECT 41; SELECT 1/0", "DEALLOCATE s; PREPARE s AS SELECT 51; EXECUTE s")
	}
	var all [][]byte
	for range 1 + r.IntN(mostMessages) {
		switch r.IntN(12) {
		case 0:
			all = append(all, pQuery(text()))
		case 1:
			all = append(all, pQuery(byName()))
		case 2:
			all = append(all, pParse(pick("s", "t"), query())) // what EXECUTE may run
		case 3:
			all = append(all, pParse(pick("", "u"), text()))
		case 4, 5, 6:
			all = append(all, pBind(portal(), pick("", "s", "t", "u")))
		case 7, 8:
			all = append(all, pExecute(portal(), uint32(r.IntN(2)))) // #nosec -- 0 or 1
		case 9:
			all = append(all, pDescribe('P', portal()))
		case 10:
			all = append(all, pClose(pick("S", "P")[0], pick("s", "t", "u", "c", "d", "")))
		case 11:
			all = append(all, message('S', ""))
		}
	}
	all = append(all, message('S', ""), pQuery("ROLLBACK"), pQuery("SELECT 'the end'"))
	return send("!", all...)
}

// meaningless are the errors of a message that names nothing, and of any in a failed transaction: the gateway looks for the name first.
var meaningless = regexp.MustCompile(`^E .*\\x00C(25P02|26000|34000)\\x00.*$`)

// TestRelayDifferentialRandom holds random conversations. To who observes, the gateway is not there; a session that is judged differs
// only in which of two errors comes first.
func TestRelayDifferentialRandom(t *testing.T) {
	for seed := range uint64(conversations) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1)) // #nosec -- the same at every run
			var steps []step
			for range stepsInEach {
				steps = append(steps, randomStep(r))
			}
			want := converse(t, shared.services.Postgres.DSN(stack.App), steps)
			if diff := cmp.Diff(want, converse(t, login{account: stack.DBA}.dsn(t), steps)); diff != "" {
				t.Errorf("observed (-PostgreSQL +gateway):\n%s", diff)
			}
			judged := converse(t, login{account: stack.Engineer}.dsn(t), steps)
			for _, lines := range [][]string{want, judged} {
				for i, line := range lines {
					lines[i] = meaningless.ReplaceAllString(line, "E meaningless")
				}
			}
			if diff := cmp.Diff(want, judged); diff != "" {
				t.Errorf("judged (-PostgreSQL +gateway):\n%s", diff)
			}
		})
	}
}
