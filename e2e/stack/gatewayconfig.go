package stack

// GatewayConfig is the gateway's configuration file, as far as the stack
// writes it. Relative paths are relative to the file.
type GatewayConfig struct {
	Listen         string                    `yaml:"listen"`
	ProxyProtocol  ProxyProtocolConfig       `yaml:"proxy_protocol,omitempty"`
	TLS            TLSConfig                 `yaml:"tls"`
	Admin          AdminConfig               `yaml:"admin"`
	Authentication AuthenticationConfig      `yaml:"authentication"`
	Policy         PolicyConfig              `yaml:"policy"`
	Vault          VaultConfig               `yaml:"vault,omitempty"`
	Databases      map[string]DatabaseConfig `yaml:"databases"`
	Audit          AuditConfig               `yaml:"audit"`
	Limits         map[string]int            `yaml:"limits,omitempty"`
	Timeouts       map[string]string         `yaml:"timeouts,omitempty"`
	Log            LogConfig                 `yaml:"log"`
}

// ProxyProtocolConfig says who is believed about where clients are.
type ProxyProtocolConfig struct {
	Trusted []string `yaml:"trusted,flow,omitempty"`
}

// TLSConfig is the pair shown to clients, and who signs theirs.
type TLSConfig struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	ClientCA    string `yaml:"client_ca,omitempty"`
}

// AdminConfig is the admin listener.
type AdminConfig struct {
	Listen    string `yaml:"listen"`
	TokenFile string `yaml:"token_file"`
	Profiles  bool   `yaml:"profiles,omitempty"`

	TLS          *TLSConfig       `yaml:"tls,omitempty"`
	Audiences    []string         `yaml:"audiences,flow,omitempty"`
	Operators    []OperatorConfig `yaml:"operators,omitempty"`
	RefusalsFile string           `yaml:"refusals_file,omitempty"`
}

// OperatorConfig says who may use the control API.
type OperatorConfig struct {
	Role   string   `yaml:"role,omitempty"`
	Issuer string   `yaml:"issuer,omitempty"`
	Groups []string `yaml:"groups,flow,omitempty"`
	Kind   string   `yaml:"kind,omitempty"`
	Name   string   `yaml:"name,omitempty"`
}

// AuthenticationConfig says who may prove what how.
type AuthenticationConfig struct {
	Userlist     string          `yaml:"userlist"`
	SCRAM        SCRAMConfig     `yaml:"scram"`
	Issuers      []IssuerConfig  `yaml:"issuers"`
	Certificates []MappingConfig `yaml:"certificates"`
	Rules        []RuleConfig    `yaml:"rules"`
}

// SCRAMConfig is what unknown users are answered with.
type SCRAMConfig struct {
	Iterations     int    `yaml:"iterations"`
	MockSecretFile string `yaml:"mock_secret_file"`
}

// IssuerConfig is an OpenID provider.
type IssuerConfig struct {
	Name        string   `yaml:"name"`
	Issuer      string   `yaml:"issuer"`
	Audiences   []string `yaml:"audiences,flow"`
	UserClaim   string   `yaml:"user_claim"`
	GroupsClaim string   `yaml:"groups_claim"`
	CAFile      string   `yaml:"ca_file"`
	MaxAge      string   `yaml:"max_age"`
	Scope       string   `yaml:"scope,omitempty"`

	Recheck *RecheckConfig `yaml:"recheck,omitempty"`
}

// RecheckConfig is how often the provider is asked about tokens, and by what.
type RecheckConfig struct {
	Interval         string `yaml:"interval"`
	MaxStale         string `yaml:"max_stale,omitempty"`
	ClientID         string `yaml:"client_id,omitempty"`
	ClientSecretFile string `yaml:"client_secret_file,omitempty"`
}

// MappingConfig says whose a client certificate is.
type MappingConfig struct {
	Kind  string   `yaml:"kind"`
	Name  string   `yaml:"name"`
	Users []string `yaml:"users,flow,omitempty"`
}

// RuleConfig is one authentication rule.
type RuleConfig struct {
	Method      string   `yaml:"method"`
	Issuer      string   `yaml:"issuer,omitempty"`
	Users       []string `yaml:"users,flow,omitempty"`
	Databases   []string `yaml:"databases,flow,omitempty"`
	Sources     []string `yaml:"sources,flow,omitempty"`
	Certificate bool     `yaml:"certificate,omitempty"`
}

// PolicyConfig is where the policies are.
type PolicyConfig struct {
	Directory string `yaml:"directory"`
	Shadow    string `yaml:"shadow,omitempty"`
}

// VaultConfig is where credentials come from.
type VaultConfig struct {
	Address     string    `yaml:"address"`
	Namespace   string    `yaml:"namespace,omitempty"`
	CAFile      string    `yaml:"ca_file,omitempty"`
	Auth        VaultAuth `yaml:"auth"`
	Mount       string    `yaml:"mount"`
	Ahead       int       `yaml:"ahead"` // 0: tests count leases, and take Vault away
	JournalFile string    `yaml:"journal_file"`
}

// VaultAuth is how the gateway logs in to Vault.
type VaultAuth struct {
	Method       string `yaml:"method"`
	RoleIDFile   string `yaml:"role_id_file,omitempty"`
	SecretIDFile string `yaml:"secret_id_file,omitempty"`
	TokenFile    string `yaml:"token_file,omitempty"`
}

