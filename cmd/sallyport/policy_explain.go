package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway"
)

const (
	// explainTime bounds an explained evaluation. One that is followed step by step takes many times as long as one that is not.
	explainTime = 30 * time.Second
	// maxExplainBytes bounds a text from standard input, as the largest statements.max_text_bytes does.
	maxExplainBytes = 16 << 20
)

// question is what "policy explain" asks.
type question struct {
	source       policySource
	identity     authz.Identity
	session      authz.Session
	observe      bool
	asJSON       bool
	text         string
	searchPath   string
	searchPathOK bool // it was given
	catalog      bool // the database's catalog is asked, if the configuration has one
}

// policyExplain says what a policy decides about a text, and why. Its exit status is the decision.
func policyExplain(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	q, status, ok := parseQuestion(args, stdin, stderr)
	if !ok {
		return status
	}
	answer, err := q.ask(ctx)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage // 1 is a denial
	}
	if q.asJSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(answer)
	} else {
		err = answer.print(stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	if !answer.allowed() {
		return exitFailure
	}
	return exitOK
}

func parseQuestion(args []string, stdin io.Reader, stderr io.Writer) (q *question, status int, ok bool) {
	q = &question{identity: authz.Identity{Groups: []string{}}, session: authz.Session{ID: "explain"}}
	flags := flag.NewFlagSet("policy explain", flag.ContinueOnError)
	flags.StringVar(&q.source.directory, "policy", "", "the policy's `directory`")
	flags.StringVar(&q.source.file, "config", "", "the configuration `file` that names the policy, and the database's search_path and catalog (default, without --policy: "+defaultConfig+")")
	flags.StringVar(&q.identity.User, "as", "", "the `user` who asks")
	flags.Func("group", "a `group` of the user; may be repeated", func(group string) error {
		q.identity.Groups = append(q.identity.Groups, group)
		return nil
	})
	flags.StringVar(&q.identity.Method, "method", "", "how the user logged in (default: oidc with --issuer, else scram-sha-256)")
	flags.StringVar(&q.identity.Issuer, "issuer", "", "the issuer of the user's token")
	flags.StringVar(&q.session.Database, "database", "", "the `database` asked for")
	flags.StringVar(&q.session.ClientAddress, "address", "127.0.0.1", "the client's address")
	flags.StringVar(&q.session.Application, "application", "", "the client's application_name")
	flags.StringVar(&q.searchPath, "search-path", "", "`schemas` of the session's search_path, comma-separated (default: the configuration's)")
	flags.BoolVar(&q.catalog, "catalog", true, "look names up in the database's catalog, if the configuration has one; needs Vault and the database")
	flags.BoolVar(&q.observe, "observe", false, "as in a session that observes, whatever the connect decision says")
	flags.BoolVar(&q.asJSON, "json", false, "print JSON")
	given, status, ok := parseAround(flags, args, stderr)
	if !ok {
		return nil, status, false
	}
	flags.Visit(func(f *flag.Flag) { q.searchPathOK = q.searchPathOK || f.Name == "search-path" })
	if problem := q.complete(given, stdin); problem != "" {
		return nil, misused(flags, stderr, "%s", problem), false
	}
	return q, exitOK, true
}

// complete fills in what the flags left open, and says what is missing.
func (q *question) complete(given []string, stdin io.Reader) (problem string) {
	switch {
	case q.identity.User == "":
		return "--as is missing: who asks"
	case q.session.Database == "":
		return "--database is missing"
	case len(given) != 1:
		return "give one text, or - for standard input"
	}
	if _, err := netip.ParseAddr(q.session.ClientAddress); err != nil {
		return "--address is not an IP address"
	}
	if q.identity.Method == "" {
		q.identity.Method = map[bool]string{true: "oidc", false: "scram-sha-256"}[q.identity.Issuer != ""]
	}
	q.identity.Subject = q.identity.User
	if q.source.directory == "" && q.source.file == "" {
		q.source.file = defaultConfig
	}
	q.text = given[0]
	if q.text == "-" {
		content, err := io.ReadAll(io.LimitReader(stdin, maxExplainBytes+1))
		if err != nil || len(content) > maxExplainBytes {
			return "standard input cannot be read, or is longer than any statement may be"
		}
		q.text = string(content)
	}
	return ""
}

// ask loads the policy, reads the text as a gateway does, and asks for both decisions.
func (q *question) ask(ctx context.Context) (*answer, error) {
	cfg, err := q.source.load()
	if err != nil {
		return nil, err
	}
	cfg.Timeout = explainTime
	engine, err := authz.New(cfg)
	if err != nil {
		return nil, err
	}
	if _, err := q.schemas(""); err != nil {
		return nil, err
	}
	a := &answer{Revision: engine.Policy().Revision()}
	input := authz.ConnectInput{Identity: q.identity, Session: q.session}
	input.Session.SearchPath = []string{}
	connect, why, err := engine.ExplainConnect(ctx, &input)
	if err != nil {
		return nil, err
	}
	a.Connect = connectAnswer{verdictOf(connect.Allow, why), connect.Role, connect.Route, connect.Observe, connect.ReadOnly}
	schemas, err := q.schemas(connect.Route)
	if err != nil {
		return nil, err
	}
	if err := a.read(ctx, q, schemas); err != nil || a.Facts == nil || !connect.Allow {
		return a, err
	}
	session := q.session
	session.Role, session.Route, session.Observe, session.SearchPath = connect.Role, connect.Route, connect.Observe || q.observe, schemas
	if !session.Observe {
		a.Facts = gateway.AsJudged(a.Facts, false)
	}
	d, why, err := engine.ExplainStatement(ctx, &authz.StatementInput{Identity: q.identity, Session: session, Statement: a.Facts})
	if err != nil {
		return nil, err
	}
	a.Statement = &statementAnswer{verdictOf(d.Allow, why), session.Observe && !d.Allow}
	return a, nil
}

// schemas are those of the session's search_path, as the gateway would pin them.
func (q *question) schemas(route string) ([]string, error) {
	schemas := []string{}
	switch c := q.source.config; {
	case q.searchPathOK:
		for schema := range strings.SplitSeq(q.searchPath, ",") {
			if schema = strings.TrimSpace(schema); schema != "" {
				schemas = append(schemas, schema)
			}
		}
	case c != nil:
		database, ok := c.Databases[q.session.Database]
		if !ok {
			return nil, fmt.Errorf("%s: databases has no %q", q.source.file, q.session.Database)
		}
		if route != "" {
			if database, ok = database.Routes[route]; !ok {
				return nil, fmt.Errorf("%s: databases.%s.routes has no %q, which the policy gives", q.source.file, q.session.Database, route)
			}
		}
		schemas = append(schemas, database.SearchPath...)
	}
	return append(schemas, "pg_temp"), nil
}

// read gets the facts of the text by a worker process, or why there are none, and what its names mean from the catalog.
func (a *answer) read(ctx context.Context, q *question, schemas []string) error {
	pool, stop, err := startPool(ctx, q.source)
	if err != nil {
		return err
	}
	defer stop()
	a.Facts, err = pool.Analyze(ctx, q.text)
	var syntax *statement.SyntaxError
	var limit *statement.LimitError
	switch {
	case errors.As(err, &syntax):
		a.Unreadable = &unreadable{"42601", syntax.Message, syntax.Position}
	case errors.As(err, &limit):
		a.Unreadable = &unreadable{limit.SQLSTATE, limit.Message, 0}
	case err != nil:
		return err
	case q.catalog:
		return a.resolve(ctx, q, pool, schemas)
	}
	return nil
}

func (a *answer) resolve(ctx context.Context, q *question, pool *statement.Pool, schemas []string) error {
	catalogs := newDatabaseCatalogs(q.source.config, pool.Analyze)
	snapshot, err := catalogs.snapshot(ctx, catalogKey(q.source.config, q.session.Database, a.Connect.Route))
	if err := errors.Join(err, catalogs.close()); err != nil || snapshot == nil {
		return err
	}
	a.Facts = snapshot.Resolve(a.Facts, schemas)
	a.Catalog = &catalogAnswer{Database: q.session.Database, ReadAt: snapshot.ReadAt.UTC(), ServerVersion: snapshot.Version}
	return nil
}

// startPool runs one worker, by the configuration's limits if there is one.
func startPool(ctx context.Context, source policySource) (pool *statement.Pool, stop func(), err error) {
	cfg := statement.Config{Workers: 1, Timeout: explainTime}
	if source.config != nil {
		cfg.MaxTextBytes = source.config.Limits.TextBytes
	}
	if pool, err = statement.NewPool(cfg); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = pool.Run(ctx) // ends with ctx, without an error
	}()
	stop = func() {
		cancel()
		<-done
	}
	if err := pool.Wait(ctx); err != nil {
		stop()
		return nil, nil, err
	}
	return pool, stop, nil
}
