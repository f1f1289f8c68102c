// Package config reads the gateway's configuration: a YAML file, and a few environment variables that say where secrets are.
//
// It is strict. Unknown keys, keys set twice, values of the wrong kind and out of range, names that refer to nothing: all of them are
// errors, and all come at once, each with its line and what to do.
//
// The environment names files only, never secrets themselves: SALLYPORT_TLS_KEY_FILE, SALLYPORT_ADMIN_TOKEN_FILE,
// SALLYPORT_SCRAM_MOCK_SECRET_FILE, SALLYPORT_AUDIT_KEY_FILE, SALLYPORT_AUDIT_OTLP_TOKEN_FILE, SALLYPORT_AUDIT_WEBHOOK_TOKEN_FILE,
// SALLYPORT_VAULT_TOKEN_FILE, SALLYPORT_VAULT_ROLE_ID_FILE and SALLYPORT_VAULT_SECRET_ID_FILE take the place of the keys they are named after. An empty one is not set; an unknown SALLYPORT_ variable is an error.
// The variables of Vault's own clients fill in for keys of the section vault that the file leaves out; VAULT_TOKEN is the one secret among them.
package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authn/certificate"
	"github.com/sallyport/sallyport/authn/oidc"
	"github.com/sallyport/sallyport/authn/operators"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/backend"
	"github.com/sallyport/sallyport/gateway/backend/hosts"
	"github.com/sallyport/sallyport/gateway/credentials"
	"github.com/sallyport/sallyport/tlsutil"
)

// maxFileBytes bounds the file: thousands of databases.
const maxFileBytes = 4 << 20

// Config is a configuration that is well-formed. What its files hold is not known yet: see Check.
type Config struct {
	File   string
	Digest string // SHA-256 of the file, hex

	Listen         string // host:port
	ProxyProtocol  ProxyProtocol
	TLS            KeyPair
	Admin          Admin
	Authentication Authentication
	Policy         Policy
	Vault          credentials.VaultConfig
	Databases      map[string]Database
	Audit          Audit
	Statements     Statements
	Limits         gateway.Limits
	Timeouts       gateway.Timeouts
	Log            Log

	vault bool   // there is a section vault
	files []file // that are read or written at start
	lines map[string]int
}

// ProxyProtocol says whom the gateway believes about where clients are.
type ProxyProtocol struct {
	Trusted []netip.Prefix // the proxies that say it, and must; empty: nobody
}

// KeyPair names the files of a certificate and its key.
type KeyPair struct {
	Certificate, Key string
	ClientCA         string // whose certificates clients may show; "": they are not asked for one
}

// Admin configures the admin listener.
type Admin struct {
	Listen    string  // host:port; "" for none
	TokenFile string  // whose holders may read; "": there is none
	TLS       KeyPair // certificate and key empty: plain HTTP
	Profiles  bool    // /debug/pprof/ is answered

	Audiences         []string // by which tokens mean the control API
	AuthorizedParties []string // azp or client_id; empty: the audiences
	Operators         []operators.Rule
	RefusalsFile      string // who is not let in; "": nobody can be refused
}

// Authentication says who may prove what, and how.
type Authentication struct {
	Userlist       string // "": nobody has a password
	Iterations     int
	MockSecretFile string // "": a new secret for every start
	Issuers        []Issuer
	Certificates   []certificate.Mapping // empty: the common name is the user
	Rules          authn.Rules
	Throttle       Throttle
}

// Throttle says whether failed logins slow down those after them.
type Throttle struct {
	Disabled bool
	Shared   []netip.Prefix // addresses that many stand behind
}

// Issuer is an OpenID provider under the name that rules use.
type Issuer struct {
	Name  string
	Scope string // that OAUTHBEARER clients are told to ask for; "": openid
	oidc.Config
	RecheckSecretFile string // of Config.Recheck's client; "": none
}

// Policy says where the policy is: in a directory, or in a bundle.
type Policy struct {
	Directory            string
	Bundle               *Bundle // nil: a directory
	Shadow               string  // of a second policy that decides nothing; "": none
	InsecureAllowNetwork bool
}

// Database is one database behind the gateway.
type Database struct {
	Hosts      []Host
	Name       string
	TLS        tlsutil.ClientFiles
	DirectTLS  bool // tls.negotiation: direct
	SearchPath []string
	VaultRoles map[string]string // from the policy's roles, or the groups or accounts; may be empty when clients pass their own credentials through
	Observe    bool              // enforcement: observe

	Authentication backend.Method // what the backend may ask for

	Target         hosts.Target  // what sessions want of a host
	LoadBalance    bool          // by chance, among those that are what is wanted
	ConnectTimeout time.Duration // of each host; 0: as long as a login may take, with several hosts three seconds
	MaxConnections int           // sessions at once; 0: no limit
	Queue          time.Duration // how long a client waits for one of them to end; 0: five seconds

	Routes map[string]Database // by the names that a connect decision may give
	Shared string              // of a route: the database that its credentials and its catalog are those of; "": it has its own

	Catalog *Catalog // nil: names are judged as written

	Credentials credentials.Source
	Minted      *Minted                        // nil: they are not, or no session needs one
	Static      map[string]credentials.Account // by the policy's roles; nil: they are not
	KVMount     string                         // of Vault's key/value engine; "": they are not there
	PKI         credentials.PKIConfig          // zero: they are no certificates
}

