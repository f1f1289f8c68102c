package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/backend"
)

// permitted are the startup parameters that a client may set, and what their values may be. A startup parameter is set with the
// client's authority before any statement is judged: what is not here is refused. Names are compared without case, as GUCs are.
var permitted = map[string]func(value string) bool{
	"application_name":                    printable,
	"client_encoding":                     utf8Encoding,
	"datestyle":                           printable,
	"intervalstyle":                       printable,
	"timezone":                            zone,
	"extra_float_digits":                  number,
	"bytea_output":                        oneOf("hex", "escape"),
	"statement_timeout":                   interval,
	"lock_timeout":                        interval,
	"idle_in_transaction_session_timeout": interval,
	"standard_conforming_strings":         oneOf("on"),
	"client_min_messages":                 oneOf("notice", "warning", "error"),
}

func printable(value string) bool {
	return len(value) <= 256 && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' })
}

// zone takes the names of time zones, and no paths: PostgreSQL looks for a file of that name.
func zone(value string) bool {
	return len(value) <= 64 && !strings.ContainsFunc(value, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_+-:/", r)
	})
}

func number(value string) bool {
	_, err := strconv.Atoi(value)
	return err == nil
}

// interval takes milliseconds, or a number with a unit as PostgreSQL reads it.
func interval(value string) bool {
	_, err := milliseconds(value)
	return err == nil
}

func milliseconds(value string) (time.Duration, error) {
	value = strings.TrimSpace(value)
	digits := strings.TrimRight(value, "abcdefghijklmnopqrstuvwxyz")
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 32)
	if err != nil || n < 0 {
		return 0, errors.New("not an interval")
	}
	unit, ok := map[string]time.Duration{
		"": time.Millisecond, "ms": time.Millisecond, "s": time.Second, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
	}[value[len(digits):]]
	if !ok {
		return 0, errors.New("not an interval")
	}
	return time.Duration(n) * unit, nil
}

func oneOf(values ...string) func(string) bool {
	return func(value string) bool { return slices.Contains(values, strings.ToLower(value)) }
}

// utf8Encoding takes the names of UTF-8, and SQL_ASCII, which clients with no locale send: they are given UTF-8.
func utf8Encoding(value string) bool {
	return slices.Contains([]string{"utf8", "unicode", "sqlascii"}, strings.ToLower(strings.NewReplacer("-", "", "_", "", "'", "").Replace(value)))
}

// startupParameters checks what the client wants set, and adds what the gateway pins. The result is all that the backend is sent
// beside user and database. Values in the startup packet are what RESET and DISCARD ALL go back to, so these are safe.
func startupParameters(s *startup, g grant, d Database, sessionID string) ([]backend.Parameter, error) {
	wanted, err := wantedParameters(s)
	if err != nil {
		return nil, err
	}
	set := map[string]string{}
	for _, p := range wanted {
		name := strings.ToLower(p.Name)
		if isOwn(name) {
			continue
		}
		if unique[name] { // within options: a second opinion on who connects to what
			return nil, failf(ReasonParameter, "option %q is not permitted", name)
		}
		if g.Observe {
			set[name] = p.Value
			continue
		}
		if name == "search_path" && asPinned(p.Value, d.SearchPath) {
			continue
		}
		check, ok := permitted[name]
		if !ok || !check(p.Value) {
			return nil, &sessionError{
				reason: ReasonParameter, message: fmt.Sprintf("parameter %q is not permitted by policy", clip(p.Name)),
				detail: "A startup parameter or an option in \"options\" was refused, by its name or its value.",
			}
		}
		set[name] = p.Value
	}
	pin(set, g, d)
	set["application_name"] = applicationName(sessionID, s.user, set["application_name"])
	return sorted(set), nil
}

