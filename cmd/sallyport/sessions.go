package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/refusals"
)

const sessionsUsage = `usage: sallyport sessions <command> [flags] [argument]

  list            list the running sessions
  end ID          end a session; its client hears 57P01
  refuse USER     end all sessions of a user, and let it in no more until that is lifted
  lift USER       let a user in again
  refusals        list who is refused

In the place of USER, --issuer and --subject name somebody whatever account it logs in to. What acts needs a --reason.

The gateway's admin listener is at --url, or SALLYPORT_ADMIN_URL. You are known by a token, in --token-file or the variable
SALLYPORT_OPERATOR_TOKEN, or by a client certificate, --certificate and --key. A token is never an argument, which everybody on this machine can see.

sallyport sessions <command> -h prints the flags of a command.
`

// defaultAdminURL is the example's.
const defaultAdminURL = "http://127.0.0.1:9187"

// sessionsCommand is one call of "sallyport sessions".
type sessionsCommand struct {
	name     string // of the command
	argument string // an id, or a user; "" for those that take none
	flags    *flag.FlagSet
	client   adminClient
	filters  url.Values // of list
	who      refusals.Who
	reason   string
	duration time.Duration // of a refusal; 0: until it is lifted
	json     bool
	stdout   io.Writer
	stderr   io.Writer
}

// sessionsArguments says what argument a command takes, and whether it may be left out.
var sessionsArguments = map[string]struct {
	name     string
	optional bool
}{
	"list": {}, "refusals": {}, "end": {name: "the session's id"}, "refuse": {"the user's name", true}, "lift": {"the user's name", true},
}

// sessions shows and ends a gateway's sessions.
func sessions(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, sessionsUsage)
		return exitUsage
	}
	c := &sessionsCommand{name: args[0], filters: url.Values{}, stdout: stdout, stderr: stderr}
	run := map[string]func() error{"list": c.list, "end": c.end, "refuse": c.refuse, "lift": c.lift, "refusals": c.refusals}[c.name]
	switch {
	case c.name == "help" || c.name == "-h" || c.name == "-help" || c.name == "--help":
		fmt.Fprint(stdout, sessionsUsage)
		return exitOK
	case run == nil:
		fmt.Fprintf(stderr, "sallyport sessions: there is no command %q\n\n%s", c.name, sessionsUsage)
		return exitUsage
	}
	c.define()
	if status, ok := c.parse(args[1:]); !ok {
		return status
	}
	err := c.client.connect()
	if err == nil {
		err = run()
	}
	if err != nil {
		fmt.Fprintf(stderr, "sallyport sessions %s: %v\n", c.name, err)
		return exitFailure
	}
	return exitOK
}

// define defines the flags of the command.
func (c *sessionsCommand) define() {
	f := flag.NewFlagSet("sessions "+c.name, flag.ContinueOnError)
	c.flags = f
	f.SetOutput(c.stderr)
	f.StringVar(&c.client.url, "url", cmp.Or(os.Getenv("SALLYPORT_ADMIN_URL"), defaultAdminURL), "the `address` of the admin listener")
	f.StringVar(&c.client.tokenFile, "token-file", "", "the `file` with your token")
	f.StringVar(&c.client.certificate, "certificate", "", "the `file` with your client certificate")
	f.StringVar(&c.client.key, "key", "", "the `file` with its key")
	f.StringVar(&c.client.caFile, "ca-file", "", "the `file` with the authority of the listener's certificate (default: the system's)")
	f.BoolVar(&c.client.insecure, "insecure-http", false, "send the token over plain HTTP to another machine")
	if c.name == "list" || c.name == "refusals" {
		f.BoolVar(&c.json, "json", false, "print what the gateway has answered")
	} else {
		f.StringVar(&c.reason, "reason", "", "why; for the audit log")
	}
	switch c.name {
	case "list":
		for _, name := range []string{"user", "database"} {
			f.Func(name, "only sessions of this `"+name+"`", func(value string) error { c.filters.Set(name, value); return nil })
		}
	case "refuse":
		f.DurationVar(&c.duration, "for", 0, "lift it by itself after this `time`, such as 8h")
	}
	if c.name == "refuse" || c.name == "lift" {
		f.StringVar(&c.who.Issuer, "issuer", "", "the `issuer` of tokens or certificates who names --subject")
		f.StringVar(&c.who.Subject, "subject", "", "the `subject`, in the place of a user")
	}
}