// DatabaseConfig is one database behind the gateway.
type DatabaseConfig struct {
	Host        string   `yaml:"host,omitempty"`
	Port        int      `yaml:"port,omitempty"`
	Hosts       []string `yaml:"hosts,flow,omitempty"`
	Target      string   `yaml:"target_session_attrs,omitempty"`
	MaxSessions int      `yaml:"max_connections,omitempty"`
	Queue       string   `yaml:"queue_timeout,omitempty"`

	Routes map[string]RouteConfig `yaml:"routes,omitempty"`

	Name        string            `yaml:"name,omitempty"`
	Method      string            `yaml:"authentication,omitempty"` // what the backend may ask for
	TLS         BackendTLS        `yaml:"tls"`
	SearchPath  []string          `yaml:"search_path,flow"`
	VaultRoles  map[string]string `yaml:"vault_roles,omitempty"`
	Credentials string            `yaml:"credentials,omitempty"`
	StaticRoles map[string]string `yaml:"vault_static_roles,omitempty"`
	KV          *KVConfig         `yaml:"vault_kv,omitempty"`
	PKI         *PKIConfig        `yaml:"vault_pki,omitempty"`
	Minted      *MintedConfig     `yaml:"minted,omitempty"`
	Static      *StaticConfig     `yaml:"static,omitempty"`
	Catalog     *CatalogConfig    `yaml:"catalog,omitempty"`

	Enforcement string `yaml:"enforcement,omitempty"`
}

// RouteConfig is another place where a database's sessions may be opened.
type RouteConfig struct {
	Hosts  []string      `yaml:"hosts,flow,omitempty"`
	Target string        `yaml:"target_session_attrs,omitempty"`
	Static *StaticConfig `yaml:"static,omitempty"`

	Credentials string         `yaml:"credentials,omitempty"`
	Catalog     *CatalogConfig `yaml:"catalog,omitempty"`
}

// KVConfig says where in Vault credentials lie.
type KVConfig struct {
	Mount string            `yaml:"mount"`
	Paths map[string]string `yaml:"paths"`
}

// PKIConfig says who signs certificates for which database users.
type PKIConfig struct {
	Mount  string            `yaml:"mount"`
	Role   string            `yaml:"role"`
	Users  map[string]string `yaml:"users"`
	Revoke bool              `yaml:"revoke"`
}

// MintedConfig is how the gateway makes roles without Vault.
type MintedConfig struct {
	User         string            `yaml:"user"`
	PasswordFile string            `yaml:"password_file"`
	Owner        string            `yaml:"owner"`
	Groups       map[string]string `yaml:"groups"`
	Owners       map[string]string `yaml:"owners,omitempty"`
	Ahead        int               `yaml:"ahead"` // 0: tests count roles
	TTL          string            `yaml:"ttl,omitempty"`
	JournalFile  string            `yaml:"journal_file,omitempty"`
}

// StaticConfig names database users that sessions share.
type StaticConfig struct {
	Accounts map[string]AccountConfig `yaml:"accounts"`
}

// AccountConfig is one of them.
type AccountConfig struct {
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
}

// Mint has all credentials made by the gateway itself. There are no
// superusers then: who would be one is a member of the database's owner.
func (c *GatewayConfig) Mint() {
	c.Vault = VaultConfig{}
	for name, database := range c.Databases {
		database.VaultRoles = nil
		database.Minted = &MintedConfig{
			User: provisioner, PasswordFile: "provisioning.password", Owner: name + "_objects", JournalFile: "leases." + name,
			Groups: map[string]string{"readwrite": name + "_readwrite", "admin": name + "_owner"},
			Owners: map[string]string{"admin": name + "_owner"},
		}
		if name == App {
			database.Minted.Groups["readonly"] = "app_readonly"
		}
		if database.Catalog != nil {
			database.Catalog = &CatalogConfig{Group: name + "_catalog"}
		}
		c.Databases[name] = database
	}
}

// CatalogConfig is how the gateway learns what names mean.
type CatalogConfig struct {
	VaultRole string `yaml:"vault_role,omitempty"`

	StaticRole string `yaml:"vault_static_role,omitempty"`
	KVPath     string `yaml:"vault_kv_path,omitempty"`
	User       string `yaml:"user,omitempty"`
	Group      string `yaml:"group,omitempty"`
	Account    string `yaml:"account,omitempty"`
	Poll       string `yaml:"poll,omitempty"`
	MaxAge     string `yaml:"max_age,omitempty"`
}

// BackendTLS is what the backend is verified with and shown.
type BackendTLS struct {
	CAFile      string `yaml:"ca_file"`
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	Negotiation string `yaml:"negotiation,omitempty"`
}

// AuditConfig is where the audit log goes.
type AuditConfig struct {
	File    string         `yaml:"file"`
	Mode    string         `yaml:"mode,omitempty"`
	Journal string         `yaml:"journal,omitempty"`
	KeyFile string         `yaml:"key_file,omitempty"`
	Rotate  map[string]any `yaml:"rotate,omitempty"`
	Tails   map[string]any `yaml:"tails,omitempty"`
}

// LogConfig is how much the gateway tells.
type LogConfig struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}
