package inspect

import (
	"net/netip"
	"strings"
	"testing"
)

// TestHBALine: what is found of a line, and the line that takes its place, of which nothing is found.
func TestHBALine(t *testing.T) {
	all := []string{"all"}
	for name, test := range map[string]struct {
		line   line
		check  string // "": nothing
		better string
	}{
		"the gateway's":            {line{Type: "hostssl", Databases: all, Users: all, Address: "10.0.0.10", Netmask: "255.255.255.255", Method: "scram-sha-256"}, "", ""},
		"a part of the gateways'":  {line{Type: "hostssl", Databases: all, Users: all, Address: "10.0.1.4", Netmask: "255.255.255.252", Method: "scram-sha-256"}, "", ""},
		"everybody with it":        {line{Type: "hostssl", Databases: all, Users: all, Address: "0.0.0.0", Netmask: "0.0.0.0", Method: "scram-sha-256", Options: []string{"clientcert=verify-ca"}}, "", ""},
		"by certificate":           {line{Type: "hostssl", Databases: all, Users: all, Address: "0.0.0.0", Netmask: "0.0.0.0", Method: "cert", Options: []string{"map=gateway"}}, "", ""},
		"trust with certificate":   {line{Type: "hostssl", Databases: all, Users: []string{"+app"}, Address: "10.0.0.10", Netmask: "255.255.255.255", Method: "trust", Options: []string{"clientcert=verify-ca"}}, "", ""},
		"trust, certificate plain": {line{Type: "host", Databases: all, Users: []string{"+app"}, Address: "10.0.0.10", Netmask: "255.255.255.255", Method: "trust", Options: []string{"clientcert=verify-ca"}}, "hba.trust", "hostssl all +app 10.0.0.10/32 scram-sha-256 clientcert=verify-ca"},
		"rejected":                 {line{Type: "host", Databases: all, Users: all, Address: "0.0.0.0", Netmask: "0.0.0.0", Method: "reject"}, "", ""},
		"peer":                     {line{Type: "local", Databases: all, Users: all, Method: "peer"}, "", ""},
		"replication":              {line{Type: "hostssl", Databases: []string{"replication"}, Users: all, Address: "10.9.0.0", Netmask: "255.255.0.0", Method: "scram-sha-256"}, "", ""},
		"somebody from elsewhere":  {line{Type: "hostssl", Databases: all, Users: []string{"backup"}, Address: "10.9.0.0", Netmask: "255.255.0.0", Method: "scram-sha-256"}, "", ""},
		"sessions' group":          {line{Type: "hostssl", Databases: all, Users: []string{"+app"}, Address: "10.0.0.0", Netmask: "255.255.255.0", Method: "scram-sha-256"}, "hba.others", "hostssl all +app 10.0.0.10/32 scram-sha-256 clientcert=verify-ca"},
		"another group":            {line{Type: "hostssl", Databases: all, Users: []string{"+other"}, Address: "10.0.0.0", Netmask: "255.255.255.0", Method: "scram-sha-256"}, "", ""},
		"a pattern":                {line{Type: "hostssl", Databases: all, Users: []string{"/^v-"}, Address: "10.0.0.0", Netmask: "255.255.255.0", Method: "scram-sha-256"}, "hba.others", "hostssl all /^v- 10.0.0.10/32 scram-sha-256 clientcert=verify-ca"},
		"all hosts":                {line{Type: "hostssl", Databases: all, Users: all, Address: "all", Method: "scram-sha-256"}, "hba.others", "hostssl all all 10.0.0.10/32 scram-sha-256 clientcert=verify-ca"},
		"a host name":              {line{Type: "hostssl", Databases: all, Users: all, Address: ".example.com", Method: "scram-sha-256"}, "hba.others", "hostssl all all 10.0.0.10/32 scram-sha-256 clientcert=verify-ca"},
		"IPv6":                     {line{Type: "hostssl", Databases: all, Users: all, Address: "::", Netmask: "::", Method: "scram-sha-256"}, "hba.others", "hostssl all all 10.0.0.10/32 scram-sha-256 clientcert=verify-ca"},
		"local trust":              {line{Type: "local", Databases: all, Users: all, Method: "trust"}, "hba.trust", "local all all peer"},
		"quoted names":             {line{Type: "host", Databases: []string{"a b", "c"}, Users: []string{`d"e`}, Address: "10.9.0.0", Netmask: "255.255.0.0", Method: "md5"}, "hba.plain", `hostssl "a b",c "d""e" 10.9.0.0/16 scram-sha-256`},
		"ldap":                     {line{Type: "hostssl", Databases: all, Users: []string{"x"}, Address: "10.9.0.0", Netmask: "255.255.0.0", Method: "ldap", Options: []string{"ldapserver=x"}}, "hba.password", "hostssl all x 10.9.0.0/16 scram-sha-256"},
	} {
		t.Run(name, func(t *testing.T) {
			i := &inspection{about: About{
				Groups: []string{"app"}, Gateways: []netip.Prefix{netip.MustParsePrefix("10.0.0.10/32"), netip.MustParsePrefix("10.0.1.0/24")},
			}}
			i.hbaLine(test.line)
			switch found := i.report.Findings; {
			case test.check == "" && len(found) > 0:
				t.Errorf("found %+v", found)
			case test.check == "":
			case len(found) != 1 || found[0].Check != test.check || found[0].Fix[0] != test.better || !strings.Contains(found[0].What, test.line.String()):
				t.Errorf("found %+v, want %s: %s", found, test.check, test.better)
			default:
				again := &inspection{about: i.about}
				better := i.better(test.line)
				if better.Netmask == "" && better.Address == "10.0.0.10/32" { // as PostgreSQL shows it
					better.Address, better.Netmask = "10.0.0.10", "255.255.255.255"
				}
				if again.hbaLine(better); len(again.report.Findings) > 0 {
					t.Errorf("of what takes its place: %+v", again.report.Findings)
				}
			}
		})
	}
}
