package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/hashicorp/vault/api"

	"github.com/sallyport/sallyport/certs"
	"github.com/sallyport/sallyport/e2e/stack"
	"github.com/sallyport/sallyport/gateway/credentials"
)

// TestVaultLogins: each way in gets the gateway a token that it issues a credential with, and another when somebody revokes that one.
func TestVaultLogins(t *testing.T) {
	vault, err := shared.services.SecureVault(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := vault.Stop(); err != nil {
			t.Error(err)
		}
	})
	for name, set := range map[string]func(*testing.T, *stack.Vault, *credentials.VaultConfig){
		"token file": withTokenFile, "approle": withAppRole, "jwt": withJWT, "kubernetes": withServiceAccount, "cert": withCertificate,
	} {
		t.Run(name, func(t *testing.T) {
			cfg := credentials.VaultConfig{Address: vault.Address, CAFile: vault.CAFile, Mount: stack.Mount}
			set(t, vault, &cfg)
			v := runVault(t, cfg)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			lease, err := v.Issue(ctx, "app-readonly")
			if err != nil {
				t.Fatal(err)
			}
			if cfg.TokenFile != "" {
				return // what was given cannot be obtained again
			}
			revokeLogins(t, vault.Client)
			if _, err := v.Issue(ctx, "app-readonly"); err != nil {
				t.Errorf("after the token was revoked: %v", err)
			}
			select {
			case <-lease.Lost():
			case <-ctx.Done():
				t.Error("the lease of the revoked token still counts")
			}
		})
	}
}

// TestVaultRefuses: what is not who the role is for gets no token, and the error repeats nothing of it.
func TestVaultRefuses(t *testing.T) {
	vault, err := shared.services.SecureVault(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = vault.Stop() })
	cfg := credentials.VaultConfig{Address: vault.Address, CAFile: vault.CAFile, Mount: stack.Mount}
	withJWT(t, vault, &cfg)
	tokens, err := shared.services.Login(t.Context(), "engineer@example.com")
	if err != nil {
		t.Fatal(err)
	}
	write(t, cfg.JWT.TokenFile, tokens.ID)
	v, err := credentials.NewVault(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- v.Run(ctx) }()
	eventually(t, 10*time.Second, func() error {
		if err := v.Ready(); err == nil || strings.Contains(err.Error(), "not logged in") {
			return errors.New("no answer yet")
		}
		return nil
	})
	refused := v.Ready()
	if !strings.Contains(refused.Error(), "HTTP status 400") || strings.Contains(refused.Error(), tokens.ID) {
		t.Errorf("Ready: %v", refused)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

func runVault(t *testing.T, cfg credentials.VaultConfig) *credentials.Vault {
	t.Helper()
	v, err := credentials.NewVault(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- v.Run(ctx) }()
	t.Cleanup(func() {
		drain, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		if err := v.Drain(drain); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if err := v.Close(drain); err != nil {
			t.Error(err)
		}
	})
	wait, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	if err := v.Wait(wait); err != nil {
		t.Fatalf("log in: %v; %v", err, v.Ready())
	}
	return v
}

// revokeLogins is an operator who revokes every token that somebody has logged in for.
func revokeLogins(t *testing.T, client *api.Client) {
	t.Helper()
	accessors, err := client.Logical().ListWithContext(t.Context(), "auth/token/accessors")
	if err != nil {
		t.Fatal(err)
	}
	keys, _ := accessors.Data["keys"].([]any)
	revoked := 0
	for _, key := range keys {
		accessor, _ := key.(string)
		info, err := client.Auth().Token().LookupAccessorWithContext(t.Context(), accessor)
		if err != nil || info == nil {
			continue // expired meanwhile
		}
		if path, _ := info.Data["path"].(string); !strings.HasSuffix(path, "/login") {
			continue
		}
		if err := client.Auth().Token().RevokeAccessorWithContext(t.Context(), accessor); err != nil {
			t.Fatal(err)
		}
		revoked++
	}
	if revoked == 0 {
		t.Fatal("there was no token to revoke")
	}
}

func withTokenFile(t *testing.T, vault *stack.Vault, cfg *credentials.VaultConfig) {
	secret, err := vault.Client.Auth().Token().CreateWithContext(t.Context(), &api.TokenCreateRequest{Policies: []string{"gateway"}, TTL: "10m"})
	if err != nil {
		t.Fatal(err)
	}
	cfg.TokenFile = secretFile(t, secret.Auth.ClientToken)
}

func withAppRole(t *testing.T, vault *stack.Vault, cfg *credentials.VaultConfig) {
	role, secret, err := vault.AppRole(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cfg.AppRole = credentials.AppRole{RoleIDFile: secretFile(t, role), SecretIDFile: secretFile(t, secret)}
}

// withJWT has the OpenID provider say who the gateway is: Vault takes the analyst's token for it, and nobody else's.
func withJWT(t *testing.T, vault *stack.Vault, cfg *credentials.VaultConfig) {
	enable(t, vault, "jwt", map[string]any{
		"oidc_discovery_url": shared.services.OpenID.Issuer(), "oidc_discovery_ca_pem": read(t, shared.services.CAFile),
	}, map[string]any{
		"role_type": "jwt", "user_claim": "email", "bound_audiences": "sallyport", "token_policies": "gateway",
		"bound_claims": map[string]any{"email": "analyst@example.com"},
	})
	tokens, err := shared.services.Login(t.Context(), "analyst@example.com")
	if err != nil {
		t.Fatal(err)
	}
	cfg.JWT = credentials.JWT{Role: "gateway", TokenFile: secretFile(t, tokens.ID)}
}

// withServiceAccount has Vault ask a cluster about a pod's token. The cluster is as much of its API as Vault asks for.
func withServiceAccount(t *testing.T, vault *stack.Vault, cfg *credentials.VaultConfig) {
	token := serviceAccount(t)
	var asked atomic.Int32
	cluster := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			APIVersion string         `json:"apiVersion"`
			Kind       string         `json:"kind"`
			Spec       map[string]any `json:"spec"`
			Status     map[string]any `json:"status"`
		}
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" {
			http.Error(w, "no", http.StatusNotFound)
			return
		}
		asked.Add(1)
		review.Status = map[string]any{"authenticated": review.Spec["token"] == token, "user": map[string]any{
			"username": "system:serviceaccount:sallyport:gateway", "uid": "1c2d", "groups": []string{"system:serviceaccounts"},
		}}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(func() {
		cluster.Close()
		if asked.Load() == 0 {
			t.Error("Vault did not ask the cluster")
		}
	})
	enable(t, vault, "kubernetes", map[string]any{
		"kubernetes_host": cluster.URL, "token_reviewer_jwt": token, "disable_local_ca_jwt": true,
		"kubernetes_ca_cert": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cluster.Certificate().Raw})),
	}, map[string]any{
		"bound_service_account_names": "gateway", "bound_service_account_namespaces": "sallyport", "token_policies": "gateway",
	})
	cfg.JWT = credentials.JWT{Mount: "kubernetes", Role: "gateway", TokenFile: secretFile(t, token)}
}

