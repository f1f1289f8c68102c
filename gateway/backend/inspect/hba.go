package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// line is one of pg_hba.conf, https://www.postgresql.org/docs/current/view-pg-hba-file-rules.html.
type line struct {
	Number    int      `json:"line_number"`
	File      string   `json:"file_name"` // since 16
	Type      string   `json:"type"`
	Databases []string `json:"database"`
	Users     []string `json:"user_name"`
	Address   string   `json:"address"`
	Netmask   string   `json:"netmask"`
	Method    string   `json:"auth_method"`
	Options   []string `json:"options"`
	Error     string   `json:"error"`
}

// hba looks at pg_hba.conf, as it is on the disk.
func (i *inspection) hba(ctx context.Context) error {
	const what = "pg_hba.conf: who may log in from where"
	rows, seen, err := i.ask(ctx, "hba", what, `SELECT coalesce(json_agg(to_json(r)), '[]')::text FROM pg_hba_file_rules r`)
	if err != nil || !seen {
		return err
	}
	var lines []line
	if len(rows) != 1 || json.Unmarshal([]byte(rows[0][0]), &lines) != nil {
		i.report.Unseen = append(i.report.Unseen, Unseen{"hba", what, "pg_hba_file_rules says nothing that could be read"})
		return nil
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.Number - b.Number })
	for _, l := range lines {
		i.hbaLine(l)
	}
	return nil
}

// hbaLine makes one finding of a line at most, the worst, with a line in its place that is free of all.
func (i *inspection) hbaLine(l line) {
	found := func(check string, severity Severity, what, why string) {
		i.find(Finding{
			Check: "hba." + check, Severity: severity, Cluster: true, What: fmt.Sprintf("%s %s: %s", l.place(), what, l.String()),
			Why: why, Fix: []string{i.better(l).String()}, Kind: HBA,
		})
	}
	remote := l.Type != "local"
	switch {
	case l.Error != "":
		i.find(Finding{
			Check: "hba.error", Severity: High, Cluster: true, What: fmt.Sprintf("%s cannot be read: %s", l.place(), l.Error),
			Why: "PostgreSQL goes on with the lines it read before; after a restart it does not start.", Fix: []string{"correct or remove the line"}, Kind: Command,
		})
	case l.Method == "reject":
	case l.Method == "trust" && !(l.Type == "hostssl" && l.certified()):
		found("trust", High, "lets everybody in who says a name", "Nobody is asked to prove anything: whoever reaches the port, or has a shell, is every role that it matches.")
	case l.Method == "ident" && remote:
		found("ident", High, "believes the client's machine", "Whoever has root on that machine, or its address, is every role that it matches.")
	case l.Method == "password" && l.Type != "hostssl":
		found("password", High, "asks for passwords in the clear", "Whoever is on the way reads them; and the server, or who took its place, gets them as they are.")
	case l.forSessions(i.about.Groups) && remote && !l.certified() && i.beyond(l):
		found("others", High, "lets the roles of sessions in from elsewhere than the gateway",
			"A credential that was stolen, or a password that a role gave itself, is of use without the gateway: unjudged and unrecorded.")
	case remote && l.Type != "hostssl" && l.Type != "hostgssenc":
		found("plain", Medium, "takes connections without TLS", "What is read and written can be read and changed on the way. The gateway itself always comes by TLS.")
	case slices.Contains([]string{"password", "ldap", "pam", "bsd", "radius"}, l.Method):
		found("password", Medium, "asks for passwords in the clear", "The server, or who took its place, gets them as they are.")
	case l.Method == "md5":
		found("md5", Medium, "takes MD5", "An MD5 hash from a backup logs in as it is, and proves nothing of the server to the client.")
	}
}

// better is the line without what is wrong with it.
func (i *inspection) better(l line) line {
	if l.Type == "local" {
		l.Method, l.Options = "peer", nil
		return l
	}
	l.Type = "hostssl"
	if l.Method != "cert" {
		l.Method = "scram-sha-256"
		l.Options = slices.DeleteFunc(slices.Clone(l.Options), func(o string) bool { return !strings.HasPrefix(o, "clientcert=") })
	}
	if l.forSessions(i.about.Groups) && !l.certified() && len(i.about.Gateways) > 0 {
		l.Options = append(l.Options, "clientcert=verify-ca")
		if i.beyond(l) {
			gateway := i.about.Gateways[0]
			l.Address, l.Netmask = gateway.Masked().String(), ""
		}
	}
	return l
}

// beyond says whether a line is for more than the gateways.
func (i *inspection) beyond(l line) bool {
	network, ok := l.network()
	return !ok || !slices.ContainsFunc(i.about.Gateways, func(gateway netip.Prefix) bool {
		return gateway.Bits() <= network.Bits() && gateway.Contains(network.Addr())
	})
}

// network is what a line's address stands for; ok is false for a host name, and for words such as all.
func (l line) network() (netip.Prefix, bool) {
	address, err := netip.ParseAddr(l.Address)
	if err != nil {
		return netip.Prefix{}, false
	}
	mask, err := netip.ParseAddr(l.Netmask)
	if err != nil {
		return netip.Prefix{}, false
	}
	bits := 0
	for _, b := range mask.AsSlice() {
		for ; b&0x80 != 0; b <<= 1 {
			bits++
		}
	}
	return netip.PrefixFrom(address, bits), true
}

// forSessions says whether a line is for roles that are made for a session. Of a pattern nobody knows.
func (l line) forSessions(groups []string) bool {
	if slices.Equal(l.Databases, []string{"replication"}) {
		return false
	}
	return slices.ContainsFunc(l.Users, func(user string) bool {
		group, isGroup := strings.CutPrefix(user, "+")
		return user == "all" || isGroup && slices.Contains(groups, group) || strings.HasPrefix(user, "/")
	})
}

// certified says whether a line asks for a certificate, too.
func (l line) certified() bool {
	return l.Method == "cert" || slices.ContainsFunc(l.Options, func(o string) bool { return strings.HasPrefix(o, "clientcert=verify") })
}

func (l line) place() string {
	if l.File != "" {
		return fmt.Sprintf("line %d of %s", l.Number, l.File)
	}
	return fmt.Sprintf("line %d of pg_hba.conf", l.Number)
}

// String is the line as it could be in the file.
func (l line) String() string {
	parts := []string{l.Type, words(l.Databases), words(l.Users)}
	if l.Address != "" {
		address := l.Address
		if network, ok := l.network(); ok {
			address = network.String()
		}
		parts = append(parts, address)
	}
	return strings.Join(append(append(parts, l.Method), l.Options...), " ")
}

// words are names, with quotes around those that need them.
func words(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		if quoted[i] = name; strings.ContainsAny(name, " \t,#\"") {
			quoted[i] = `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		}
	}
	return strings.Join(quoted, ",")
}
