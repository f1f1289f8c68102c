package credentials

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"
)

func TestClassify(t *testing.T) {
	const token = "hvs.the-token"
	status := func(code int, texts ...string) error {
		return fmt.Errorf("wrapped: %w", &api.ResponseError{StatusCode: code, Errors: texts, URL: "https://vault/v1/secret-path"})
	}
	for name, test := range map[string]struct {
		err  error
		want Kind
		text string
	}{
		"bad request":   {status(400, `unknown role: "x"`), Refused, `unknown role: "x"`},
		"forbidden":     {status(403, "permission denied"), Refused, "permission denied"},
		"not found":     {status(404), Refused, "no reason given"},
		"timeout":       {status(408), Unavailable, ""},
		"behind":        {status(412), Unavailable, ""},
		"quota":         {status(429), Unavailable, ""},
		"failing":       {status(500, "a\nb\x1b[31m"), Unavailable, "a b?[31m"},
		"gateway":       {status(502), Unavailable, ""},
		"sealed":        {status(503, "Vault is sealed"), Unavailable, "Vault is sealed"},
		"echoes":        {status(400, "bad token "+token), Refused, "bad token [token]"},
		"network":       {&url.Error{Op: "Get", URL: "https://vault/v1/x", Err: context.DeadlineExceeded}, Unavailable, "deadline exceeded"},
		"echoing error": {errors.New("header " + token), Unavailable, "header [token]"},
		"not JSON":      {&api.ResponseError{StatusCode: 502, RawError: true, Errors: []string{"<html>secret-page"}}, Unavailable, "no reason given"},
		"endless":       {status(400, strings.Repeat("x", 10*maxErrorText)), Refused, "xxx"},
	} {
		t.Run(name, func(t *testing.T) {
			got := classify("op", test.err, token)
			if got.Kind != test.want || !strings.Contains(got.Error(), test.text) {
				t.Errorf("classify: %v is %s, want %s %q", got, got.Kind, test.want, test.text)
			}
			if text := got.Error(); strings.Contains(text, token) || strings.Contains(text, "secret-p") || len(text) > maxErrorText+100 {
				t.Errorf("error = %q", text)
			}
		})
	}
	if got := classify("op", &url.Error{Op: "Get", URL: "u", Err: context.Canceled}, token); !errors.Is(got, context.Canceled) {
		t.Errorf("%v has lost its cause", got)
	}
	inner := &Error{Kind: Refused, Op: "inner"}
	if got := classify("op", fmt.Errorf("x: %w", inner), token); got != inner {
		t.Errorf("an *Error was classified again: %v", got)
	}
}
