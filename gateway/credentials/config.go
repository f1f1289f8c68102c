package credentials

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
)

const (
	// defaultTimeout is for one request. While Vault is out of reach a client should hear so within this time.
	defaultTimeout = 5 * time.Second
	defaultMount   = "database"
	// maxAhead bounds the roles that nobody uses.
	maxAhead = 64
)

// VaultConfig says where Vault is and who we are to it. Exactly one of Token, TokenFile, AppRole, JWT and Certificate is set.
type VaultConfig struct {
	Address    string // https://host:port
	Namespace  string // team or team/sub; "": none, which is the root
	CAFile     string // PEM; "": the system's
	ServerName string // in Vault's certificate; "": the address's host
	Mount      string // of the database secrets engine; "": database

	Token       string
	TokenFile   string // read at each login, as one that Vault Agent keeps
	AppRole     AppRole
	JWT         JWT
	Certificate Certificate

	JournalFile       string        // remembers the open leases for a gateway that is killed; "": none is kept
	Ahead             int           // how many credentials of each role lie ready; see Vault.Take
	Timeout           time.Duration // of one request; 0: five seconds
	InsecurePlaintext bool          // allow http:// to a host other than this one: whoever is on the way gets every credential
}

func (c VaultConfig) withDefaults() VaultConfig {
	for _, mount := range []struct {
		path      *string
		otherwise string
	}{
		{&c.Mount, defaultMount}, {&c.AppRole.Mount, defaultAppRole}, {&c.JWT.Mount, defaultJWT}, {&c.Certificate.Mount, defaultCertificate},
	} {
		if *mount.path == "" {
			*mount.path = mount.otherwise
		}
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Namespace != "" { // as Vault's own client sends it
		c.Namespace = strings.Trim(c.Namespace, "/") + "/"
	}
	return c
}

func (c VaultConfig) validate() error {
	ways := 0
	for _, set := range []bool{
		c.Token != "", c.TokenFile != "", c.AppRole.RoleIDFile != "" || c.AppRole.SecretIDFile != "", c.JWT.TokenFile != "",
		c.Certificate.CertificateFile != "" || c.Certificate.KeyFile != "",
	} {
		if set {
			ways++
		}
	}
	var errs []error
	if ways != 1 {
		errs = append(errs, errors.New("exactly one of token, token file, AppRole, JWT and certificate must be configured"))
	}
	if c.Ahead < 0 || c.Ahead > maxAhead {
		errs = append(errs, fmt.Errorf("%d credentials of a role cannot be issued ahead: 0 to %d", c.Ahead, maxAhead))
	}
	if (c.AppRole.RoleIDFile == "") != (c.AppRole.SecretIDFile == "") {
		errs = append(errs, errors.New("AppRole needs a role id file and a secret id file"))
	}
	if (c.Certificate.CertificateFile == "") != (c.Certificate.KeyFile == "") {
		errs = append(errs, errors.New("a certificate needs its key file, and a key its certificate file"))
	}
	for _, mount := range []string{c.Mount, c.AppRole.Mount, c.JWT.Mount, c.Certificate.Mount} {
		if !ValidPath(mount) {
			errs = append(errs, fmt.Errorf("the mount %q is no path of letters, digits, '.', '_' and '-'", mount))
		}
	}
	if c.Namespace != "" && !validNamespace(c.Namespace) {
		errs = append(errs, fmt.Errorf("the namespace %q is no path of names without spaces", c.Namespace))
	}
	return errors.Join(append(errs, c.validateAddress())...)
}

// validNamespace takes what Vault may have called a namespace, which is more than what engines are called
// (https://developer.hashicorp.com/vault/docs/enterprise/namespaces#namespace-naming-restrictions), and nothing that is no header.
func validNamespace(path string) bool {
	for name := range strings.SplitSeq(strings.TrimSuffix(path, "/"), "/") {
		odd := func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }
		if name == "" || name == "." || name == ".." || strings.ContainsFunc(name, odd) {
			return false
		}
	}
	return true
}

func (c VaultConfig) validateAddress() error {
	address, err := url.Parse(c.Address)
	switch {
	case err != nil || address.Host == "":
		return errors.New("the address is not a URL with a host") // url.Parse quotes what may hold a password
	case address.User != nil || address.RawQuery != "" || address.Fragment != "":
		return errors.New("the address has more than scheme, host and path")
	case address.Scheme == "https":
		return nil
	case address.Scheme != "http":
		return fmt.Errorf("the address's scheme %q is not https", address.Scheme)
	case c.InsecurePlaintext || loopback(address.Hostname()):
		return nil
	}
	return errors.New("http to another host shows every credential to the network: use https")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// segment is one part of a path, as Vault itself accepts role names: nothing that could lead to another path.
var segment = regexp.MustCompile(`^\w(?:[\w.-]*\w)?$`)

// ValidPath says whether a path leads to where it says in Vault.
func ValidPath(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if !segment.MatchString(part) {
			return false
		}
	}
	return true
}
