package gateway

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authn/md5"
	"github.com/sallyport/sallyport/authn/scram"
	"github.com/sallyport/sallyport/authn/throttle"
	"github.com/sallyport/sallyport/authn/userlist"
)

const (
	// tries is how many logins of each kind make a sample: a comparison of 150 finds a shift of 0.7 standard deviations 19 times of 20.
	tries = 150
	// alpha is the chance of a false alarm of one comparison.
	alpha = 1e-4
	// accounts is how many users there are of each kind, so that no single name makes a difference.
	accounts = 16
)

// account is a known user for small numbers, and one that does not exist for those from accounts on. The names are alike.
func account(n int) string { return fmt.Sprintf("user%02d", n) }

// probe is somebody who guesses whether users exist by how long the gateway takes to refuse them.
type probe struct {
	t      testing.TB
	server *serving
	// answer answers what the gateway sent, nil at the end. It must take the same time for every user.
	answer func(n int, m pgproto3.BackendMessage) []byte
}

// wait logs in as an account and returns how long it waited for the gateway's messages, together.
func (p *probe) wait(n int) time.Duration {
	p.t.Helper()
	conn := p.server.secure()
	defer func() { _ = conn.Close() }()
	if err := conn.Handshake(); err != nil {
		p.t.Fatal(err)
	}
	client := pgproto3.NewFrontend(conn, conn)
	next := startPacket(protocol30, hello("user", account(n), "database", "app"))
	var waited time.Duration
	for {
		began := time.Now()
		if _, err := conn.Write(next); err != nil {
			p.t.Fatal(err)
		}
		m, err := client.Receive()
		waited += time.Since(began)
		if err != nil {
			p.t.Fatal(err)
		}
		if next = p.answer(n, m); next == nil {
			return waited
		}
	}
}

// samples logs in n times as users that exist and n times as users that do not, in random order.
func (p *probe) samples(n int) (known, unknown []time.Duration) {
	p.t.Helper()
	for _, i := range rand.Perm(2 * n) {
		if i < n {
			known = append(known, p.wait(rand.IntN(accounts)))
		} else {
			unknown = append(unknown, p.wait(accounts+rand.IntN(accounts)))
		}
	}
	return known, unknown
}

// tells says whether the waits tell users that exist from those that do not.
func (p *probe) tells(n int) bool {
	p.t.Helper()
	known, unknown := p.samples(n)
	_, chance := rankSum(known, unknown)
	p.t.Logf("known %v, unknown %v (medians), p = %.2g", median(known), median(unknown), chance)
	return chance < alpha
}

func median(sample []time.Duration) time.Duration {
	sample = slices.Sorted(slices.Values(sample))
	return sample[len(sample)/2]
}

// wrongProof answers SCRAM with a proof that fits nobody.
func wrongProof(_ int, m pgproto3.BackendMessage) []byte {
	switch m := m.(type) {
	case *pgproto3.AuthenticationSASL:
		return initialResponse("SCRAM-SHA-256", 9, "n,,n=,r=a")
	case *pgproto3.AuthenticationSASLContinue:
		nonce, _, _ := strings.Cut(string(m.Data), ",")
		return passwordMessage("c=biws," + nonce + ",p=" + strings.Repeat("A", 43) + "=")
	}
	return nil
}

func wrongDigest(_ int, m pgproto3.BackendMessage) []byte {
	if _, asked := m.(*pgproto3.AuthenticationMD5Password); asked {
		return passwordMessage("md5" + strings.Repeat("0", 32) + "\x00")
	}
	return nil
}

// timedSurroundings have a userlist of accounts, and a throttle that counts and delays nobody.
func timedSurroundings(t testing.TB) *surroundings {
	t.Helper()
	around := newSurroundings(t)
	var text strings.Builder
	for n := range accounts {
		fmt.Fprintf(&text, "%q %q\n", account(n), "secret of "+account(n))
	}
	path := filepath.Join(t.TempDir(), "userlist.txt")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	users, err := userlist.Open(userlist.FileConfig{Path: path, Config: userlist.Config{MockSecret: make([]byte, 32)}})
	if err != nil {
		t.Fatal(err)
	}
	around.config.SCRAM = newSCRAM(t, users.Lookup)
	if around.config.MD5, err = md5.NewServer(md5.Config{Lookup: users.MD5}); err != nil {
		t.Fatal(err)
	}
	if around.config.Throttle, err = throttle.New(throttle.Config{NetworkFree: 1 << 30, UserFree: 1 << 30}); err != nil {
		t.Fatal(err)
	}
	return around
}

