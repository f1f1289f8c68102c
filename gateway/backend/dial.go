package backend

import (
	"context"
	"net"
	"time"
)

const (
	// A silent peer is found dead after keepAliveIdle + keepAliveCount * keepAliveInterval = 60 s. PostgreSQL holds the locks of a
	// session until it notices; so does the gateway its lease.
	keepAliveIdle     = 30 * time.Second
	keepAliveInterval = 10 * time.Second
	keepAliveCount    = 3
	// defaultUserTimeout is how long sent data may stay unacknowledged. It must be longer than keepalive's minute: the kernel counts
	// against it also the time for which a healthy backend does not read, as one does that waits for a lock in the middle of a
	// client's pipeline or COPY. Without it a dead peer is noticed after some 15 minutes (tcp_retries2, tcp(7)).
	defaultUserTimeout = 5 * time.Minute
)

// dial makes the connection with the caller's dialer or the default one.
func (c *Config) dial(ctx context.Context) (net.Conn, error) {
	if c.Dial != nil {
		return c.Dial(ctx, "tcp", c.address())
	}
	timeout := c.UserTimeout
	if timeout <= 0 {
		timeout = defaultUserTimeout
	}
	dialer := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{
			Enable:   true,
			Idle:     keepAliveIdle,
			Interval: keepAliveInterval,
			Count:    keepAliveCount,
		},
		Control:  userTimeout(timeout),
		Resolver: c.resolver,
	}
	return dialer.DialContext(ctx, "tcp", c.address())
}
