package inspect

import "fmt"

// check is something that a query finds. The columns of a row are what the texts have as %[1]s, %[2]s … Names are quoted by the query.
// about(facts) is there for it, with the names of groups, logins and schemas.
type check struct {
	name     string
	severity Severity
	cluster  bool
	query    string
	what     string // of a row; for an unseen one without it
	says     string
	why      string
	fix      []string
	kind     Kind // "": SQL
}

func (c check) finding(row []string) Finding {
	values := make([]any, len(row))
	for n, value := range row {
		values[n] = value
	}
	fill := func(format string) string { return fmt.Sprintf(format+"%.0[1]s", values...) }
	f := Finding{Check: c.name, Severity: c.severity, Cluster: c.cluster, What: fill(c.says), Why: c.why, Kind: c.kind}
	if f.Kind == "" {
		f.Kind = SQL
	}
	for _, line := range c.fix {
		f.Fix = append(f.Fix, fill(line))
	}
	return f
}

// checks are all that are no more than a query.
func checks() []check {
	var all []check
	for _, some := range [][]check{settings(), grants(), relationGrants(), code(), extensions(), roles(), groups()} {
		all = append(all, some...)
	}
	return all
}

// Parts of queries.
const (
	inGroups  = `IN (SELECT jsonb_array_elements_text(facts -> 'groups') FROM about)`
	inLogins  = `IN (SELECT jsonb_array_elements_text(facts -> 'logins') FROM about)`
	ownSchema = `n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'`
	reload    = "SELECT pg_reload_conf();"
)
