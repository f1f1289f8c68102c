package gateway

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// request is what a client says about its session in parameters of the gateway's own, for the policy and for the audit log. PostgreSQL
// never sees them. A user sends them as PGOPTIONS='-c sallyport.reason=INC-42'; a program may send them as parameters.
type request struct {
	reason string // why it comes
	role   string // the role of the policy that it wants
}

// ownPrefix begins the names of these parameters.
const ownPrefix = "sallyport."

// maxRequest bounds their values: a line, not a story.
const maxRequest = 256

// requestOf reads the gateway's own parameters. What is given twice is an error: whoever reads the log must not wonder which one counted.
func requestOf(s *startup) (r request, err error) {
	all, err := wantedParameters(s)
	if err != nil {
		return r, err
	}
	seen := map[string]bool{}
	for _, p := range all {
		name, own := strings.CutPrefix(strings.ToLower(p.Name), ownPrefix)
		if !own {
			continue
		}
		if seen[name] {
			return request{}, refusedRequest(p.Name, "It is given twice.")
		}
		seen[name] = true
		if !requestable(p.Value) {
			return request{}, refusedRequest(p.Name, fmt.Sprintf("Its value must be printable and have at most %d bytes of UTF-8.", maxRequest))
		}
		switch name {
		case "reason":
			r.reason = strings.TrimSpace(p.Value)
		case "role":
			r.role = p.Value
		default:
			return request{}, refusedRequest(p.Name, "There are sallyport.reason and sallyport.role.")
		}
	}
	return r, nil
}

func requestable(value string) bool {
	return len(value) <= maxRequest && utf8.ValidString(value) && !strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) })
}

func refusedRequest(name, detail string) *sessionError {
	return &sessionError{reason: ReasonParameter, message: fmt.Sprintf("parameter %q is not permitted", clip(name)), detail: detail}
}

// isOwn says whether a parameter is the gateway's own, and not for the backend.
func isOwn(name string) bool { return strings.HasPrefix(strings.ToLower(name), ownPrefix) }
