package authn

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWithCertificate(t *testing.T) {
	early, late := time.Unix(1000, 0), time.Unix(2000, 0)
	certificate := func(user, name string, expires time.Time) Identity {
		return Identity{User: user, Method: MethodCertificate, Subject: name, Certificate: name, Expires: expires}
	}
	token := Identity{User: "ana", Method: MethodOIDC, Issuer: "https://id.example", Subject: "1", Groups: []string{"dba"}, Expires: late}
	with := func(id Identity, expires time.Time) Identity {
		id.Certificate, id.Expires = "ana@laptop", expires
		return id
	}
	passed := Identity{User: "ana", Method: MethodPassSCRAM, Subject: "ana"}
	password := Identity{User: "ana", Method: MethodSCRAM, Subject: "ana"}
	tests := map[string]struct {
		id, certificate Identity
		want            Identity // zero: refused
	}{
		"token, certificate ends first":  {token, certificate("ana", "ana@laptop", early), with(token, early)},
		"token ends first":               {with(token, early), certificate("ana", "ana@laptop", late), with(token, early)},
		"password has no end":            {password, certificate("ana", "ana@laptop", early), with(password, early)},
		"passed through has no end":      {passed, certificate("ana", "ana@laptop", early), with(passed, early)},
		"another's certificate":          {token, certificate("eve", "eve@laptop", early), Identity{}},
		"user in capitals":               {token, certificate("ANA", "ana@laptop", early), Identity{}},
		"no certificate":                 {token, Identity{}, Identity{}},
		"certificate without a name":     {token, certificate("ana", "", early), Identity{}},
		"a password for a certificate":   {token, password, Identity{}},
		"a password, named like a cert":  {token, with(password, early), Identity{}},
		"nobody's identity, nobody's id": {Identity{}, Identity{}, Identity{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.id.WithCertificate(tt.certificate)
			refused := tt.want.User == ""
			if (err != nil) != refused {
				t.Fatalf("WithCertificate: %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPassesThrough(t *testing.T) {
	for method, want := range map[Method]bool{
		MethodPassPassword: true, MethodPassSCRAM: true, MethodPassMD5: true,
		MethodSCRAM: false, MethodMD5: false, MethodOIDC: false, MethodOAUTHBEARER: false, MethodCertificate: false, MethodReject: false,
		"": false, "pass-through": false, "pass-through-cert": false,
	} {
		if got := method.PassesThrough(); got != want {
			t.Errorf("%q passes through: %v, want %v", method, got, want)
		}
	}
}
