package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/sallyport/sallyport/gateway/backend/inspect"
	"github.com/sallyport/sallyport/gateway/config"
)

const backendUsage = `usage: sallyport backend check [flags] [database ...]

  check     say what of a database's server lets people past the gateway, or further than its policy, and how to put it right

sallyport backend check -h prints the flags.
`

// backendCommand serves the people who set up PostgreSQL behind a gateway.
func backendCommand(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, backendUsage)
		return exitUsage
	}
	switch name, args := args[0], args[1:]; name {
	case "check":
		return backendCheck(args, stdout, stderr)
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, backendUsage)
		return exitOK
	default:
		fmt.Fprintf(stderr, "sallyport backend: there is no command %q\n\n%s", name, backendUsage)
		return exitUsage
	}
}

// inspected is what is printed of one database. Error is why nothing could be looked at.
type inspected struct {
	Database string `json:"database"`
	Server   string `json:"server"`
	Error    string `json:"error,omitempty"`
	inspect.Report
}

// backendCheck looks at the databases of a configuration.
func backendCheck(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("backend check", flag.ContinueOnError)
	path := flags.String("config", defaultConfig, "the configuration `file`")
	asJSON := flags.Bool("json", false, "print JSON")
	strict := flags.Bool("strict", false, "fail on what could not be seen, too")
	look := &backendLook{}
	look.define(flags)
	names, status, ok := parseAround(flags, args, stderr)
	if !ok {
		return status
	}
	if problem := look.misused(); problem != "" {
		return misused(flags, stderr, "%s", problem)
	}
	c, err := config.Load(*path, os.Environ())
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(c.Databases))
	}
	for _, name := range names {
		if _, there := c.Databases[name]; !there {
			return misused(flags, stderr, "there is no database %q in %s", name, *path)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	all, err := look.all(ctx, c, names)
	if err != nil {
		fmt.Fprintln(stderr, err)
	}
	if err := printInspected(stdout, all, *asJSON); err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	return inspectedStatus(all, *strict)
}

// inspectedStatus is 2 when something could not be looked at at all, and 1 when there is something to be put right.
func inspectedStatus(all []inspected, strict bool) int {
	status := exitOK
	for _, one := range all {
		switch {
		case one.Error != "":
			return exitUsage
		case len(one.Findings) > 0 || strict && len(one.Unseen) > 0:
			status = exitFailure
		}
	}
	return status
}

// all looks at the databases, one after the other. What is found of a server is said with its first database.
func (l *backendLook) all(ctx context.Context, c *config.Config, names []string) (all []inspected, err error) {
	known := newDatabaseCatalogs(c, nil)
	defer func() { err = errors.Join(err, known.close()) }()
	said := make(map[string]bool)
	for _, name := range names {
		section := c.Databases[name]
		one := inspected{Database: name, Server: section.Addresses()[0]}
		report, err := l.database(ctx, c, known, name)
		if err != nil {
			one.Error = err.Error()
		}
		one.Report = report
		one.Findings = slices.DeleteFunc(one.Findings, func(f inspect.Finding) bool {
			key := one.Server + " " + f.What
			before := said[key]
			said[key] = f.Cluster
			return before
		})
		all = append(all, one)
	}
	return all, nil
}

func printInspected(w io.Writer, all []inspected, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(map[string]any{"databases": all})
	}
	for _, one := range all {
		one.print(w)
	}
	return nil
}

// print prints for a terminal. Names in a database are anybody's who may make something there: a fix with one that does not print fits
// nothing, rather than being another one.
func (one inspected) print(w io.Writer) {
	if one.Error != "" {
		fmt.Fprintf(w, "database %s at %s: not looked at: %s\n", one.Database, one.Server, one.Error)
		return
	}
	fmt.Fprintf(w, "database %s at %s: PostgreSQL %s, looked at by %s\n", one.Database, one.Server, visible(one.Version), visible(one.Role))
	for _, f := range one.Findings {
		fmt.Fprintf(w, "\n%s  %s  [%s]\n  %s\n", f.Severity, visible(f.What), f.Check, f.Why)
		for _, line := range f.Fix {
			fmt.Fprintf(w, "  %s: %s\n", f.Kind, visible(line))
		}
	}
	if len(one.Unseen) > 0 {
		fmt.Fprintf(w, "\nnot seen, for %s may not see it (--user, --dsn-file):\n", visible(one.Role))
	}
	for _, u := range one.Unseen {
		fmt.Fprintf(w, "  %s: %s  [%s]\n", visible(u.What), visible(u.Why), u.Check)
	}
	fmt.Fprintf(w, "\n%s: %d to be put right, %d not seen; holes of releases as of %s\n\n", one.Database, len(one.Findings), len(one.Unseen), one.Holes)
}

// about is what the configuration and the flags say of a database.
func (l *backendLook) about(section config.Database) inspect.About {
	about := inspect.About{Gateways: l.gateways, Groups: slices.Clone(l.groups), Logins: slices.Clone(l.expected), Owner: l.owner, Schemas: section.SearchPath}
	for _, account := range section.Static {
		about.Groups, about.Logins = append(about.Groups, account.User), append(about.Logins, account.User)
	}
	if m := section.Minted; m != nil {
		about.Groups = append(about.Groups, slices.Collect(maps.Values(section.VaultRoles))...)
		about.Logins, about.Owner, about.Owners = append(about.Logins, m.User), m.Owner, m.Owners
	}
	return about
}

// gateway is a network or an address that gateways have.
func (l *backendLook) gateway(text string) error {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return err
		}
		prefix = netip.PrefixFrom(address, address.BitLen())
	}
	l.gateways = append(l.gateways, prefix.Masked())
	return nil
}
