package oidc

import (
	"slices"
	"strconv"
	"time"
	"unicode"

	josejson "github.com/go-jose/go-jose/v4/json"
)

const (
	// maxSubjectBytes is OpenID Connect Core section 2's bound on sub.
	maxSubjectBytes = 255
	// maxNameBytes bounds a display name, which ends up in every audit event.
	maxNameBytes = 256
	// maxGroups bounds what every policy evaluation walks; issuers turn to overage at 150 or 200.
	maxGroups = 1000
	// maxNumericDate is the last second of the year 9999: later dates are mistakes that overflow somewhere.
	maxNumericDate = 253402300799
)

// claims is a token's payload.
type claims map[string]josejson.RawMessage

// audiences reads aud: a string or a list of strings (RFC 7519 section 4.1.3), none of them empty.
func (c claims) audiences() ([]string, bool) {
	list, ok := c.texts("aud")
	return list, ok && len(list) > 0 && !slices.Contains(list, "")
}

// audience picks ours from a token's audiences.
func (c claims) audience(ours []string) (string, bool) {
	list, ok := c.audiences()
	if !ok {
		return "", false
	}
	i := slices.IndexFunc(list, func(audience string) bool { return slices.Contains(ours, audience) })
	if i < 0 {
		return "", false
	}
	return list[i], true
}

// checkParty holds a token to the client it was issued to (OpenID Connect Core section 3.1.3.7, RFC 9068 section 2.2): a token
// for several audiences can be replayed by each of them.
func (c claims) checkParty(parties []string) Reason {
	named, ok := c.parties()
	if !ok || !allIn(named, parties) {
		return ReasonParty
	}
	if list, _ := c.audiences(); len(list) > 1 && len(named) == 0 {
		return ReasonParty
	}
	return ""
}

// parties reads azp and client_id.
func (c claims) parties() (named []string, ok bool) {
	for _, name := range []string{"azp", "client_id"} {
		raw, present := c[name]
		if !present {
			continue
		}
		party, ok := text(raw)
		if !ok {
			return nil, false
		}
		named = append(named, party)
	}
	return named, true
}

func allIn(names, permitted []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(permitted, name) })
}

// checkTimes checks iat, nbf and exp and returns exp. iat is required: without it a token has no age. Skew does not lengthen a
// token's life: the session would end at exp anyway.
func (c claims) checkTimes(now time.Time, maxAge, skew time.Duration) (time.Time, Reason) {
	expires, ok := numericDate(c["exp"])
	if !ok || !now.Before(expires) {
		return time.Time{}, ReasonExpired
	}
	issued, ok := numericDate(c["iat"])
	if !ok || issued.After(now.Add(skew)) || now.Sub(issued) > maxAge+skew {
		return time.Time{}, ReasonAge
	}
	if raw, present := c["nbf"]; present {
		if notBefore, ok := numericDate(raw); !ok || notBefore.After(now.Add(skew)) {
			return time.Time{}, ReasonNotYet
		}
	}
	return expires, ""
}

// checkKind refuses tokens that are not a bearer's identity, though the same issuer signed them: one bound to a key whose proof we
// have not seen (cnf, RFC 7800), and a security event such as a logout token (events, RFC 8417).
func (c claims) checkKind() Reason {
	for _, name := range []string{"cnf", "events"} {
		if _, present := c[name]; present {
			return ReasonKind
		}
	}
	return ""
}

// subject reads sub.
func (c claims) subject() (string, bool) {
	subject, ok := text(c["sub"])
	return subject, ok && subject != "" && len(subject) <= maxSubjectBytes && isPlain(subject)
}

// identifier reads a claim that is to name somebody. An e-mail address counts only if the issuer has verified it; "true" in quotes
// is not true.
func (c claims) identifier(name string) (string, bool) {
	if name == "email" && string(c["email_verified"]) != "true" {
		return "", false
	}
	value, ok := text(c[name])
	return value, ok && value != ""
}

// displayName reads a name that is only shown. One that cannot be shown is none.
func (c claims) displayName(name string) string {
	value, ok := c.identifier(name)
	if !ok || len(value) > maxNameBytes || !isPlain(value) {
		return ""
	}
	return value
}

// groups reads the groups. No claim means no groups; a claim of another type, and groups that the issuer left out because there
// are too many (_claim_names, OpenID Connect Core section 5.6.2; hasgroups, Microsoft Entra), mean that we do not know them.
// A policy that denies to a group must not be passed by being in too many.
func (c claims) groups(name string) ([]string, Reason) {
	if raw, present := c["_claim_names"]; present {
		var elsewhere map[string]josejson.RawMessage
		if err := josejson.Unmarshal(raw, &elsewhere); err != nil || elsewhere == nil {
			return nil, ReasonGroups
		}
		if _, left := elsewhere[name]; left {
			return nil, ReasonGroups
		}
	}
	if raw, present := c["hasgroups"]; present && string(raw) != "false" {
		return nil, ReasonGroups
	}
	if _, present := c[name]; !present {
		return nil, ""
	}
	list, ok := c.texts(name)
	if !ok || len(list) > maxGroups || slices.ContainsFunc(list, func(group string) bool { return group == "" || !isPlain(group) }) {
		return nil, ReasonGroups
	}
	return list, ""
}

// texts reads a string, or a list of strings and nothing else.
func (c claims) texts(name string) ([]string, bool) {
	raw := c[name]
	if one, ok := text(raw); ok {
		return []string{one}, true
	}
	if len(raw) == 0 || raw[0] != '[' {
		return nil, false
	}
	var items []josejson.RawMessage
	if err := josejson.Unmarshal(raw, &items); err != nil {
		return nil, false
	}
	list := make([]string, len(items))
	for i, item := range items {
		var ok bool
		if list[i], ok = text(item); !ok {
			return nil, false
		}
	}
	return list, true
}

// numericDate reads RFC 7519's NumericDate: a JSON number, perhaps with a fraction, which is dropped.
func numericDate(raw josejson.RawMessage) (time.Time, bool) {
	if len(raw) == 0 || raw[0] < '0' || raw[0] > '9' {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || seconds > maxNumericDate {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}

// isPlain: no control or other invisible characters, which make a log or a table say something else than it holds.
func isPlain(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
