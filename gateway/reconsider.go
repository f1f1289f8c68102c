package gateway

import (
	"errors"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authn/certificate"
)

// Reconsider ends the sessions of those who could not log in any more as they did: no rule lets them in by that method, the userlist has no
// password of theirs, nobody vouches for their certificates, tokens like theirs are not taken, their database is no longer there. It is for
// whoever has changed what a Config looks in; Reload does it by itself. A password that was changed ends nothing: it is changed before its
// programs have the new one, and their sessions are not a thief's. What tokens say is their issuers' to take back (authn.Standing).
func (s *Server) Reconsider() {
	s.mu.Lock()
	sessions := s.live()
	s.mu.Unlock()
	// Not with the lock held: certificates are verified.
	for _, session := range sessions {
		if err := session.accepted(); err != nil {
			session.stop(err)
		}
	}
}

// accepted says whether a session's login would still be one. It is asked once the session is among those that Reconsider goes through:
// whoever changes the configuration at this moment is in time either for the question or to end the session.
func (s *session) accepted() error {
	cfg := s.server.config()
	if !s.servedBy(cfg) {
		return fail(ReasonDatabaseRemoved, nil)
	}
	if err := s.acceptedBy(cfg); err != nil {
		return &sessionError{
			reason: ReasonIdentityExpired, err: err,
			message: "terminating connection because the login it was opened with is no longer accepted",
		}
	}
	return nil
}

// servedBy says whether a configuration still has the session's database, and the route that policy gave, which is known once it relays. Of
// what its own did not have, policy says whether the client may hear so.
func (s *session) servedBy(cfg *Config) bool {
	name := s.admitted.startup.database
	before, was := s.config.Databases[name]
	now, is := cfg.Databases[name]
	if was && !is {
		return false
	}
	if info := s.info.Load(); info != nil && info.Route != "" {
		_, was = before.Routes[info.Route]
		_, is = now.Routes[info.Route]
		return is || !was
	}
	return true
}

func (s *session) acceptedBy(cfg *Config) error {
	user := s.admitted.startup.user
	rule, ok := cfg.Rules.Match(user, s.admitted.startup.database, addressOf(s.client))
	if !ok || rule.Method != s.rule.Method || rule.Issuer != s.rule.Issuer {
		return errors.New("no rule permits this login any more")
	}
	known := true
	switch rule.Method {
	case authn.MethodSCRAM:
		known = cfg.SCRAM.Knows(user)
	case authn.MethodMD5:
		known = cfg.MD5 != nil && cfg.MD5.Knows(user)
	case authn.MethodOIDC, authn.MethodOAUTHBEARER:
		verifier := cfg.Issuers[rule.Issuer]
		known = verifier != nil && verifier.Takes(s.identity)
	}
	if !known {
		return errors.New("the account is no longer known, or tokens like its own are no longer taken")
	}
	if rule.Certificate || rule.Method == authn.MethodCertificate {
		return s.certificateAccepted(cfg, user)
	}
	return nil
}

// certificateAccepted says whether the certificate of the handshake would be taken now: its authority may have been changed since, and its
// mapping. It is verified as crypto/tls does.
func (s *session) certificateAccepted(cfg *Config, user string) error {
	shown := s.secure.ConnectionState().PeerCertificates
	if cfg.Mapper == nil || len(shown) == 0 || s.identity.Certificate == "" { // shown, but no part of the proof: the session does not end with it
		return certificate.ErrNone
	}
	if cfg == s.config && cfg.Serving() == s.serving {
		return nil // as the handshake was, and the login
	}
	chains, err := cfg.Serving().Chains(shown)
	if err != nil {
		return err
	}
	_, err = cfg.Mapper.Verify(chains, user)
	return err
}
