package openid

import (
	"context"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"
)

// StoreDeviceAuthorization begins a device flow (RFC 8628).
func (s *store) StoreDeviceAuthorization(_ context.Context, clientID, deviceCode, userCode string, expires time.Time, scopes []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.typed[userCode]; taken {
		return op.ErrDuplicateUserCode
	}
	s.typed[userCode] = deviceCode
	s.devices[deviceCode] = &op.DeviceAuthorizationState{
		ClientID: clientID, Audience: []string{clientID}, Scopes: scopes, Expires: expires,
	}
	return nil
}

// GetDeviceAuthorizatonState answers the device's polls; the name is the library's.
func (s *store) GetDeviceAuthorizatonState(_ context.Context, clientID, deviceCode string) (*op.DeviceAuthorizationState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, ok := s.devices[deviceCode]
	if !ok || state.ClientID != clientID {
		return nil, errUnknown
	}
	out := *state
	if out.Done || out.Denied {
		delete(s.devices, deviceCode) // one answer: a device code is not a refresh token
	}
	return &out, nil
}

// decide ends a device flow with the user's answer.
func (s *store) decide(userCode string, user User, allow bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, ok := s.devices[s.typed[userCode]]
	if !ok || time.Now().After(state.Expires) {
		return errUnknown
	}
	delete(s.typed, userCode)
	state.Done, state.Denied = allow, !allow
	state.Subject, state.AMR, state.AuthTime = user.Subject, []string{"pwd"}, time.Now()
	return nil
}
