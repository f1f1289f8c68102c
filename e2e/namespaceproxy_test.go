package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/sallyport/sallyport/e2e/stack"
)

// namespacedVault stands before a real Vault, which has no namespaces, and makes a gateway believe that it has them: what is mounted under
// a namespace's path can be reached in that namespace alone. What it does is documented at
// https://developer.hashicorp.com/vault/docs/enterprise/namespaces (the header, the path, restricted paths) and …/concepts/namespace-api-lock,
// or is to be seen in the open part of Vault, which carries ids of namespaces about: those of leases and of tokens end in a dot and the
// namespace's id, but for the root's (vault/expiration.go, vault/token_store.go); the -self paths go to the token's namespace and the paths
// of a lease to the lease's, whichever is asked for (vault/request_handling.go). It is not Vault Enterprise: how that words its refusals,
// and that policies there are read within their namespace, is not shown.
type namespacedVault struct {
	*httptest.Server

	ids  map[string]string // of the namespaces, by their paths, which end in a slash
	want string            // the namespace that every request is to be for

	mu     sync.Mutex
	locked bool
	asked  map[string]int // requests that were answered well, by method, path within the namespace, and lease
	stray  []string       // requests for another namespace
}

// A request on its way, as the answer has to know it.
type (
	namespaced struct {
		path      string // within its namespace
		namespace string // of the login, or of the token
		lease     string
	}
	namespacedKey struct{}
)

// namespaceVault starts one, and moves what Vault has mounted into the namespace.
func namespaceVault(t *testing.T, vault *stack.Vault, namespace string, mounts ...string) *namespacedVault {
	t.Helper()
	p := &namespacedVault{ids: map[string]string{"team-a/": "tA1b2", "team-a/sub/": "sU3c4"}, want: namespace, asked: make(map[string]int)}
	for _, mount := range mounts {
		to := namespace + mount
		if method, ok := strings.CutPrefix(mount, "auth/"); ok {
			to = "auth/" + namespace + method
		}
		must(t, vault.Client.Sys().RemountWithContext(t.Context(), mount, to))
	}
	address, err := url.Parse(vault.Address)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(read(t, vault.CAFile)))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	onward := &httputil.ReverseProxy{
		Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(address) }, ModifyResponse: p.answer,
	}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status, why := p.enter(r); status != 0 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string][]string{"errors": {why}})
			return
		}
		onward.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		p.Close()
		transport.CloseIdleConnections()
	})
	return p
}

// restricted are paths that only the root namespace has, or begin those. A gateway asks for none of them.
var restricted = []string{
	"sys/audit", "sys/config/", "sys/generate-root", "sys/health", "sys/host-info", "sys/init", "sys/internal/", "sys/metrics", "sys/monitor",
	"sys/pprof", "sys/raw", "sys/rekey", "sys/replication/", "sys/rotate", "sys/seal", "sys/step-down", "sys/storage", "sys/unseal",
}

// enter finds out which namespace a request is for, and makes of it what a Vault without namespaces understands; or it says why not.
func (p *namespacedVault) enter(r *http.Request) (refused int, why string) {
	header := r.Header.Get(api.NamespaceHeaderName)
	r.Header.Del(api.NamespaceHeaderName)
	asked := strings.Trim(header, "/") + "/" + strings.TrimPrefix(r.URL.Path, "/v1/")
	namespace, path := p.split(strings.TrimPrefix(asked, "/"))
	p.mu.Lock()
	if namespace != p.want || header == "" {
		p.stray = append(p.stray, fmt.Sprintf("%s %s for the namespace %q", r.Method, r.URL.Path, header))
	}
	locked := p.locked
	p.mu.Unlock()
	token, owner, known := p.cut(r.Header.Get(api.AuthHeaderName))
	r.Header.Set(api.AuthHeaderName, token)
	about := namespaced{path: path, namespace: owner}
	lease := strings.HasPrefix(path, "sys/leases/")
	if lease {
		namespace, about.lease = p.lease(r)
	}
	switch self := strings.HasPrefix(path, "auth/token/") && strings.HasSuffix(path, "-self"); {
	case locked:
		return http.StatusServiceUnavailable, fmt.Sprintf("API access to this namespace has been locked by an administrator - %q must be unlocked to gain access.", namespace)
	case namespace != "" && slices.ContainsFunc(restricted, func(one string) bool { return strings.HasPrefix(path, one) }):
		return http.StatusNotFound, "unsupported path"
	case !known, token != "" && !self && !strings.HasPrefix(namespace, owner): // a token is of use below its own namespace too
		return http.StatusForbidden, "permission denied"
	case token == "":
		about.namespace = namespace
	}
	method, login := strings.CutPrefix(path, "auth/")
	switch {
	case lease, strings.HasPrefix(path, "sys/"), strings.HasPrefix(path, "auth/token/"):
	case login:
		path = "auth/" + namespace + method
	default:
		path = namespace + path
	}
	r.URL.Path = "/v1/" + path
	*r = *r.WithContext(context.WithValue(r.Context(), namespacedKey{}, about))
	return 0, ""
}

