package credentials

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/xdg-go/scram"
)

// newMinted makes a Minted that nobody runs. What it logs is in the buffer.
func newMinted(t *testing.T, f *fakeProvisioner) (*Minted, *bytes.Buffer) {
	t.Helper()
	var logged bytes.Buffer
	m, err := NewMinted(MintedConfig{Open: f.open, Owner: "app_owner", Groups: []string{"app_readonly"}}, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return m, &logged
}

func TestMintedIssue(t *testing.T) {
	for name, test := range map[string]struct {
		answers []string
		opened  int
		revoked int // leases that are given to be revoked
		kind    Kind
	}{
		"at once":                       {nil, 1, 0, 0},
		"no such group":                 {[]string{"42704"}, 1, 1, Refused},
		"no privilege":                  {[]string{"42501"}, 1, 1, Refused},
		"too many locks":                {[]string{"53200"}, 1, 1, Unavailable},
		"lost on a new connection":      {[]string{"lost"}, 1, 1, Unavailable},
		"lost on one that was there":    {[]string{"", "lost"}, 2, 1, 0},
		"lost twice, the second is new": {[]string{"", "lost", "lost"}, 2, 2, Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeProvisioner{answers: test.answers}
				m, logged := newMinted(t, f)
				m.pool.places = make(chan *provisioner, 1)
				m.pool.places <- nil
				if len(test.answers) > 0 && test.answers[0] == "" {
					if err := m.pool.look(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				lease, err := m.Issue(t.Context(), "app_readonly")
				failure, _ := errors.AsType[*Error](err)
				if (err != nil) != (test.kind != 0) || err != nil && (failure.Kind != test.kind || failure.Source != SourceMinted) {
					t.Fatalf("got %v", err)
				}
				if f.opened != test.opened || m.revoker.Pending() != test.revoked {
					t.Errorf("%d connections, %d roles to be dropped; want %d and %d", f.opened, m.revoker.Pending(), test.opened, test.revoked)
				}
				if err == nil {
					checkStatement(t, f.asked[len(f.asked)-1], lease)
				}
				for _, said := range append(f.asked, logged.String(), errorText(err)) {
					if lease.Password != "" && strings.Contains(said, lease.Password) || err != nil && strings.Contains(err.Error(), "SCRAM") {
						t.Errorf("it shows a secret: %s", said)
					}
				}
				if err := m.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// checkStatement wants the role to end by the backend's clock, which is an hour ahead.
func checkStatement(t *testing.T, statement string, lease Lease) {
	t.Helper()
	until := lease.Expires.Add(time.Hour).UTC().Format("2006-01-02 15:04:05.000-07")
	if !strings.HasPrefix(statement, `CREATE ROLE "`+lease.Username+`" LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 1 PASSWORD 'SCRAM-SHA-256$4096:`) ||
		!strings.HasSuffix(statement, `' VALID UNTIL '`+until+`' IN ROLE "app_readonly"`) {
		t.Errorf("the role is made by %s, its lease ends at %s", statement, lease.Expires)
	}
	if lease.Source != SourceMinted || !lease.Renewable || lease.ttl != defaultTTL || !minted.MatchString(lease.Username) {
		t.Errorf("got %#v", lease)
	}
}

// TestMintedBacksOff: a backend that is away is not asked by every login, and those are told at once.
func TestMintedBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeProvisioner{refused: errors.New("connection refused")}
		m, logged := newMinted(t, f)
		began := time.Now()
		for time.Since(began) < time.Minute {
			if _, err := m.Issue(t.Context(), "app_readonly"); err == nil {
				t.Fatal("a role was made")
			}
			time.Sleep(10 * time.Millisecond)
		}
		if f.opened < 10 || f.opened > 25 {
			t.Errorf("%d attempts in a minute", f.opened)
		}
		if m.Ready() == nil || m.revoker.Pending() != 0 {
			t.Errorf("ready: %v, %d roles to be dropped", m.Ready(), m.revoker.Pending())
		}
		if n := strings.Count(logged.String(), "the provisioning role cannot be used"); n != 1 {
			t.Errorf("the log says so %d times", n)
		}
		f.refused = nil
		time.Sleep(lastReconnect)
		if _, err := m.Issue(t.Context(), "app_readonly"); err != nil || m.Ready() != nil {
			t.Errorf("%v, %v", err, m.Ready())
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestMintedDropsWhenItCan: after a long time with an old password, which revocations are seldom tried in, the roles that are left go
// soon when the new one is there, without anybody who logs in.
func TestMintedDropsWhenItCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeProvisioner{}
		m, _ := newMinted(t, f)
		var running sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		running.Go(func() { _ = m.Run(ctx) })
		lease, err := m.Issue(t.Context(), "app_readonly")
		if err != nil {
			t.Fatal(err)
		}
		f.lose(errors.New("password authentication failed"))
		settled := m.Revoker().Revoke(lease)
		time.Sleep(65 * time.Second) // the next attempt is due half a minute later
		f.lose(nil)
		if err := within(t, settled, 2*lastReconnect); err != nil {
			t.Error(err)
		}
		cancel()
		running.Wait()
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestMintedRenew: a role's time ends with MaxExpires, whatever is asked.
func TestMintedRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newMinted(t, &fakeProvisioner{})
		lease, err := m.Issue(t.Context(), "app_readonly")
		if err != nil {
			t.Fatal(err)
		}
		began, renewals := time.Now(), 0
		for ; lease.Renewable; renewals++ {
			time.Sleep(defaultTTL / 2)
			if lease, err = m.Renew(t.Context(), lease); err != nil {
				t.Fatal(err)
			}
		}
		if got := lease.Expires.Sub(began); got != defaultMaxTTL {
			t.Errorf("after %d renewals it ends after %s", renewals, got)
		}
		if _, err := m.Renew(t.Context(), lease); err == nil {
			t.Error("it is renewed beyond its end")
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestMintedRevokesItsOwn: a journal that somebody has written into has nobody else's role dropped.
func TestMintedRevokesItsOwn(t *testing.T) {
	f := &fakeProvisioner{}
	m, _ := newMinted(t, f)
	for _, name := range []string{
		"", "postgres", "app_readonly", "s-app-1", `s-a-aaaaaaaaaaaaaaaa-1700000000"; DROP ROLE x; --`, "s-A-aaaaaaaaaaaaaaaa-1700000000",
		"xs-a-aaaaaaaaaaaaaaaa-1700000000", "s-a-aaaaaaaaaaaaaaaa-1700000000\n",
	} {
		if err := m.Revoke(t.Context(), Lease{ID: name, Username: name}); err == nil || f.opened > 0 {
			t.Errorf("%q is dropped: %v", name, err)
		}
	}
}

func TestMintedName(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for group, want := range map[string]string{
		"app_readonly": "s-app_readonly-", "App Readonly": "s-app_readonly-", `a"b`: "s-a_b-", "größe": "s-gr__e-", strings.Repeat("x", 63): "s-" + strings.Repeat("x", 24) + "-",
	} {
		name := mintedName(group, now)
		if !strings.HasPrefix(name, want) || !strings.HasSuffix(name, "-1800000000") || len(name) > 63 || !minted.MatchString(name) {
			t.Errorf("%s: %s", group, name)
		}
		if name == mintedName(group, now) {
			t.Errorf("%s: two roles have one name", group)
		}
	}
}

// TestVerifier: who knows the password proves it against what PostgreSQL is told.
func TestVerifier(t *testing.T) {
	text, keys, err := verifierOf("the password")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == '$' || r == ':' })
	if len(parts) != 5 || parts[0] != "SCRAM-SHA-256" || parts[1] != "4096" {
		t.Fatalf("got %d parts of %s…", len(parts), text[:14])
	}
	decode := func(s string) []byte {
		data, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	stored := scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(decode(parts[2])), Iters: 4096}, StoredKey: decode(parts[3]), ServerKey: decode(parts[4]),
	}
	if derived, err := keys.GetStoredCredentialsWithError(stored.KeyFactors); err != nil || !reflect.DeepEqual(derived, stored) {
		t.Errorf("the keys are not those of the verifier: %v", err)
	}
	for password, want := range map[string]bool{"the password": true, "another": false} {
		server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return stored, nil })
		if err != nil {
			t.Fatal(err)
		}
		client, err := scram.SHA256.NewClient("", password, "")
		if err != nil {
			t.Fatal(err)
		}
		c, s := client.NewConversation(), server.NewConversation()
		message := ""
		for range 2 {
			if message, err = c.Step(message); err != nil {
				t.Fatal(err)
			}
			message, err = s.Step(message)
		}
		if s.Valid() != want || (err == nil) != want {
			t.Errorf("%s: valid %v, %v", password, s.Valid(), err)
		}
	}
}

func TestUnprovisioned(t *testing.T) {
	for code, want := range map[string]Kind{
		"08006": Unavailable, "40001": Unavailable, "53300": Unavailable, "55006": Unavailable, "57014": Unavailable, "57P01": Unavailable,
		"XX000": Unavailable, "42501": Refused, "42704": Refused, "2BP01": Refused, "28000": Refused,
	} {
		err := unprovisioned("op", &pgconn.PgError{Code: code, Message: "no\nline", Detail: "SCRAM-SHA-256$", Hint: "SCRAM-SHA-256$"})
		failure, ok := errors.AsType[*Error](err)
		if !ok || failure.Kind != want || strings.ContainsAny(err.Error(), "\n$") {
			t.Errorf("%s: %v", code, err)
		}
	}
}
