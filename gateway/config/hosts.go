package config

import (
	"cmp"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/backend"
	"github.com/sallyport/sallyport/gateway/backend/hosts"
	"github.com/sallyport/sallyport/tlsutil"
)

const (
	defaultPort = 5432
	// maxHosts bounds what a login may have to try.
	maxHosts = 16
	// hostTimeout is how long one of several hosts may take by default: a login has ten seconds for all of them.
	hostTimeout = 3 * time.Second
	maxPlaces   = 1_000_000
)

// Host is one of a database's.
type Host struct {
	Name string
	Port int
}

// Address is host:port.
func (h Host) Address() string { return net.JoinHostPort(h.Name, strconv.Itoa(h.Port)) }

// Addresses are the hosts as host:port, in their order.
func (db Database) Addresses() []string {
	all := make([]string, len(db.Hosts))
	for i, host := range db.Hosts {
		all[i] = host.Address()
	}
	return all
}

// readHosts reads where a database is, what its sessions want of a host, and how many there may be. from is what a route has of its
// database's; nil: it is no route.
func (c *Config) readHosts(db *Database, s *section, from *Database) {
	if from == nil {
		from = &Database{Target: hosts.Any}
	}
	port := s.number("port", defaultPort, 1, 65535)
	one, several := s.has("host"), s.has("hosts")
	db.Hosts = from.Hosts
	switch {
	case one && several:
		s.at("hosts").problem("and host exclude each other: write all of them into hosts")
	case several:
		db.Hosts = s.hosts(port)
	case one:
		db.Hosts = []Host{{s.required("host", "the backend's host name, as its certificate has it"), port}}
	case len(from.Hosts) == 0:
		s.missing("host", "the backend's host name, as its certificate has it, or hosts, if there are several")
	case s.has("port"):
		s.at("port").problem("is without host: name that, too, or remove it")
	}
	s.known["host"], s.known["hosts"] = true, true
	db.Target = hosts.Target(s.oneOf("target_session_attrs", string(from.Target), targets()...))
	balance := map[bool]string{true: "random", false: "disable"}[db.Target.LikesStandbys()]
	db.LoadBalance = s.oneOf("load_balance_hosts", balance, "random", "disable") == "random"
	db.ConnectTimeout = s.duration("connect_timeout", from.ConnectTimeout, 100*time.Millisecond, 5*time.Minute)
	db.MaxConnections = s.number("max_connections", 0, 1, maxPlaces)
	db.Queue = s.duration("queue_timeout", 0, 0, 5*time.Minute)
	if s.has("queue_timeout") && !s.has("max_connections") {
		s.at("queue_timeout").problem("is without max_connections: nobody waits where there is no limit; set that, or remove it")
	}
}

func targets() []string {
	var words []string
	for _, target := range hosts.Targets() {
		words = append(words, string(target))
	}
	return words
}

// hosts reads a list of "host" and "host:port".
func (s *section) hosts(port int) []Host {
	items := s.items("hosts")
	if len(items) == 0 && s.at("hosts").node != nil {
		s.at("hosts").problem("is empty: name at least one host")
	}
	var all []Host
	for _, item := range items {
		host, ok := item.host(port)
		switch {
		case !ok:
		case slices.Contains(all, host):
			item.problem("is %s again: remove it", host.Address())
		case len(all) == maxHosts:
			item.problem("is one host too many: %d are the most", maxHosts)
		default:
			all = append(all, host)
		}
	}
	return all
}

func (v value) host(port int) (Host, bool) {
	text := v.text()
	if text == "" || strings.Count(text, ":") > 1 && !strings.HasPrefix(text, "[") { // an address of IPv6
		return Host{text, port}, text != ""
	}
	name, number, err := net.SplitHostPort(text)
	if err != nil {
		name, number = strings.Trim(text, "[]"), strconv.Itoa(port)
	}
	n, err := strconv.Atoi(number)
	if name == "" || err != nil || n < 1 || n > 65535 {
		v.problem("is %q: must be a host, or host:port", text)
		return Host{}, false
	}
	return Host{name, n}, true
}

// hostSet makes the hosts of a database, each with the TLS towards it.
func (c *Config) hostSet(db Database) (*hosts.Set, []backend.Config, error) {
	timeout := cmp.Or(db.ConnectTimeout, c.Timeouts.Connect)
	if len(db.Hosts) > 1 {
		timeout = cmp.Or(db.ConnectTimeout, hostTimeout)
	}
	all := make([]backend.Config, 0, len(db.Hosts))
	for _, host := range db.Hosts {
		files := db.TLS
		files.ServerName = cmp.Or(files.ServerName, host.Name)
		config, err := tlsutil.ClientConfig(files)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, backend.Config{
			Host: host.Name, Port: host.Port, Database: db.Name, TLS: config, DirectTLS: db.DirectTLS, Authentication: db.Authentication, ConnectTimeout: timeout,
		})
	}
	set, err := hosts.New(hosts.Config{Hosts: all, Target: db.Target, LoadBalance: db.LoadBalance})
	return set, all, err
}