// Statements configures the parser's workers.
type Statements struct{ Workers int }

// Log configures what the gateway says of itself.
type Log struct {
	Level slog.Level
	JSON  bool
}

// Load reads a file. environ is the environment, as os.Environ has it. The error is Problems, unless the file could not be read.
func Load(path string, environ []string) (*Config, error) {
	content, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	sum := sha256.Sum256(content)
	d := &document{file: path, dir: filepath.Dir(path), lines: make(map[string]int)}
	d.environment(environ)
	c := &Config{File: path, Digest: hex.EncodeToString(sum[:]), lines: d.lines}
	if root := d.parse(content); root != nil {
		c.read(root)
	}
	return c, d.problems.err()
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFileBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFileBytes)
	}
	return content, nil
}

// variables are the environment variables that Load knows.
var variables = [...]string{
	"SALLYPORT_TLS_KEY_FILE", "SALLYPORT_ADMIN_TOKEN_FILE", "SALLYPORT_SCRAM_MOCK_SECRET_FILE",
	"SALLYPORT_AUDIT_KEY_FILE", "SALLYPORT_AUDIT_OTLP_TOKEN_FILE", "SALLYPORT_AUDIT_WEBHOOK_TOKEN_FILE",
	"SALLYPORT_VAULT_TOKEN_FILE", "SALLYPORT_VAULT_ROLE_ID_FILE", "SALLYPORT_VAULT_SECRET_ID_FILE",
}

// others are variables of commands that read no configuration.
var others = [...]string{"SALLYPORT_ADMIN_URL", "SALLYPORT_OPERATOR_TOKEN"}

// environment keeps the variables that are ours. One that is misspelt would leave another secret in use than was meant.
func (d *document) environment(environ []string) {
	d.environ = make(map[string]string)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		d.vaultEnvironment(name, value)
		if !strings.HasPrefix(name, "SALLYPORT_") || slices.Contains(others[:], name) {
			continue
		}
		if !slices.Contains(variables[:], name) {
			d.problem(0, "", "environment variable %s is not one that exists: these are %s", name, strings.Join(variables[:], ", "))
		}
		d.environ[name] = value
	}
}

// yamlLine finds the line in yaml's own errors ("yaml: line 3: …").
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// parse returns the file as one section, or nil when it is not YAML.
func (d *document) parse(content []byte) *section {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var root, second yaml.Node
	switch err := decoder.Decode(&root); {
	case errors.Is(err, io.EOF):
		d.problem(0, "", "is empty")
		return nil
	case err != nil:
		match := yamlLine.FindStringSubmatch(err.Error())
		line := 0
		if match != nil && match[1] != "" {
			line, _ = strconv.Atoi(match[1])
		}
		d.problem(line, "", "is not YAML: %s", strings.TrimPrefix(err.Error(), strings.Join(match[:min(1, len(match))], "")))
		return nil
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		d.problem(second.Line, "", "holds a second document: keep one")
	}
	node := root.Content[0]
	if node.ShortTag() == "!!null" {
		d.problem(0, "", "is empty")
		return nil
	}
	return d.mapping(node, "", node.Line)
}

// read takes every key of the file, in the order of the documentation.
func (c *Config) read(s *section) {
	c.Listen = s.address("listen", "where clients connect, for example 0.0.0.0:6432")
	c.readProxyProtocol(s.section("proxy_protocol"))
	c.readTLS(s.section("tls"))
	c.readAdmin(s.section("admin"))
	c.readAuthentication(s.section("authentication"))
	c.readPolicy(s.section("policy"))
	s.known["vault"] = true
	if c.vault = s.has("vault"); c.vault {
		c.readVault(s.section("vault"))
	}
	c.readDatabases(s)
	c.readAudit(s.section("audit"))
	c.readStatements(s.section("statements"))
	c.readLimits(s.section("limits"))
	c.readTimeouts(s.section("timeouts"))
	c.readLog(s.section("log"))
	s.done()
	c.crossCheck(s.d)
	c.checkRouteKeys(s.d)
}

// Problem is one that was found later than by Load, at a key of the file.
func (c *Config) Problem(path string, err error) Problem {
	line := c.lines[path]
	for parent := path; line == 0 && parent != ""; line = c.lines[parent] {
		parent = parent[:max(0, strings.LastIndexAny(parent, ".["))]
	}
	return Problem{File: c.File, Line: line, Path: path, Message: err.Error()}
}
