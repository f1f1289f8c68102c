package stack

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/xdg-go/scram"

	"github.com/sallyport/sallyport/authn/md5"
	"github.com/sallyport/sallyport/e2e/openid"
)

// The accounts that the default policy knows.
const (
	Analyst  = "analyst@example.com"  // reads
	Engineer = "engineer@example.com" // reads and writes rows
	DBA      = "dba@example.com"      // everything, observed
	Service  = "svc_report"           // reads, with a SCRAM password
	Legacy   = "svc_legacy"           // reads, with an MD5 password
	Batch    = "svc_batch"            // reads, with a client certificate
	OAuth    = "oauth@example.com"    // reads, with a token by OAUTHBEARER
)

// Operator is no account of any database: she is on call for the gateway.
const Operator = "operator@example.com"

// onCall is the group of those who may end sessions and refuse people.
const onCall = "on-call"

const (
	// Password is everyone's at the OpenID provider.
	Password = "sallyport"
	// tokenLifetime lets a demo or a test run for a working day on one login.
	tokenLifetime = 12 * time.Hour
	// scramIterations is PostgreSQL's default (scram_iterations).
	scramIterations = 4096
)

// People are the users of the OpenID provider.
func People() []openid.User {
	person := func(subject, name, email, group string) openid.User {
		return openid.User{
			Subject: subject, Name: name, Email: email, EmailVerified: true, Password: Password, Groups: []string{group},
		}
	}
	return []openid.User{
		person("c0ffee01", "Anna Lyst", Analyst, "analysts"),
		person("c0ffee02", "Enno Gine", Engineer, "engineers"),
		person("c0ffee03", "Dora Bea", DBA, "dbas"),
		person("c0ffee04", "Otto Auth", OAuth, "analysts"),
		person("c0ffee05", "Opal Erator", Operator, onCall),
	}
}

// UserlistLine is one line of a userlist file in PgBouncer's format, with the
// verifier that PostgreSQL would store (RFC 5803).
func UserlistLine(user, password string) (string, error) {
	client, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		return "", fmt.Errorf("make SCRAM verifier: %w", err)
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails: crypto/rand
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: scramIterations})
	if err != nil {
		return "", fmt.Errorf("make SCRAM verifier: %w", err)
	}
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%q \"SCRAM-SHA-256$%d:%s$%s:%s\"\n", user, scramIterations,
		encode(salt), encode(stored.StoredKey), encode(stored.ServerKey)), nil
}

// md5Line is the same for a driver that knows no SCRAM, as PostgreSQL would store it with password_encryption = md5.
func md5Line(user, password string) (string, error) {
	secret, err := md5.NewSecret(user, password)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%q %q\n", user, secret.Encode()), nil
}