func serviceAccount(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(jwt.Claims{Issuer: "cluster", Subject: "system:serviceaccount:sallyport:gateway"}).Claims(map[string]any{
		"kubernetes.io": map[string]any{
			"namespace": "sallyport", "serviceaccount": map[string]any{"name": "gateway", "uid": "1c2d"},
		},
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// withCertificate has Vault take a certificate of an authority of its own.
func withCertificate(t *testing.T, vault *stack.Vault, cfg *credentials.VaultConfig) {
	authority, err := certs.New("gateways")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := authority.WriteFiles(dir, "gateway", certs.Request{CommonName: "gateway", Client: true}); err != nil {
		t.Fatal(err)
	}
	if err := vault.Client.Sys().EnableAuthWithOptionsWithContext(t.Context(), "cert", &api.EnableAuthOptions{Type: "cert"}); err != nil {
		t.Fatal(err)
	}
	logical(t, vault, "auth/cert/certs/gateway", map[string]any{
		"certificate": string(authority.CertPEM()), "allowed_common_names": "gateway", "token_policies": "gateway",
	})
	cfg.Certificate = credentials.Certificate{
		Role: "gateway", CertificateFile: filepath.Join(dir, "gateway.crt"), KeyFile: filepath.Join(dir, "gateway.key"),
	}
}

// enable mounts an auth method under its own name, with a role "gateway".
func enable(t *testing.T, vault *stack.Vault, method string, config, role map[string]any) {
	t.Helper()
	if err := vault.Client.Sys().EnableAuthWithOptionsWithContext(t.Context(), method, &api.EnableAuthOptions{Type: method}); err != nil {
		t.Fatal(err)
	}
	logical(t, vault, "auth/"+method+"/config", config)
	logical(t, vault, "auth/"+method+"/role/gateway", role)
}

func logical(t *testing.T, vault *stack.Vault, path string, data map[string]any) {
	t.Helper()
	if _, err := vault.Client.Logical().WriteWithContext(t.Context(), path, data); err != nil {
		t.Fatalf("write %s: %v", path, err)
	}
}

func secretFile(t *testing.T, word string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	write(t, path, word)
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
