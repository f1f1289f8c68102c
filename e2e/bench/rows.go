package main

import (
	"fmt"
	"strings"
	"time"
)

// everything is all that is compared.
func everything() []workload {
	var all []workload
	for _, protocol := range []string{"simple", "extended", "prepared"} {
		for _, clients := range []int{1, 4, 16, 64} {
			all = append(all, selectOnly(protocol, clients))
		}
	}
	all = append(all, literals(), tpcb("simple"), tpcb("prepared"), pipeline())
	for _, w := range wide {
		all = append(all, wideRows(w.table))
	}
	all = append(all, storm())
	all = append(all, logins()...)
	return append(all, listening(), result200(), smallRows(), copyOut(), copyIn())
}

// typical is what the program is optimised for: the rows with goals, and with them each way that messages take through the gateway.
func typical() []workload {
	return []workload{
		selectOnly("prepared", 16), selectOnly("prepared", 64), selectOnly("simple", 16), selectOnly("extended", 16), literals(),
		tpcb("prepared"), pipeline(), result200(), smallRows(), copyIn(),
	}
}

// selectOnly is pgbench -S: one row by primary key.
func selectOnly(protocol string, clients int) workload {
	w := workload{
		Name: fmt.Sprintf("-S %s, %d", protocol, clients), Clients: clients, Unit: transactions,
		exercise: script{builtin: "select-only", protocol: protocol},
	}
	switch {
	case clients == 1:
		w.goals = []goal{{latency, atMost, 1, pgbouncerName}}
	case clients >= 16:
		w.goals = []goal{{throughput, atLeast, 1, pgbouncerName}}
	}
	if clients == 16 {
		w.goals = append(w.goals, goal{throughput, atLeast, auditShare, unauditedName})
	}
	if clients == 16 && protocol == "prepared" {
		w.goals = append(w.goals, goal{cpu, atMost, 1, pgbouncerName})
	}
	return w
}

// auditShare of the throughput without an audit log is left with one.
const auditShare = 0.95

// literals sends no text twice: 100,000 accounts, as -S has them, are soon all
// known as texts.
func literals() workload {
	return workload{
		Name: "other literals, simple, 16", Clients: 16, Unit: transactions,
		exercise: script{protocol: "simple", text: `\set aid random(1, 100000)
\set n random(1, 9000000000000000000)
SELECT abalance FROM pgbench_accounts WHERE aid = :aid AND abalance < :n AND filler <> 'x:n';
`},
		goals: []goal{{throughput, atLeast, 1, pgbouncerName}, {throughput, atLeast, auditShare, unauditedName}, {cpu, atMost, 1.1, pgbouncerName}},
	}
}

func tpcb(protocol string) workload {
	return workload{
		Name: "TPC-B " + protocol + ", 16", Clients: 16, Unit: transactions,
		exercise: script{builtin: "tpcb-like", protocol: protocol, as: writer, few: true},
	}
}

// pipeline is ten statements before the first answer.
func pipeline() workload {
	const statement = "SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n"
	return workload{
		Name: "pipeline of 10, prepared, 16", Clients: 16, Unit: transactions,
		exercise: script{protocol: "prepared", text: "\\set aid random(1, 100000)\n\\startpipeline\n" + strings.Repeat(statement, 10) + "\\endpipeline\n"},
	}
}

// wideRows is one row of a size.
func wideRows(table string) workload {
	for _, w := range wide {
		if w.table == table {
			return workload{
				Name: fmt.Sprintf("a row of %s, prepared, 4", size(w.bytes)), Clients: 4, Unit: transactions,
				exercise: script{protocol: "prepared", few: w.bytes > 1<<10, text: fmt.Sprintf("\\set id random(1, %d)\nSELECT payload FROM %s WHERE id = :id;\n", w.rows, w.table)},
			}
		}
	}
	return workload{}
}

func size(bytes int) string {
	if bytes >= 1<<20 {
		return fmt.Sprintf("%d MB", bytes>>20)
	}
	return fmt.Sprintf("%d kB", bytes>>10)
}

// storm connects for each statement. PgBouncer answers with PostgreSQL
// sessions that it has; the gateway makes a role and opens a session each time.
func storm() workload {
	return workload{
		Name: "a connection each, 4", Clients: 4, Unit: transactions,
		exercise: script{builtin: "select-only", protocol: "simple", connect: true, few: true},
	}
}

// calm is between two logins of one client: long enough for the next
// credential to be ready.
const calm = 150 * time.Millisecond

// logins is what it takes until a session is ready. One client that comes now
// and then finds a credential ready; many that come without a pause wait for
// the roles that are made for them.
func logins() []workload {
	all := []workload{{
		Name: "a login now and then, 1", Clients: 1, Unit: sessions, exercise: connects{pause: calm},
		goals: []goal{{latency, atMost, 1.7, directName}},
	}}
	all = append(all, workload{
		Name: fmt.Sprintf("Vault takes %v, 1", slowness), Clients: 1, Unit: sessions, of: sallyportName,
		exercise: slowVault{connects{pause: calm, least: slowLogins}}, goals: []goal{{measure: slowest, direction: atMost, limit: 250}},
	})
	for _, clients := range []int{1, 8, 32} {
		all = append(all, workload{Name: fmt.Sprintf("logins, %d", clients), Clients: clients, Unit: sessions, exercise: connects{}})
	}
	return all
}

func listening() workload {
	return workload{Name: "LISTEN, NOTIFY", Clients: 1, Unit: notifications, exercise: listener{}}
}

// bulk is one client that moves much.
func bulk(name string, t transfer) workload {
	return workload{
		Name: name, Clients: 1, Unit: megabytes, exercise: t,
		goals: []goal{{throughput, atLeast, 0.9, directName}, {throughput, atLeast, 1, pgbouncerName}},
	}
}

const twentyTimes = "SELECT payload FROM times, rows_1kb WHERE n <= 20"

func result200() workload {
	return bulk("result of 200 MB, rows of 1 kB", transfer{text: twentyTimes})
}

func smallRows() workload {
	return bulk("result of 200 MB, rows of 0.1 kB", transfer{text: "SELECT filler FROM times, pgbench_accounts WHERE n <= 20 AND aid <= 100000"})
}

func copyOut() workload {
	return bulk("COPY out, 200 MB", transfer{text: "COPY (" + twentyTimes + ") TO STDOUT"})
}

func copyIn() workload {
	return bulk("COPY in, 200 MB", transfer{text: "COPY sink FROM STDIN", as: writer, send: 200_000_000, after: "TRUNCATE app.sink"})
}