func newSCRAM(t testing.TB, lookup func(string) (scram.Verifier, bool)) *scram.Server {
	t.Helper()
	server, err := scram.NewServer(scram.Config{Lookup: lookup, MockSecret: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// TestTimeTellsNoUser: how long a refusal takes says nothing about whether the user exists.
func TestTimeTellsNoUser(t *testing.T) {
	around := timedSurroundings(t)
	token := []byte(around.issuer.token(t, knownUser) + "\x00") // of neither
	tests := map[string]struct {
		rule   authn.Rule
		answer func(n int, m pgproto3.BackendMessage) []byte
	}{
		"scram-sha-256": {authn.Rule{Method: authn.MethodSCRAM}, wrongProof},
		"md5":           {authn.Rule{Method: authn.MethodMD5}, wrongDigest},
		"oidc": {authn.Rule{Method: authn.MethodOIDC, Issuer: "id"}, func(_ int, m pgproto3.BackendMessage) []byte {
			if _, asked := m.(*pgproto3.AuthenticationCleartextPassword); asked {
				return passwordMessage(string(token))
			}
			return nil
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := &probe{t, around.start(t, tt.rule), tt.answer}
			p.wait(0) // fetches the issuer's keys
			found := 0
			for found < 2 && p.tells(tries) { // chance alone does it once in 10,000 times, and twice in a row once in 10^8
				found++
			}
			if found == 2 {
				t.Error("users that exist can be told by time from those that do not")
			}
		})
	}
}

// TestTimeWouldTell: the comparison finds what it is for. Here a lookup derives the verifier while the client waits, as one would that
// keeps passwords in plain text, and the users that exist have another iteration count than is shown for those that do not.
func TestTimeWouldTell(t *testing.T) {
	around := timedSurroundings(t)
	around.config.SCRAM = newSCRAM(t, func(user string) (scram.Verifier, bool) {
		known := user < account(accounts)
		iterations := scram.DefaultIterations
		if known {
			iterations *= 3
		}
		v, err := scram.NewStableVerifier(make([]byte, 32), user, "secret", iterations)
		return v, known && err == nil
	})
	p := &probe{t, around.start(t, byPassword()...), wrongProof}
	for range 2 { // the machine may have been doing something else
		if p.tells(30) {
			return
		}
	}
	t.Error("a derivation of keys that takes three times as long goes unnoticed")
}

// TestSaltTellsNoUser: the salt of a user is the same in every login and from every replica, whether the user exists or not.
func TestSaltTellsNoUser(t *testing.T) {
	salts := map[string]map[string]bool{}
	for range 2 {
		around := timedSurroundings(t)
		first := ""
		p := &probe{t, around.start(t, byPassword()...), func(n int, m pgproto3.BackendMessage) []byte {
			if asked, ok := m.(*pgproto3.AuthenticationSASLContinue); ok {
				first = string(asked.Data)
			}
			return wrongProof(n, m)
		}}
		for n := range 2 * accounts {
			for range 3 {
				p.wait(n)
				_, shown, _ := strings.Cut(first, ",")
				if salts[account(n)] == nil {
					salts[account(n)] = map[string]bool{}
				}
				salts[account(n)][shown] = true
			}
		}
	}
	different := map[string]bool{}
	for user, shown := range salts {
		if len(shown) != 1 {
			t.Errorf("%s is shown %d salts: %v", user, len(shown), shown)
		}
		for salt := range shown {
			different[salt] = true
			if !strings.HasSuffix(salt, ",i=4096") || len(salt) != len("s=")+24+len(",i=4096") {
				t.Errorf("%s is shown %q", user, salt)
			}
		}
	}
	if len(different) != 2*accounts {
		t.Errorf("%d users share %d salts", 2*accounts, len(different))
	}
}
