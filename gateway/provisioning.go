package gateway

import (
	"context"
	"net"
	"os"
	"strings"

	"github.com/sallyport/sallyport/gateway/backend"
	"github.com/sallyport/sallyport/gateway/backend/hosts"
)

// provisioningApplication is how PostgreSQL's own log and pg_stat_activity tell the provisioning role's connections.
const provisioningApplication = "sallyport provisioning"

// Provisioning opens the connections over which the gateway makes the roles of its sessions itself: like those of clients, over verified
// TLS, and never as a superuser.
type Provisioning struct {
	Hosts        *hosts.Set
	User         string
	PasswordFile string // read for each connection; white space around the password does not count
}

// Open opens one. It is a credentials.MintedConfig's.
func (p Provisioning) Open(ctx context.Context) (net.Conn, error) {
	content, err := os.ReadFile(p.PasswordFile)
	if err != nil {
		return nil, err
	}
	defer clear(content)
	password := backend.Password(strings.TrimSpace(string(content)))
	defer clear(password)
	at, err := p.Hosts.Open(ctx, hosts.Opening{User: p.User, Credential: password, Parameters: []backend.Parameter{
		{Name: "client_encoding", Value: "UTF8"},
		{Name: "application_name", Value: provisioningApplication},
		// What the role or the database has set does not count; what takes longer than the gateway waits does not go on without it.
		{Name: "search_path", Value: "pg_catalog"},
		{Name: "statement_timeout", Value: "9s"},
		{Name: "lock_timeout", Value: "5s"},
		{Name: "default_transaction_read_only", Value: "off"},
	}})
	if err != nil {
		return nil, err
	}
	return at.Conn, nil
}