// parse takes the flags, before and behind the argument. One that is too many is not repeated: it may be a token.
func (c *sessionsCommand) parse(args []string) (status int, ok bool) {
	var given []string
	for {
		switch err := c.flags.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			return exitOK, false
		case err != nil:
			return exitUsage, false
		}
		if c.flags.NArg() == 0 {
			break
		}
		given, args = append(given, c.flags.Arg(0)), c.flags.Args()[1:]
	}
	if problem := c.problem(given); problem != "" {
		fmt.Fprintf(c.stderr, "sallyport sessions %s: %s\n", c.name, problem)
		return exitUsage, false
	}
	return exitOK, true
}

// problem says what is wrong with the arguments that were given, and keeps them.
func (c *sessionsCommand) problem(given []string) string {
	takes := sessionsArguments[c.name]
	named := c.who != refusals.Who{}
	switch {
	case takes.name == "" && len(given) > 0:
		return "takes no arguments"
	case len(given) > 1:
		return "more than one argument"
	case takes.name != "" && len(given) == 0 && (!takes.optional || !named):
		return takes.name + " is missing"
	case named && len(given) > 0:
		return "give a user, or --issuer and --subject"
	case c.flags.Lookup("reason") != nil && strings.TrimSpace(c.reason) == "":
		return "--reason is missing"
	case c.duration < 0:
		return "--for must be positive"
	}
	if len(given) == 0 {
		return ""
	}
	if c.argument = given[0]; takes.optional {
		c.who.User = c.argument
	}
	return ""
}

func (c *sessionsCommand) list() error {
	var answer struct {
		Sessions []admin.SessionInfo `json:"sessions"`
	}
	raw, err := c.client.get("/sessions", c.filters, &answer)
	if err != nil || c.json {
		return errors.Join(err, c.print(raw))
	}
	out := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "ID\tUSER\tDATABASE\tROLE\tFROM\tSINCE\tSTATE\tSTATEMENTS\tAPPLICATION")
	for _, s := range answer.Sessions {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", visible(s.ID), visible(s.User), visible(s.Database), visible(s.Role), visible(s.ClientAddress),
			s.Started.UTC().Format(time.RFC3339), visible(s.State), s.Statements, visible(s.Application))
	}
	return out.Flush()
}

func (c *sessionsCommand) refusals() error {
	var answer struct {
		Refusals []refusals.Refusal `json:"refusals"`
	}
	raw, err := c.client.get("/refusals", nil, &answer)
	if err != nil || c.json {
		return errors.Join(err, c.print(raw))
	}
	out := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "WHO\tSINCE\tUNTIL\tBY\tREASON")
	for _, r := range answer.Refusals {
		until := "lifted"
		if !r.Expires.IsZero() {
			until = r.Expires.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", visible(whoIs(r.Who)), r.Since.UTC().Format(time.RFC3339), until, visible(r.By), visible(r.Reason))
	}
	return out.Flush()
}

// print prints the gateway's own answer.
func (c *sessionsCommand) print(raw []byte) error {
	_, err := c.stdout.Write(raw)
	return err
}

func (c *sessionsCommand) end() error {
	ended, err := c.client.post("/sessions/"+url.PathEscape(c.argument)+"/end", map[string]any{"reason": c.reason})
	c.say(ended)
	return err
}

func (c *sessionsCommand) refuse() error {
	body := identity(c.who)
	body["reason"] = c.reason
	if c.duration > 0 {
		body["expires"] = time.Now().Add(c.duration).UTC().Format(time.RFC3339)
	}
	ended, err := c.client.post("/refusals", body)
	if err == nil {
		fmt.Fprintf(c.stdout, "%s is refused\n", visible(whoIs(c.who)))
	}
	c.say(ended)
	return err
}

func (c *sessionsCommand) lift() error {
	body := identity(c.who)
	body["reason"] = c.reason
	if _, err := c.client.post("/refusals/lift", body); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s is let in again\n", visible(whoIs(c.who)))
	return nil
}

// say tells what was ended.
func (c *sessionsCommand) say(ended []admin.Ended) {
	for _, e := range ended {
		state := "ended"
		if !e.Gone {
			state = "is being ended: its database session is not closed yet"
		}
		fmt.Fprintf(c.stdout, "session %s of %s %s\n", visible(e.ID), visible(e.User), state)
	}
}

func identity(who refusals.Who) map[string]any {
	if who.User != "" {
		return map[string]any{"user": who.User}
	}
	return map[string]any{"issuer": who.Issuer, "subject": who.Subject}
}

func whoIs(who refusals.Who) string {
	if who.User != "" {
		return who.User
	}
	return who.Subject + " of " + who.Issuer
}

// visible is a text for a terminal: some are a client's, and must not steer it.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