// pin sets what the judging rests on. A session that observes gets the same start, and may change it.
func pin(set map[string]string, g grant, d Database) {
	if g.Observe {
		orSet(set, "search_path", searchPath(d.SearchPath))
		return
	}
	set["client_encoding"] = "UTF8"
	set["standard_conforming_strings"] = "on"
	set["search_path"] = searchPath(d.SearchPath)
	set["row_security"] = "on"
	set["transform_null_equals"] = "off"
	orSet(set, "client_min_messages", "notice")
	if g.ReadOnly {
		set["default_transaction_read_only"] = "on"
	}
	if limit := g.StatementTimeout; limit > 0 {
		asked, err := milliseconds(set["statement_timeout"])
		if err != nil || asked == 0 || asked > limit {
			set["statement_timeout"] = strconv.FormatInt(limit.Milliseconds(), 10)
		}
	}
}

func orSet(set map[string]string, name, value string) {
	if _, ok := set[name]; !ok {
		set[name] = value
	}
}

// searchPath writes the schemas as the setting wants them, with pg_temp last: then a temporary table shadows nothing.
func searchPath(schemas []string) string {
	quoted := make([]string, 0, len(schemas)+1)
	for _, schema := range schemas {
		quoted = append(quoted, quoteIdentifier(schema))
	}
	return strings.Join(append(quoted, "pg_temp"), ", ")
}

// quoteIdentifier quotes a name where it must be.
func quoteIdentifier(name string) string {
	plain := name != "" && !strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' && (r < '0' || r > '9') })
	if plain && (name[0] < '0' || name[0] > '9') {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// applicationName is what pg_stat_activity and the backend's log show: whose session this is, and what its program calls itself.
func applicationName(sessionID, user, application string) string {
	name := sessionID + " " + user
	if application != "" {
		name += " " + application
	}
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, name)
	return name[:min(len(name), maxName)]
}

func sorted(set map[string]string) []backend.Parameter {
	list := make([]backend.Parameter, 0, len(set))
	for name, value := range set {
		list = append(list, backend.Parameter{Name: name, Value: value})
	}
	slices.SortFunc(list, func(a, b backend.Parameter) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// wantedParameters is the client's parameters with those in "options" spelled out. replication is not one: it was decided about.
func wantedParameters(s *startup) ([]backend.Parameter, error) {
	var all []backend.Parameter
	for _, p := range s.parameters {
		switch p.Name {
		case "replication":
		case "options":
			more, err := parseOptions(p.Value)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		default:
			all = append(all, p)
		}
	}
	return all, nil
}

// parseOptions reads what PostgreSQL would read as a command line (pg_split_opts, process_postgres_switches in tcop/postgres.c):
// words split at white space with backslash escapes; only -c name=value and --name=value mean something here.
func parseOptions(options string) ([]backend.Parameter, error) {
	words := splitOptions(options)
	var list []backend.Parameter
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case word == "-c" && i+1 < len(words):
			i++
			word = words[i]
		case strings.HasPrefix(word, "--"):
			word = word[2:]
		case strings.HasPrefix(word, "-c") && len(word) > 2:
			word = word[2:]
		default:
			return nil, failf(ReasonParameter, "option %q is not permitted by policy", clip(word))
		}
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			return nil, failf(ReasonParameter, "option %q requires a value", clip(word))
		}
		list = append(list, backend.Parameter{Name: strings.ReplaceAll(name, "-", "_"), Value: value})
	}
	return list, nil
}

func splitOptions(options string) []string {
	var words []string
	var word strings.Builder
	open, escaped := false, false
	for _, r := range options {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\':
			open, escaped = true, true
		case strings.ContainsRune(" \t\n\v\f\r", r):
			if open {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(r)
			open = true
		}
	}
	if open {
		words = append(words, word.String())
	}
	return words
}

// clip bounds what of a client's own words goes back to it.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxName)], "?") }

// wantsReplication says what the replication parameter asks for; PostgreSQL takes any prefix of a boolean, so what is not plainly
// false is a wish.
func wantsReplication(s *startup) string {
	value := s.parameter("replication")
	switch strings.ToLower(value) {
	case "", "false", "off", "no", "0":
		return ""
	}
	return value
}
