package gateway

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/gateway/audit"
)

// outcomes keeps when the outcomes were that it is given.
type outcomes struct {
	auditLog
	times []time.Time
}

func (o *outcomes) Append(e audit.Event) error {
	if e, ok := e.(*audit.Outcome); ok {
		o.times = append(o.times, e.Time)
	}
	return o.auditLog.Append(e)
}

// TestOutcomesOfOneRead: they came together, and not when others did before.
func TestOutcomesOfOneRead(t *testing.T) {
	x := newExchanging(t)
	o := &outcomes{auditLog: x.judge.log}
	x.judge.log = o
	x.turn(t, encoded(t, parse("s", preparedQuery), &pgproto3.Sync{}), replies(t, &pgproto3.ParseComplete{}, readyIdle))
	asked := encoded(t, bind("", "s"), execute(""), bind("", "s"), execute(""), &pgproto3.Sync{})
	answered := replies(t, &pgproto3.BindComplete{}, orderRow, selected, &pgproto3.BindComplete{}, orderRow, selected, readyIdle)
	x.reporter.clock = time.Now().Add(-time.Hour)
	x.turn(t, asked, answered)
	if len(o.times) != 2 || !o.times[0].Equal(o.times[1]) || time.Since(o.times[0]) > 30*time.Minute {
		t.Errorf("outcomes at %v, want two at one time, which is now", o.times)
	}
	x.reporter.clock = time.Now().Add(-time.Hour)
	x.turn(t, asked, answered)
	if len(o.times) != 4 || !o.times[2].After(o.times[1]) {
		t.Errorf("outcomes at %v, want two later ones", o.times)
	}
}
