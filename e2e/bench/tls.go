package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// What every leg speaks: as server and as client, Go picks this suite where the
// processor has AES instructions. OpenSSL would pick another one, and libpq
// has no parameter for those of TLS 1.3; OpenSSL's configuration has.
const (
	tlsVersion  = "TLSv1.3"
	cipherSuite = "TLS_AES_128_GCM_SHA256"
)

// opensslConfiguration is config(5ossl): what every SSL_CTX starts with.
const opensslConfiguration = `openssl_conf = bench
[bench]
ssl_conf = bench_tls
[bench_tls]
system_default = bench_suite
[bench_suite]
MinProtocol = ` + tlsVersion + `
Ciphersuites = ` + cipherSuite + `
`

// pinSuite makes every program of ours that uses OpenSSL speak the one suite:
// they inherit our environment. The file is for all to read, PostgreSQL runs
// under another account.
func pinSuite(path string) error {
	if err := os.WriteFile(path, []byte(opensslConfiguration), 0o600); err != nil {
		return err
	}
	if err := os.Chmod(path, 0o644); err != nil {
		return err
	}
	return os.Setenv("OPENSSL_CONF", path)
}

// verifySuite checks both legs of a target: what psql says of the client's,
// and what PostgreSQL says of its sessions while pgbench runs. It is also the
// target's first exercise.
func (b *bench) verifySuite(ctx context.Context, t *target) error {
	cmd := exec.CommandContext(ctx, b.program("psql"), "--no-psqlrc", "--command=\\conninfo")
	cmd.Env = append(os.Environ(), t.logins[reader].env()...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run psql: %w\n%s", err, out)
	}
	if err := checkSuite("client", string(out)); err != nil {
		return err
	}
	seen := false
	r, _, err := b.client.run(ctx, script{builtin: "select-only", protocol: "simple"}, 1, minDuration, t.logins[reader].env(), func(float64) error {
		if seen {
			return nil // at the last report the session may be gone
		}
		seen = true
		return b.verifyBackend(ctx, t)
	})
	if err == nil && !seen {
		err = errors.New("verify the suite towards PostgreSQL: pgbench did not say that it runs")
	}
	if err != nil {
		return err
	}
	return t.proxy.settle(ctx, r.transactions)
}

// verifyBackend checks the suite of the sessions that a target has in PostgreSQL now.
func (b *bench) verifyBackend(ctx context.Context, t *target) error {
	suites, err := b.query(ctx, `SELECT coalesce(string_agg(DISTINCT concat_ws(' ', s.version, s.cipher), ', '), 'none')
		FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename LIKE $1`, t.roles)
	if err != nil {
		return fmt.Errorf("verify the suite towards PostgreSQL: %w", err)
	}
	return checkSuite("backend", suites)
}

// checkSuite looks for the suite in what psql or PostgreSQL says, and for nothing else.
func checkSuite(side, said string) error {
	versions := regexp.MustCompile(`TLSv[0-9.]+`).FindAllString(said, -1)
	suites := regexp.MustCompile(`TLS_\w+|ECDHE[-\w]+`).FindAllString(said, -1)
	if len(versions) != 1 || versions[0] != tlsVersion || len(suites) != 1 || suites[0] != cipherSuite {
		return fmt.Errorf("the %s side does not speak %s with %s: %s", side, tlsVersion, cipherSuite, strings.TrimSpace(said))
	}
	return nil
}
