package config

import (
	"github.com/sallyport/sallyport/gateway/backend"
	"github.com/sallyport/sallyport/gateway/credentials"
)

// The engines' usual mounts.
const (
	defaultKVMount  = "secret"
	defaultPKIMount = "pki"
)

// readEngine reads what a database's credentials are in one of Vault's engines besides dynamic roles. optional: no session needs one.
func readEngine(db *Database, s *section, optional bool) {
	key := sourceKey(db.Credentials)
	if !s.has(key) {
		if !optional {
			s.missing(key, engineUse[db.Credentials])
		}
		return
	}
	switch db.Credentials {
	case credentials.SourceVaultStatic:
		if db.VaultRoles = s.words(key); len(db.VaultRoles) == 0 {
			s.empty(key, engineUse[db.Credentials])
		}
	case credentials.SourceVaultKV:
		readKV(db, s.section(key))
	case credentials.SourceVaultPKI:
		readPKI(db, s.section(key))
	}
}

// engineUse says what is to be set for a source.
var engineUse = map[credentials.Source]string{
	credentials.SourceVaultStatic: "which static role of Vault's each of the policy's roles gets, for example {readonly: app-reader}",
	credentials.SourceVaultKV:     "where in Vault the credential of each of the policy's roles lies, for example {paths: {readonly: app/reader}}",
	credentials.SourceVaultPKI:    "the role that signs, and the database user of each of the policy's roles, for example {role: app, users: {readonly: app_reader}}",
}

func readKV(db *Database, s *section) {
	db.KVMount = s.text("mount", defaultKVMount)
	if db.VaultRoles = s.words("paths"); len(db.VaultRoles) == 0 {
		s.empty("paths", "where the credential of each of the policy's roles lies, for example {readonly: app/reader}")
	}
	s.checkPath("mount", db.KVMount)
	for role, path := range db.VaultRoles {
		s.checkPath("paths."+role, path)
	}
	s.done()
}

func readPKI(db *Database, s *section) {
	db.PKI = credentials.PKIConfig{
		Mount: s.text("mount", defaultPKIMount), Role: s.required("role", "the role of Vault's that signs"), Revoke: !s.has("revoke") || s.boolean("revoke"),
	}
	if db.VaultRoles = s.words("users"); len(db.VaultRoles) == 0 {
		s.empty("users", "the database user of each of the policy's roles, for example {readonly: app_reader}")
	}
	s.checkPath("mount", db.PKI.Mount)
	for role, user := range db.VaultRoles {
		s.checkName("users."+role, user)
	}
	s.known["revoke"] = true
	s.done()
}

// checkPath refuses what could lead elsewhere in Vault.
func (s *section) checkPath(key, path string) {
	if !credentials.ValidPath(path) {
		s.d.problem(s.line, s.pathOf(key), "is %q: a path of letters, digits, '.', '_' and '-' is needed", path)
	}
}

// defaultMethod is what a backend may ask for whose file does not say so.
func defaultMethod(source credentials.Source) backend.Method {
	if source == credentials.SourceVaultPKI {
		return backend.MethodCertificate
	}
	return backend.MethodSCRAM
}

// checkCertified refuses what leaves no room for a session's own certificate.
func checkCertified(db Database, s, tls *section) {
	if db.Authentication != backend.MethodCertificate {
		s.at("authentication").problem("is %s, but the credentials are certificates: set cert, or leave it out", db.Authentication)
	}
	if db.TLS.Certificate != "" {
		tls.at("certificate").problem("is of no use: sessions show the certificates that Vault signs for them; remove it")
	}
}
