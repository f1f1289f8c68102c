package gateway

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authn/throttle"
)

var localhost = netip.MustParseAddr("127.0.0.1")

// strict lets one failure pass, and has everybody wait an hour after the second.
func strict(t *testing.T) *throttle.Throttle {
	t.Helper()
	throttler, err := throttle.New(throttle.Config{
		NetworkFree: 1, UserFree: 1, Base: time.Hour, MaxNetwork: time.Hour, MaxUser: time.Hour, Leak: 24 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	return throttler
}

// TestThrottleRefuses: who would wait too long hears so in place of a question.
func TestThrottleRefuses(t *testing.T) {
	cfg := serverConfig(t)
	cfg.Throttle = strict(t)
	for range 2 {
		cfg.Throttle.Failed(localhost, "bob")
	}
	cfg.Throttle.Wait(localhost, "bob") // takes the one place in the queue
	s := serve(t, cfg)
	conn := s.hello()
	m, err := pgproto3.NewFrontend(conn, conn).Receive()
	e, ok := m.(*pgproto3.ErrorResponse)
	if !ok || e.Severity != "FATAL" || e.Code != "53300" || e.Message != "too many failed logins, try again later" || e.Detail != "" {
		t.Errorf("got %#v, %v", m, err)
	}
}

// TestThrottleDelays: the login waits, but never so long that no time is left to prove anything.
func TestThrottleDelays(t *testing.T) {
	cfg := serverConfig(t)
	cfg.Throttle, cfg.Timeouts.Authentication = strict(t), 2*time.Second
	for range 2 {
		cfg.Throttle.Failed(netip.MustParseAddr("192.0.2.1"), "ana")
	}
	s := serve(t, cfg)
	conn := s.hello()
	began := time.Now()
	m, err := pgproto3.NewFrontend(conn, conn).Receive()
	if _, ok := m.(*pgproto3.AuthenticationSASL); !ok {
		t.Errorf("got %#v, %v", m, err)
	}
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("was asked after %v", took)
	}
}

// TestThrottleEndsWithTheServer: a login that waits keeps nobody else waiting.
func TestThrottleEndsWithTheServer(t *testing.T) {
	s := &session{config: &Config{Throttle: strict(t), Metrics: serverConfig(t).Metrics, Timeouts: Timeouts{}.withDefaults()}}
	for range 2 {
		s.config.Throttle.Failed(localhost, "ana")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	checkReason(t, s.throttle(ctx, localhost, "ana"), ReasonClientGone)
}

// TestThrottleCountsLogins runs real logins: the wrong password of a user that nobody knows counts, a client that hangs up does not.
func TestThrottleCountsLogins(t *testing.T) {
	cfg := serverConfig(t)
	cfg.Throttle = strict(t)
	s := serve(t, cfg)
	for range 3 {
		conn := s.hello()
		if _, err := pgproto3.NewFrontend(conn, conn).Receive(); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	for range 2 {
		_, err := pgconn.Connect(t.Context(), "postgres://nobody:wrong@"+s.address+"/app?sslmode=require")
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "28P01" {
			t.Fatalf("got %v, want 28P01", err)
		}
	}
	s.server.Close() // all has been counted
	if delay, ok := cfg.Throttle.Wait(localhost, "nobody"); !ok || delay < 59*time.Minute {
		t.Errorf("the next one waits %v, %v", delay, ok)
	}
}

func TestTell(t *testing.T) {
	tests := map[string]struct {
		err    error
		counts bool
	}{
		"wrong password":            {fail(ReasonAuthentication, nil), true},
		"wrong certificate":         {&sessionError{reason: ReasonAuthentication, sqlstate: "28000"}, true},
		"policy says no, unsaid":    {&sessionError{reason: ReasonPolicyDenied, sqlstate: "28P01"}, true},
		"backend's fault, unsaid":   {&sessionError{reason: ReasonBackendRefused, sqlstate: "28P01"}, true},
		"policy says no":            {fail(ReasonPolicyDenied, nil), false},
		"backend's fault":           {fail(ReasonBackendRefused, nil), false},
		"cannot be passed through":  {&sessionError{reason: ReasonUnsupported, sqlstate: "28000"}, false},
		"keys cannot be had":        {&sessionError{reason: ReasonAuthentication, sqlstate: "57P03"}, false},
		"discovery":                 {fail(ReasonDiscovery, nil), false},
		"client gone":               {fail(ReasonClientGone, nil), false},
		"deadline":                  {fail(ReasonDeadline, nil), false},
		"protocol":                  {fail(ReasonProtocol, nil), false},
		"refused by the throttle":   {fail(ReasonThrottled, nil), false},
		"error of the gateway's":    {errors.New("broken"), false},
		"message that is too large": {fail(ReasonMessageTooLarge, nil), false},
		"success":                   {nil, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := &session{config: &Config{Throttle: strict(t)}}
			s.tell(localhost, "ana", tt.err)
			s.tell(localhost, "ana", tt.err)
			if delay, ok := s.config.Throttle.Wait(localhost, "ana"); !ok || (delay > 0) != tt.counts {
				t.Errorf("delay %v, %v", delay, ok)
			}
			s.config.Throttle = nil
			s.tell(localhost, "ana", tt.err)
			if err := s.throttle(t.Context(), localhost, "ana"); err != nil {
				t.Errorf("without a throttle: %v", err)
			}
		})
	}
}
