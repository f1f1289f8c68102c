package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/gateway/backend"
	"github.com/sallyport/sallyport/gateway/credentials"
	"github.com/sallyport/sallyport/tlsutil"
)

// maxNameBytes is NAMEDATALEN-1: PostgreSQL cuts longer names, so two of them could mean the same.
const maxNameBytes = 63

func (c *Config) readPolicy(s *section) {
	bundled := s.has("bundle")
	c.Policy = Policy{Shadow: s.file("shadow", ""), InsecureAllowNetwork: s.boolean("insecure_allow_network")}
	switch directory := s.has("directory"); {
	case bundled && directory:
		s.at("bundle").problem("and directory exclude each other: a policy is in one place")
	case bundled:
		c.Policy.Bundle = c.readBundle(s.section("bundle"))
	}
	if !bundled {
		c.Policy.Directory = s.requiredFile("directory", "", "the directory of the policy")
	}
	c.readsDirectory("policy.directory", c.Policy.Directory)
	c.readsDirectory("policy.shadow", c.Policy.Shadow)
	if c.Policy.Shadow != "" && c.Policy.Shadow == c.Policy.Directory {
		s.at("shadow").problem("is the policy that is in force: name another directory")
	}
	s.known["directory"], s.known["bundle"] = true, true
	s.done()
}

func (c *Config) readDatabases(root *section) {
	names, sections := root.sections("databases")
	if len(names) == 0 {
		root.missing("databases", "at least one database that clients may name")
	}
	c.Databases = make(map[string]Database)
	for _, name := range names {
		if len(name) > maxNameBytes || name == "" {
			root.d.problem(sections[name].line, sections[name].path, "must have 1 to %d bytes", maxNameBytes)
		}
		c.Databases[name] = c.readDatabase(name, sections[name])
	}
}

func (c *Config) readDatabase(key string, s *section) Database {
	var db Database
	c.readHosts(&db, s, nil)
	db.Name = s.text("name", key)
	db.SearchPath = s.texts("search_path")
	db.Observe = s.oneOf("enforcement", "enforce", "enforce", "observe") == "observe"
	c.readCredentials(key, &db, s, c.vault)
	db.Authentication = backend.Method(s.oneOf("authentication", string(defaultMethod(db.Credentials)), backendMethods()...))
	db.Catalog = readCatalog(s, db)
	if len(db.Name) > maxNameBytes {
		s.at("name").problem("must have 1 to %d bytes", maxNameBytes)
	}
	s.checkSearchPath(db.SearchPath)
	c.readBackendTLS(&db, s)
	c.readRoutes(key, &db, s)
	s.done()
	return db
}

// readBackendTLS reads whom to trust as a backend, and who the gateway is to it.
func (c *Config) readBackendTLS(db *Database, s *section) {
	t := s.section("tls")
	db.TLS = tlsutil.ClientFiles{
		CA:          t.requiredFile("ca_file", "", "the CA that the backend's certificate comes from"),
		Certificate: t.file("certificate", ""),
		Key:         t.file("key", ""),
		ServerName:  t.text("server_name", ""),
	}
	db.DirectTLS = t.oneOf("negotiation", "postgres", "postgres", "direct") == "direct"
	if (db.TLS.Certificate == "") != (db.TLS.Key == "") {
		s.d.problem(t.line, t.path, "certificate and key go together: set both")
	}
	if db.Credentials == credentials.SourceVaultPKI {
		checkCertified(*db, s, t)
	} else if db.Authentication == backend.MethodCertificate && db.TLS.Certificate == "" {
		s.at("authentication").problem("is cert: set tls.certificate and tls.key, by which the backend knows the gateway")
	}
	c.reads(t.pathOf("ca_file"), db.TLS.CA)
	c.reads(t.pathOf("certificate"), db.TLS.Certificate)
	c.readsSecret(t.pathOf("key"), db.TLS.Key)
	t.done()
}

func backendMethods() []string {
	return []string{
		string(backend.MethodSCRAM), string(backend.MethodSCRAMPlus), string(backend.MethodMD5), string(backend.MethodCertificate),
	}
}

// passesThrough says whether a rule lets clients use their own credentials at a database.
func (c *Config) passesThrough(database string) bool {
	return slices.ContainsFunc(c.Authentication.Rules, func(rule authn.Rule) bool {
		return rule.Method.PassesThrough() && (anyDatabase(rule) || slices.Contains(rule.Databases, database))
	})
}

// anyDatabase says whether a rule is for whichever database a client names.
func anyDatabase(rule authn.Rule) bool {
	return len(rule.Databases) == 0 || slices.Contains(rule.Databases, "all")
}

// checkSearchPath refuses schemas that change under the session, or that the gateway puts there itself.
func (s *section) checkSearchPath(schemas []string) {
	for i, schema := range schemas {
		path := indexed(s.pathOf("search_path"), i)
		switch {
		case schema == "$user" || strings.HasPrefix(schema, "pg_temp"):
			s.d.problem(s.d.lines[path], path, "is %q, which names another schema in every session: remove it (pg_temp is always searched last)", schema)
		case len(schema) > maxNameBytes:
			s.d.problem(s.d.lines[path], path, "must have 1 to %d bytes", maxNameBytes)
		}
	}
}

// words reads a mapping of names to names.
func (s *section) words(key string) map[string]string {
	inner := s.section(key)
	words := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(inner.nodes)) {
		words[name] = inner.required(name, "a name")
	}
	return words
}

func indexed(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i+1) }
