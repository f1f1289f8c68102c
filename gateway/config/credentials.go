package config

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/gateway/credentials"
)

// Bounds of what minted roles hold for. A role of a few seconds costs the backend more than its sessions do.
const (
	defaultMintedTTL    = 15 * time.Minute
	minMintedTTL        = 5 * time.Second
	maxMintedTTL        = 24 * time.Hour
	defaultMaxMintedTTL = 12 * time.Hour
	maxMaxMintedTTL     = 30 * 24 * time.Hour
	// maxProvisioning bounds the connections that no session has.
	defaultProvisioning = 2
	maxProvisioning     = 16
)

// Minted says how the gateway makes the roles of a database's sessions itself.
type Minted struct {
	User, PasswordFile string // the provisioning role's
	Owner              string
	Owners             map[string]string // by group: who gets what its sessions leave, in place of Owner
	TTL, MaxTTL        time.Duration
	Ahead, Connections int
	JournalFile        string // "": none is kept
}

// sourceKeys are the keys of a database that are for one source of credentials.
var sourceKeys = map[string]credentials.Source{
	"vault_roles": credentials.SourceVault, "minted": credentials.SourceMinted, "static": credentials.SourceStatic,
	"vault_static_roles": credentials.SourceVaultStatic, "vault_kv": credentials.SourceVaultKV, "vault_pki": credentials.SourceVaultPKI,
}

// readCredentials reads where a database's credentials come from. vault says whether there is the section of that name.
func (c *Config) readCredentials(key string, db *Database, s *section, vault bool) {
	otherwise := credentials.SourceMinted
	if vault {
		otherwise = credentials.SourceVault
	}
	db.Credentials = credentials.Source(s.oneOf("credentials", string(otherwise),
		"vault", "vault-static", "vault-kv", "vault-pki", "minted", "static"))
	for _, name := range slices.Sorted(maps.Keys(sourceKeys)) {
		s.known[name] = true
		if of := sourceKeys[name]; s.has(name) && of != db.Credentials {
			s.at(name).problem("is for credentials: %s, but this database's are %s: remove it, or set credentials: %s", of, db.Credentials, of)
		}
	}
	optional := c.passesThrough(key) && !s.has("catalog")
	if db.Credentials.OfVault() && !vault && s.has("credentials") {
		s.at("credentials").problem("is %s, but there is no section vault: add it", db.Credentials)
	}
	switch db.Credentials {
	case credentials.SourceVaultStatic, credentials.SourceVaultKV, credentials.SourceVaultPKI:
		readEngine(db, s, optional)
	case credentials.SourceVault:
		db.VaultRoles = s.words("vault_roles")
		if len(db.VaultRoles) == 0 && !c.passesThrough(key) {
			s.missing("vault_roles", "which Vault role each of the policy's roles gets, for example {readonly: app-readonly}")
		}
	case credentials.SourceMinted:
		if s.has("minted") {
			c.readMinted(db, s.section("minted"))
		} else if !optional {
			s.missing("minted", "the provisioning role with which the gateway makes its sessions' roles, or the section vault")
		}
	case credentials.SourceStatic:
		if s.has("static") {
			c.readStatic(db, s.section("static"))
		} else if !optional {
			s.missing("static", "the database user and its password file for each of the policy's roles")
		}
	}
}

func (c *Config) readMinted(db *Database, s *section) {
	m := &Minted{
		User:         s.required("user", "the name of the provisioning role"),
		PasswordFile: s.requiredFile("password_file", "", "the file with the provisioning role's password"),
		Owner:        s.required("owner", "the role that gets what sessions leave behind, for example app_objects"),
		TTL:          s.duration("ttl", defaultMintedTTL, minMintedTTL, maxMintedTTL),
		Ahead:        s.number("ahead", defaultAhead, 0, maxAhead),
		Connections:  s.number("connections", defaultProvisioning, 1, maxProvisioning),
		JournalFile:  s.file("journal_file", ""),
	}
	m.MaxTTL = s.duration("max_ttl", max(defaultMaxMintedTTL, m.TTL), m.TTL, maxMaxMintedTTL)
	db.Minted, db.VaultRoles = m, s.words("groups")
	if len(db.VaultRoles) == 0 {
		s.empty("groups", "which database role the sessions of each of the policy's roles are members of, for example {readonly: app_readonly}")
	}
	for role, group := range db.VaultRoles {
		s.checkName("groups."+role, group)
	}
	s.checkName("user", m.User)
	s.checkName("owner", m.Owner)
	m.Owners = s.owners(db.VaultRoles)
	c.readsSecret(s.pathOf("password_file"), m.PasswordFile)
	c.writes(s.pathOf("journal_file"), m.JournalFile)
	c.onlyJournal(s, m.JournalFile)
	s.done()
}

// owners reads who gets what is left by the sessions of some of the policy's roles.
func (s *section) owners(groups map[string]string) map[string]string {
	var owners map[string]string // nil: none
	for role, owner := range s.words("owners") {
		s.checkName("owners."+role, owner)
		if groups[role] == "" {
			s.at("owners").problem("has %q, which is none of groups: name one of the policy's roles there", role)
			continue
		}
		if owners == nil {
			owners = make(map[string]string)
		}
		owners[groups[role]] = owner
	}
	return owners
}

