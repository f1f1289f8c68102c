package inspect

import (
	"context"
	"encoding/json"
	"fmt"
)

// owners looks at who gets what sessions leave. Views, rules and functions in indexes run with their owner's rights, so an owner that can
// do more than the sessions of a group gives everybody in the group that more: leave a view, and read by it tomorrow.
func (i *inspection) owners(ctx context.Context) error {
	owners := make(map[string]string)
	for _, group := range i.about.Groups {
		if owner := i.about.Owners[group]; owner != "" {
			owners[group] = owner
		} else if i.about.Owner != "" {
			owners[group] = i.about.Owner
		}
	}
	pairs, err := json.Marshal(owners)
	if err != nil {
		return err
	}
	// A group that is a member of the owner can do what that can anyway, and one that can make nothing leaves nothing.
	rows, err := i.rows(ctx, `SELECT format('%I', g.rolname), format('%I', o.rolname), o.rolcanlogin, concat_ws(', ',
			CASE WHEN o.rolsuper THEN 'is a superuser' END,
			(SELECT string_agg(format('owns schema %I', n.nspname), ', ') FROM pg_namespace n WHERE n.nspowner = o.oid
				AND n.nspname IN (SELECT jsonb_array_elements_text($2::jsonb -> 'schemas'))),
			(SELECT format('owns database %I', d.datname) FROM pg_database d WHERE d.datdba = o.oid AND d.datname = current_database()),
			(SELECT string_agg(format('is a member of %I', r.rolname), ', ') FROM pg_roles r WHERE r.oid <> o.oid AND NOT o.rolsuper
				AND pg_has_role(o.oid, r.oid, 'MEMBER') AND NOT pg_has_role(g.oid, r.oid, 'MEMBER')))
		FROM jsonb_each_text($1::jsonb) p JOIN pg_roles g ON g.rolname = p.key JOIN pg_roles o ON o.rolname = p.value
		WHERE NOT pg_has_role(g.oid, o.oid, 'MEMBER')
			AND EXISTS (SELECT FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND has_schema_privilege(g.oid, n.oid, 'CREATE'))
		ORDER BY 1`, string(pairs), i.facts)
	if err != nil {
		return fmt.Errorf("look at owners: %w", err)
	}
	for _, row := range rows {
		if row[2] == "t" {
			i.find(Finding{
				Check: "owner.login", Severity: Medium, Cluster: true, What: row[1] + ", which gets what sessions leave, can log in",
				Why: "It is somebody without a session, who owns what others work with.", Fix: []string{"ALTER ROLE " + row[1] + " NOLOGIN;"}, Kind: SQL,
			})
		}
		if row[3] != "" {
			i.find(Finding{
				Check: "owner.powerful", Severity: High,
				What: fmt.Sprintf("what sessions of %s leave goes to %s, which %s", row[0], row[1], row[3]),
				Why:  "Views, rules and functions in indexes run with their owner's rights: what a session leaves can do what it could not.",
				Fix:  []string{"name another owner in the gateway's configuration (minted.owner, minted.owners): CREATE ROLE … NOLOGIN IN ROLE " + row[0]}, Kind: Command,
			})
		}
	}
	return nil
}

func (i *inspection) find(f Finding) { i.report.Findings = append(i.report.Findings, f) }
