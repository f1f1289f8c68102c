package main

import (
	"slices"
	"testing"
)

func TestLoginConfig(t *testing.T) {
	l := login{port: 7777, user: "v-x/y@z", password: "a:b/c?d#e", caFile: "/nowhere/ca.crt"}
	if _, err := l.config(); err == nil {
		t.Error("an authority that cannot be read is no error")
	}
	dir := t.TempDir()
	if err := writeEnds(dir); err != nil {
		t.Fatal(err)
	}
	l.caFile = dir + "/" + bareAuthority
	c, err := l.config()
	if err != nil {
		t.Fatal(err)
	}
	if c.User != l.user || c.Password != l.password || c.Port != 7777 || c.TLSConfig == nil || c.TLSConfig.InsecureSkipVerify || len(c.Fallbacks) > 0 {
		t.Errorf("user %q, password %q, port %d, fallbacks %d", c.User, c.Password, c.Port, len(c.Fallbacks))
	}
}

func TestLoginEnv(t *testing.T) {
	has := func(l login, name string) bool {
		return slices.ContainsFunc(l.env(), func(v string) bool { return len(v) > len(name) && v[:len(name)+1] == name+"=" })
	}
	without, with := login{port: 1}, login{port: 1, certificate: "c", key: "k"}
	if has(without, "PGSSLCERT") || has(without, "PGSSLKEY") || !has(with, "PGSSLCERT") || !has(with, "PGSSLKEY") {
		t.Error("a certificate is shown where none is meant, or none where one is")
	}
	for _, name := range []string{"PGHOSTADDR", "PGSSLMODE", "PGPORT"} {
		if !has(without, name) {
			t.Errorf("no %s", name)
		}
	}
}
