package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/credentials"
)

// leftBehindAfter is for how long after its end a role may still be there: revocations are tried again for a while.
const leftBehindAfter = 2 * time.Minute

// leaseReport is what "sallyport leases" prints.
type leaseReport struct {
	out  *tabwriter.Writer
	now  time.Time
	left map[string]bool // roles that were left behind: databases of one server have them in common
}

// leases lists the leases that are open by the journals, and the roles that are still in the databases though their time is over. Its exit
// status says whether there are such roles.
func leases(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("leases", flag.ContinueOnError)
	path := flags.String("config", defaultConfig, "the configuration `file`")
	offline := flags.Bool("offline", false, "read the journals only: ask no database")
	if status, ok := parse(flags, args, stderr); !ok {
		return status
	}
	c, err := config.Load(*path, os.Environ())
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	r := &leaseReport{out: tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0), now: time.Now(), left: make(map[string]bool)}
	err = r.journals(c)
	if !*offline {
		err = errors.Join(err, r.databases(c))
	}
	if err = errors.Join(err, r.out.Flush()); err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	if len(r.left) > 0 {
		return exitFailure
	}
	return exitOK
}

// journals prints what the journals know to be open.
func (r *leaseReport) journals(c *config.Config) error {
	files := map[string]bool{c.Vault.JournalFile: true}
	for _, db := range c.Places() {
		if db.Minted != nil {
			files[db.Minted.JournalFile] = true
		}
	}
	delete(files, "")
	if len(files) == 0 {
		fmt.Fprintln(r.out, "No journal is configured (vault.journal_file): what a gateway leaves when it is killed ends by itself.")
	}
	var errs []error
	for _, file := range slices.Sorted(maps.Keys(files)) {
		entries, err := credentials.ReadJournal(file)
		if errors.Is(err, fs.ErrNotExist) {
			entries, err = nil, nil // no gateway has run yet
		}
		errs = append(errs, err)
		fmt.Fprintf(r.out, "%s: %d open\n", file, len(entries))
		if len(entries) > 0 {
			fmt.Fprintln(r.out, "  LEASE\tROLE\tUSERNAME\tISSUED\tAGE")
		}
		for _, e := range entries {
			fmt.Fprintf(r.out, "  %s\t%s\t%s\t%s\t%s\n", e.Hash(), e.Role, e.Username, e.Issued.Format(time.RFC3339), r.age(e.Issued))
		}
	}
	return errors.Join(errs...)
}

func (r *leaseReport) age(since time.Time) time.Duration { return r.now.Sub(since).Round(time.Second) }

// databases asks every database that has a catalog, by the catalog's role.
func (r *leaseReport) databases(c *config.Config) (err error) {
	known := newDatabaseCatalogs(c, nil)
	defer func() { err = errors.Join(err, known.close()) }()
	var errs []error
	places := c.Places()
	for _, name := range slices.Sorted(maps.Keys(places)) {
		if places[name].Shared != "" {
			continue // its roles are its database's
		}
		if places[name].Catalog == nil {
			fmt.Fprintf(r.out, "database %s: not asked, for it has no catalog\n", name)
			continue
		}
		roles, err := known.roles(name)
		if err != nil {
			errs = append(errs, fmt.Errorf("database %s: %w", name, err))
			continue
		}
		r.database(name, roles)
	}
	return errors.Join(errs...)
}

func (r *leaseReport) database(name string, roles []credentials.Role) {
	left := slices.DeleteFunc(slices.Clone(roles), func(role credentials.Role) bool { return r.now.Sub(role.Expires) < leftBehindAfter })
	fmt.Fprintf(r.out, "database %s: %d roles of sessions, %d left behind\n", name, len(roles), len(left))
	if len(left) > 0 {
		fmt.Fprintln(r.out, "  ROLE\tENDED\tAGO\tSESSIONS")
	}
	for _, role := range left {
		r.left[role.Name] = true
		fmt.Fprintf(r.out, "  %s\t%s\t%s\t%d\n", role.Name, role.Expires.UTC().Format(time.RFC3339), r.age(role.Expires), role.Sessions)
	}
}

// roles asks one database's server for the roles of sessions.
func (d *databaseCatalogs) roles(database string) ([]credentials.Role, error) {
	ctx, cancel := context.WithTimeout(context.Background(), catalogTime)
	defer cancel()
	sessions, err := d.sessions(ctx, database)
	if err != nil {
		return nil, err
	}
	session, err := sessions.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer session.Close(true)
	return credentials.Roles(ctx, session.Conn)
}
