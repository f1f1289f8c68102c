package backend

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
)

// prepared is a password that is not the role's, with keys of one that is, or the other way about.
func prepared(t *testing.T, password, keys string) Prepared {
	t.Helper()
	client, err := scram.SHA256.NewClient("", keys, "")
	if err != nil {
		t.Fatal(err)
	}
	return Prepared{Password: Password(password), Client: client}
}

// TestPrepared: by SCRAM the keys count and not the password, by MD5 it is the other way about, and neither is ever shown.
func TestPrepared(t *testing.T) {
	for name, test := range map[string]struct {
		method     Method
		credential Prepared
		backend    script
		refused    bool
	}{
		"SCRAM, the keys":     {MethodSCRAM, prepared(t, "another", fakePassword), greets(goodParameters()), false},
		"SCRAM, the password": {MethodSCRAM, prepared(t, fakePassword, "another"), greets(goodParameters()), true},
		"MD5, the password":   {MethodMD5, prepared(t, fakePassword, "another"), asksMD5("salt"), false},
		"MD5, the keys":       {MethodMD5, prepared(t, "another", fakePassword), asksMD5("salt"), true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := serve(t, newIdentity(t, fakeHost), test.backend)
			cfg.Authentication = test.method
			session, err := Open(t.Context(), cfg, fakeUser, test.credential, nil)
			if (err != nil) != test.refused {
				t.Fatalf("got %v", err)
			}
			if err == nil {
				_ = session.Conn.(*tls.Conn).NetConn().Close()
			}
			if shown := fmt.Sprintf("%v %+v %#v %x", test.credential, test.credential, test.credential, test.credential); strings.Contains(shown, "another") || strings.Contains(shown, fmt.Sprintf("%x", fakePassword)) {
				t.Errorf("shown: %s", shown)
			}
		})
	}
}