// split takes the namespace off a path. Where there is none of that name, the path is one of the root's.
func (p *namespacedVault) split(whole string) (namespace, path string) {
	for _, one := range slices.Backward(slices.SortedFunc(maps.Keys(p.ids), func(a, b string) int { return len(a) - len(b) })) {
		if path, ok := strings.CutPrefix(whole, one); ok {
			return one, path
		}
	}
	return "", whole
}

// cut takes the namespace's id off one of a token or a lease; the root's have none.
func (p *namespacedVault) cut(whole string) (id, namespace string, known bool) {
	prefix := ""
	if rest, ok := strings.CutPrefix(whole, "hvs."); ok {
		prefix, whole = "hvs.", rest
	}
	dot := strings.LastIndexByte(whole, '.')
	if dot < 0 {
		return prefix + whole, "", true
	}
	for path, id := range p.ids {
		if id == whole[dot+1:] {
			return prefix + whole[:dot], path, true
		}
	}
	return prefix + whole, "", false
}

// lease is the one that a request names in its body, and the namespace that this is of.
func (p *namespacedVault) lease(r *http.Request) (namespace, lease string) {
	var body map[string]any
	_ = json.NewDecoder(r.Body).Decode(&body)
	lease, _ = body["lease_id"].(string)
	id, namespace, _ := p.cut(lease)
	body["lease_id"] = namespace + id
	text, _ := json.Marshal(body)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return namespace, lease
}

// answer puts the ids of namespaces into an answer.
func (p *namespacedVault) answer(response *http.Response) error {
	about, _ := response.Request.Context().Value(namespacedKey{}).(namespaced)
	if response.StatusCode >= 300 {
		return nil
	}
	p.mu.Lock()
	p.asked[strings.TrimSpace(response.Request.Method+" "+about.path+" "+about.lease)]++
	p.mu.Unlock()
	var body map[string]any
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		return nil // there is none
	}
	if lease, _ := body["lease_id"].(string); lease != "" {
		namespace, id := p.split(lease)
		body["lease_id"] = p.mark(id, namespace)
	}
	if auth, ok := body["auth"].(map[string]any); ok {
		token, _ := auth["client_token"].(string)
		auth["client_token"] = p.mark(token, about.namespace)
	}
	text, err := json.Marshal(body)
	response.Body = io.NopCloser(bytes.NewReader(text))
	response.ContentLength = int64(len(text))
	response.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return err
}

// mark puts a namespace's id behind another.
func (p *namespacedVault) mark(id, namespace string) string {
	if namespace == "" || id == "" {
		return id
	}
	return id + "." + p.ids[namespace]
}

func (p *namespacedVault) lock(locked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.locked = locked
}

// count is how often something was asked for and given. Requests about leases are told apart by them.
func (p *namespacedVault) count(what string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[what]
}

// all checks that these, and whatever else was asked for, were asked for in the namespace.
func (p *namespacedVault) all(t *testing.T, requests ...string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, request := range p.stray {
		t.Errorf("not in the namespace: %s", request)
	}
	for _, request := range requests {
		if p.asked[request] == 0 {
			t.Errorf("the gateway did not ask for %s, but for %q", request, slices.Sorted(maps.Keys(p.asked)))
		}
	}
}
