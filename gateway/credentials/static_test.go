package credentials

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStatic(t *testing.T) {
	for name, test := range map[string]struct {
		content string
		mode    os.FileMode // 0: there is no file
		role    string
		refused string // a part of why; "": it is not
	}{
		"owner":          {"hunter2\n", 0o600, "readonly", ""},
		"group":          {"hunter2", 0o640, "readonly", ""},
		"everybody":      {"hunter2", 0o644, "readonly", "chmod 0600"},
		"writable":       {"hunter2", 0o602, "readonly", "chmod 0600"},
		"no file":        {"", 0, "readonly", "no such file"},
		"empty":          {" \n", 0o600, "readonly", "one word"},
		"two words":      {"hunter2 x", 0o600, "readonly", "one word"},
		"no such role":   {"hunter2", 0o600, "admin", `no account for "admin"`},
		"the empty role": {"hunter2", 0o600, "", `no account for ""`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "password")
			if test.mode != 0 {
				if err := errors.Join(os.WriteFile(path, []byte(test.content), 0o600), os.Chmod(path, test.mode)); err != nil {
					t.Fatal(err)
				}
			}
			s := NewStatic(map[string]Account{"readonly": {User: "reader", PasswordFile: path}})
			lease, err := s.Take(t.Context(), test.role)
			if test.refused == "" {
				if err != nil || s.Ready() != nil {
					t.Fatal(err, s.Ready())
				}
				if lease.Username != "reader" || lease.Password != "hunter2" || lease.Source != SourceStatic || lease.ID != "" || !lease.Expires.IsZero() {
					t.Errorf("got %v", lease)
				}
				return
			}
			failure, ok := errors.AsType[*Error](err)
			if !ok || failure.Kind != Refused || failure.Source != SourceStatic || !strings.Contains(err.Error(), test.refused) {
				t.Errorf("got %v", err)
			}
			if strings.Contains(err.Error(), "hunter2") || lease.Password != "" {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}
