package gateway

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/backend"
)

func startupWith(pairs ...string) *startup {
	s := &startup{user: "ana", database: "app"}
	for i := 0; i < len(pairs); i += 2 {
		s.parameters = append(s.parameters, backend.Parameter{Name: pairs[i], Value: pairs[i+1]})
	}
	return s
}

func TestRequestOf(t *testing.T) {
	longest := strings.Repeat("é", maxRequest/2)
	tests := map[string]struct {
		startup *startup
		want    request
	}{
		"nothing":              {startupWith("application_name", "psql"), request{}},
		"options":              {startupWith("options", "-c sallyport.reason=INC-42 --sallyport.role=admin"), request{"INC-42", "admin"}},
		"options with a space": {startupWith("options", `-c sallyport.reason=INC-42\ disk\ full`), request{reason: "INC-42 disk full"}},
		"direct":               {startupWith("sallyport.reason", "INC-42", "sallyport.role", "admin"), request{"INC-42", "admin"}},
		"another case":         {startupWith("Sallyport.Reason", "INC-42"), request{reason: "INC-42"}},
		"empty":                {startupWith("sallyport.reason", "", "sallyport.role", ""), request{}},
		"spaces are no reason": {startupWith("sallyport.reason", "   "), request{}},
		"the longest":          {startupWith("sallyport.reason", longest), request{reason: longest}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got, err := requestOf(tt.startup); err != nil || got != tt.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestRequestOfRefuses(t *testing.T) {
	tests := map[string]*startup{
		"too long":            startupWith("sallyport.reason", strings.Repeat("x", maxRequest+1)),
		"control characters":  startupWith("sallyport.reason", "INC-42\nforged line"),
		"not UTF-8":           startupWith("sallyport.role", "\xff"),
		"twice":               startupWith("sallyport.reason", "a", "sallyport.reason", "b"),
		"twice, in options":   startupWith("sallyport.role", "a", "options", "-c sallyport.role=b"),
		"twice, another case": startupWith("sallyport.role", "a", "SALLYPORT.ROLE", "b"),
		"a misspelt one":      startupWith("sallyport.raeson", "INC-42"),
		"broken options":      startupWith("options", "-c sallyport.reason"),
	}
	for name, s := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := requestOf(s)
			if err == nil {
				t.Fatalf("taken: %+v", got)
			}
			if code := asSessionError(err).code(); code != "42501" {
				t.Errorf("got %s, want 42501", code)
			}
		})
	}
}

// TestRequestIsNotForwarded: not even for an observer, who may set what he likes.
func TestRequestIsNotForwarded(t *testing.T) {
	s := startupWith("sallyport.reason", "INC-42", "options", "-c Sallyport.Role=admin")
	for _, observe := range []bool{false, true} {
		list, err := startupParameters(s, grant{ConnectDecision: authz.ConnectDecision{Observe: observe}}, Database{SearchPath: []string{"app"}}, "id")
		if err != nil {
			t.Fatal(err)
		}
		for name := range settings(list) {
			if isOwn(name) {
				t.Errorf("observe %v: %s is forwarded", observe, name)
			}
		}
	}
}
