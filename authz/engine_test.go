package authz

import (
	"context"
	"testing"
)

func TestDefaultPolicyLoads(t *testing.T) {
	e, err := New(Config{Directory: "../policies"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Connect(context.Background(), &ConnectInput{
		Identity: Identity{User: "analyst@example.com", Method: "oidc"}, Session: Session{Database: "app"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !got.Allow || got.Role != "readonly" || !got.ReadOnly {
		t.Errorf("got %+v", got)
	}
	t.Log(e.Policy().Cacheable())
}
