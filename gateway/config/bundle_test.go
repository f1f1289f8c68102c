package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// withBundle is small with a policy that a server publishes.
func withBundle(bundle string) string {
	return strings.Replace(small, "{directory: policies}", "{bundle: {"+bundle+"}}", 1)
}

func TestBundle(t *testing.T) {
	c, err := load(t, withBundle(`url: "https://p.example/b.tar.gz", public_key_file: key.pub`))
	if err != nil {
		t.Fatal(err)
	}
	got := *c.Policy.Bundle
	got.PublicKeyFile = got.PublicKeyFile[strings.LastIndexByte(got.PublicKeyFile, '/')+1:]
	want := Bundle{URL: "https://p.example/b.tar.gz", PublicKeyFile: "key.pub", Algorithm: "RS256", PollMin: time.Minute, PollMax: 2 * time.Minute}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if c.PolicyKey() != "policy.bundle" || c.Policy.Directory != "" {
		t.Errorf("%s, directory %q", c.PolicyKey(), c.Policy.Directory)
	}
}

func TestBundleProblems(t *testing.T) {
	const good = `url: "https://p.example/b", public_key_file: k`
	for name, test := range map[string]struct{ config, want string }{
		"no URL":          {withBundle("public_key_file: k"), "policy.bundle.url: is missing"},
		"no key":          {withBundle(`url: "https://p.example/b"`), "policy.bundle.public_key_file: is missing"},
		"in the clear":    {withBundle(`url: "http://p.example/b", public_key_file: k`), "policy.bundle.url: is not https and not on this machine"},
		"a user":          {withBundle(`url: "https://u:p@p.example/b", public_key_file: k`), "policy.bundle.url: is not a URL like"},
		"a file":          {withBundle(`url: "file:///b", public_key_file: k`), "policy.bundle.url: is not a URL like"},
		"HMAC":            {withBundle(good + ", algorithm: HS256"), `policy.bundle.algorithm: is "HS256": must be one of RS256, `},
		"never":           {withBundle(good + ", poll_min: 25h"), "policy.bundle.poll_min: is 25h: must be"},
		"backward":        {withBundle(good + ", poll_min: 2m, poll_max: 1m"), "policy.bundle.poll_max: is 1m: must be 2m0s to 24h0m0s"},
		"unknown":         {withBundle(good + ", insecure: true"), "policy.bundle.insecure: is not a key that exists here"},
		"nothing":         {strings.Replace(small, "{directory: policies}", "{bundle: }", 1), "policy.bundle: has no value"},
		"and a directory": {strings.Replace(small, "{directory: policies}", "{directory: policies, bundle: {"+good+"}}", 1), "policy.bundle: and directory exclude each other"},
		"neither":         {strings.Replace(small, "{directory: policies}", "{shadow: s}", 1), "policy.directory: is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, test.config); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// TestCheckBundle: its key is checked, its server is not asked.
func TestCheckBundle(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	for name, test := range map[string]struct{ key, more, want string }{
		"good":          {public, ", algorithm: ES256", ""},
		"no key":        {"x", ", algorithm: ES256", "sallyport.yaml:6: policy.bundle: bundle public key is not PEM"},
		"another kind":  {public, ", algorithm: RS256", "sallyport.yaml:6: policy.bundle: bundle public key is ECDSA"},
		"no CA":         {public, ", algorithm: ES256, ca_file: userlist.txt", "sallyport.yaml:6: policy.bundle: userlist.txt holds no certificate"},
		"no token file": {public, ", algorithm: ES256, token_file: none", "sallyport.yaml:6: policy.bundle.token_file: none does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			deploy(t)
			for file, content := range map[string]string{"key.pub": test.key, "sallyport.yaml": withBundle(`url: "https://127.0.0.1:1/b", public_key_file: key.pub` + test.more)} {
				if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c, err := Load("sallyport.yaml", nil)
			if err != nil {
				t.Fatal(err)
			}
			report := c.Check()
			if test.want == "" && len(report.Problems) == 0 {
				return
			}
			if test.want == "" || len(report.Problems) != 1 || !strings.HasPrefix(report.Problems[0].Error(), test.want) {
				t.Errorf("got %v, want %s", report.Problems, test.want)
			}
		})
	}
}