// onlyJournal refuses a journal that another source of credentials keeps.
func (c *Config) onlyJournal(s *section, name string) {
	for _, f := range c.files[:max(0, len(c.files)-1)] {
		if f.use == useWrite && f.name == name && name != "" {
			s.at("journal_file").problem("is %s's, too: name another file", f.path)
		}
	}
}

// empty reports a mapping that is missing, or has nothing in it.
func (s *section) empty(key, what string) {
	if s.missing(key, what); !s.has(key) {
		return
	}
	if v := s.at(key); v.node.Kind == yaml.MappingNode && len(v.node.Content) == 0 {
		v.problem("is empty: set %s", what)
	}
}

// checkName refuses what PostgreSQL would cut.
func (s *section) checkName(key, name string) {
	if len(name) > maxNameBytes {
		s.d.problem(s.line, s.pathOf(key), "must have 1 to %d bytes", maxNameBytes)
	}
}

func (c *Config) readStatic(db *Database, s *section) {
	db.Static, db.VaultRoles = make(map[string]credentials.Account), make(map[string]string)
	names, accounts := s.sections("accounts")
	for _, name := range names {
		a := accounts[name]
		account := credentials.Account{
			User:         a.required("user", "the name of a database user"),
			PasswordFile: a.requiredFile("password_file", "", "the file with the user's password"),
		}
		a.checkName("user", account.User)
		c.reads(a.pathOf("password_file"), account.PasswordFile) // its mode is more than a warning
		a.done()
		db.Static[name], db.VaultRoles[name] = account, name
	}
	if len(names) == 0 {
		s.empty("accounts", "the database user of each of the policy's roles, for example {readonly: {user: app_reader, password_file: reader.password}}")
	}
	s.done()
}

// catalogRole is the key of a catalog that says what its session's credential is for, and what the key is to be.
func catalogRole(source credentials.Source) (key, what string) {
	switch source {
	case credentials.SourceMinted:
		return "group", "the database role that the gateway's own session is a member of, which needs nothing but to connect"
	case credentials.SourceStatic:
		return "account", "which of static.accounts the gateway's own session uses"
	case credentials.SourceVaultStatic:
		return "vault_static_role", "the static role of the gateway's own session, which needs nothing but to connect"
	case credentials.SourceVaultKV:
		return "vault_kv_path", "where in vault_kv.mount the credential of the gateway's own session lies"
	case credentials.SourceVaultPKI:
		return "user", "the database user of the gateway's own session, which needs nothing but to connect"
	}
	return "vault_role", "the Vault role of the gateway's own session, which needs nothing but to connect"
}

// UsesVault says whether any database's credentials come from Vault.
func (c *Config) UsesVault() bool {
	for _, db := range c.Places() {
		if db.Credentials.OfVault() {
			return true
		}
	}
	return false
}

// MintedGroups are the groups that a database's roles are made in.
func (db Database) MintedGroups() []string {
	groups := slices.Collect(maps.Values(db.VaultRoles))
	if db.Catalog != nil {
		groups = append(groups, db.Catalog.VaultRole)
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// credentialWarnings tell of sections without use, and of sessions that share a database user.
func (c *Config) credentialWarnings() (problems Problems) {
	if c.vault && !c.UsesVault() {
		problems = append(problems, c.Problem("vault", errors.New("is not used: the credentials of no database come from it")))
	}
	places := c.Places()
	for _, name := range slices.Sorted(maps.Keys(places)) {
		db := places[name]
		if sharing := db.Sharing(); sharing != "" && db.Shared == "" {
			key := "databases." + name + "." + sourceKey(db.Credentials)
			problems = append(problems, c.Problem(key, errors.New(sharing+": use minted or vault, where each session has a role of its own")))
		}
	}
	return problems
}

// sourceKey is the key of a database that is for a source of credentials.
func sourceKey(source credentials.Source) string {
	for key, of := range sourceKeys {
		if of == source {
			return key
		}
	}
	return "credentials"
}

// Sharing says which database users sessions share; it is "" when they have roles, or certificates, of their own.
func (db Database) Sharing() string {
	shared := slices.Sorted(maps.Values(db.VaultRoles))
	list := strings.Join(slices.Compact(shared), ", ")
	switch {
	case len(shared) == 0:
		return ""
	case db.Credentials == credentials.SourceVaultStatic:
		return "sessions share the database users of Vault's static roles " + list + ", and nothing is dropped when one ends"
	case db.Credentials == credentials.SourceVaultKV:
		return "sessions share the database users that lie in Vault at " + list + ", and their passwords stay good until somebody changes them"
	case db.Credentials != credentials.SourceStatic:
		return ""
	}
	users := make(map[string]bool)
	for _, account := range db.Static {
		users[account.User] = true
	}
	return "sessions share the database users " + strings.Join(slices.Sorted(maps.Keys(users)), ", ") + ", and their passwords stay good until somebody changes them"
}

// checkPasswords finds out whether the passwords of provisioning roles and static accounts can be read.
func (c *Config) checkPasswords(*Report) error {
	var problems Problems
	for name, db := range c.Places() {
		if db.Shared != "" {
			continue
		}
		if db.Minted != nil {
			_, err := readSecret(db.Minted.PasswordFile)
			problems = append(problems, c.each("databases."+name+".minted.password_file", err)...)
		}
		problems = append(problems, c.each("databases."+name+".static", credentials.NewStatic(db.Static).Ready())...)
	}
	return problems.err()
}
