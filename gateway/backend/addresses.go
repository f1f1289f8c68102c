package backend

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
)

// elsewhere are the other addresses of a host one of which took the connection and then said nothing until the connect timeout had passed.
// Those that take none the dialer has passed over already. libpq tries an address after the other for the same reasons and no more: what a
// server has said, or is, the others are not asked about (pqConnectDBComplete and CONNECTION_CHECK_TARGET in fe-connect.c). Each has the
// connect timeout to itself, there and here.
func (c *Config) elsewhere(ctx context.Context, err error) []string {
	failure, ok := errors.AsType[*Error](err)
	if !ok || failure.silent == "" || ctx.Err() != nil || c.Address != "" || c.Dial != nil {
		return nil
	}
	if _, err := netip.ParseAddr(c.Host); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.connectTimeout())
	defer cancel()
	found, err := c.resolver.LookupHost(ctx, c.Host)
	if err != nil {
		return nil // the name was known a moment ago: what is known of the address that it had is the better error
	}
	for i, address := range found {
		found[i] = net.JoinHostPort(address, strconv.Itoa(c.port()))
	}
	return slices.DeleteFunc(found, func(address string) bool { return address == failure.silent })
}

// unanswered says whether another address may do better: nobody there has said anything.
func unanswered(err error) bool {
	failure, ok := errors.AsType[*Error](err)
	return ok && (failure.Stage == StageDial || failure.silent != "")
}
