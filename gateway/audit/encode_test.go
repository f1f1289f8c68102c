package audit

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func FuzzAppendString(f *testing.F) {
	for _, seed := range []string{"", "abc", "a\"b\\c", "\x00\x01\x1f\x7f", "\b\f\n\r\t", "é…\u2028\u2029", "\xff\xfe", "a\xc3", "\xed\xa0\x80", "\U0010FFFF", "<&>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		var want bytes.Buffer
		encoder := json.NewEncoder(&want)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(value); err != nil {
			t.Fatal(err)
		}
		got := string(appendString(nil, value)) + "\n"
		if got != want.String() {
			t.Errorf("appendString(%q) = %s, encoding/json has %s", value, got, want.String())
		}
	})
}

func FuzzCut(f *testing.F) {
	f.Add("aé…\U0001F600", 3)
	f.Add("\xff\xff\xff\xff\xff\xff", 5)
	f.Fuzz(func(t *testing.T, value string, limit int) {
		if limit < 0 {
			t.Skip()
		}
		got := cut(value, limit)
		if len(got) > limit || !strings.HasPrefix(value, got) {
			t.Errorf("cut(%q, %d) = %q", value, limit, got)
		}
		if utf8.ValidString(value) && !utf8.ValidString(got) {
			t.Errorf("cut(%q, %d) = %q, which has half a character", value, limit, got)
		}
		if limit <= len(value) && len(got) < limit-utf8.UTFMax+1 {
			t.Errorf("cut(%q, %d) = %q: too short", value, limit, got)
		}
	})
}

func TestAppendTime(t *testing.T) {
	tests := map[string]struct {
		time time.Time
		want string
	}{
		"UTC":       {time.Date(2026, 3, 4, 5, 6, 7, 8_009_000, time.UTC), "2026-03-04T05:06:07.008009Z"},
		"zone":      {time.Date(2026, 1, 1, 0, 30, 0, 0, time.FixedZone("", 3600)), "2025-12-31T23:30:00.000000Z"},
		"cut":       {time.Date(2026, 1, 1, 0, 0, 0, 999_999_999, time.UTC), "2026-01-01T00:00:00.999999Z"},
		"too late":  {time.Unix(1<<40, 0), "9999-12-31T23:59:59.999999Z"},
		"too early": {time.Unix(-1<<40, 0), "0000-01-01T00:00:00.000000Z"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := string(appendTime(nil, test.time))
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if _, err := time.Parse(time.RFC3339Nano, got); err != nil {
				t.Error(err)
			}
		})
	}
	before := time.Now().Truncate(time.Microsecond)
	now, err := time.Parse(time.RFC3339Nano, string(appendTime(nil, time.Time{})))
	if err != nil || now.Before(before) || now.After(time.Now()) {
		t.Errorf("the zero time became %v (%v), want now", now, err)
	}
}

// at is the time of all events in these tests.
var at = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// TestLines pins every event's line: programs read them.
func TestLines(t *testing.T) {
	identity := Identity{User: "ana", Method: "oidc", Issuer: "https://id", Subject: "7", Name: "Ana", Groups: []string{"g"}, Expires: at}
	who := NewWho(Statements{Identity: &identity, Database: "app", ClientAddress: "::1", BackendHost: "h:1", BackendRole: "v-1", LeaseIDHash: "l"})
	tests := map[string]struct {
		event Event
		want  string
	}{
		"session start": {
			&SessionStart{Time: at, Session: "s1", User: "ana", Database: "app", ClientAddress: "::1", Application: "psql", StatedReason: "INC-42", RequestedRole: "admin", TLSVersion: "TLS 1.3", TLSCipher: "C", ProtocolVersion: "3.0", Replication: "database"},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"session_start","session":"s1","claimed_user":"ana","database":"app","client_address":"::1","application_name":"psql","stated_reason":"INC-42","requested_role":"admin","tls_version":"TLS 1.3","tls_cipher":"C","protocol_version":"3.0","replication":"database"}`,
		},
		"connect": {
			&Connect{Time: at, Session: "s1", Identity: identity, StatedReason: "INC-42", RequestedRole: "ro", Allow: true, PolicyRevision: "r", Role: "ro", VaultRole: "app-ro", Enforcement: "observe", Obligations: []string{"read_only"}, SearchPath: []string{"app", "pg_temp"}, BackendHost: "h:1", BackendDatabase: "app", BackendRole: "v-1", BackendPID: 9, Credential: CredentialVault, LeaseIDHash: "l", LeaseExpires: at},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"connect","session":"s1","user":"ana","method":"oidc","issuer":"https://id","subject":"7","name":"Ana","groups":["g"],"expires":"2026-03-04T05:06:07.000000Z","stated_reason":"INC-42","requested_role":"ro","allow":true,"reasons":[],"policy_revision":"r","role":"ro","vault_role":"app-ro","obligations":["read_only"],"enforcement":"observe","search_path":["app","pg_temp"],"backend_host":"h:1","backend_database":"app","backend_role":"v-1","backend_pid":9,"credential":"vault","lease":"l","lease_expires":"2026-03-04T05:06:07.000000Z"}`,
		},
		"connect, key/value": {
			&Connect{Time: at, Session: "s1", Identity: Identity{User: "ana", Method: "oidc"}, Allow: true, PolicyRevision: "r", Role: "ro", VaultRole: "app/ro", BackendHost: "h:1", BackendDatabase: "app", BackendRole: "reader", BackendPID: 9, Credential: CredentialVaultKV, CredentialVersion: 3},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"connect","session":"s1","user":"ana","method":"oidc","groups":[],"allow":true,"reasons":[],"policy_revision":"r","role":"ro","vault_role":"app/ro","backend_host":"h:1","backend_database":"app","backend_role":"reader","backend_pid":9,"credential":"vault-kv","credential_version":3}`,
		},
		"connect, denied": {
			&Connect{Time: at, Session: "s1", Identity: Identity{User: "ana", Method: "scram-sha-256"}, Reasons: []string{"no"}, PolicyRevision: "r"},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"connect","session":"s1","user":"ana","method":"scram-sha-256","groups":[],"allow":false,"reasons":["no"],"policy_revision":"r"}`,
		},
		"connect, the client's own credential": {
			&Connect{Time: at, Session: "s1", Identity: Identity{User: "ana", Method: "pass-through-md5"}, Allow: true, PolicyRevision: "r", Role: "ro", BackendHost: "h:1", BackendDatabase: "app", BackendRole: "ana", BackendPID: 9, Credential: CredentialClient},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"connect","session":"s1","user":"ana","method":"pass-through-md5","groups":[],"allow":true,"reasons":[],"policy_revision":"r","role":"ro","backend_host":"h:1","backend_database":"app","backend_role":"ana","backend_pid":9,"credential":"client"}`,
		},
		"connect, claimed and denied": {
			&Connect{Time: at, Session: "s1", Identity: Identity{User: "ana", Method: "pass-through-md5"}, Claimed: true, Reasons: []string{"no"}, PolicyRevision: "r"},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"connect","session":"s1","user":"ana","method":"pass-through-md5","groups":[],"claimed":true,"allow":false,"reasons":["no"],"policy_revision":"r"}`,
		},
		"statement": {
			&Statement{Time: at, Session: "s1", Number: 12, Who: who, Protocol: ProtocolBind, StatementName: "a", Portal: "b", Text: NewText("SELECT 1", 0), Normalized: NewText("SELECT $1", 0), Facts: NewFacts([]string{"SELECT"}, []string{"app.t select"}, "f"), Incomplete: true, Resolved: true, Decision: DecisionDeny, Reasons: []string{"x", "y"}, SQLSTATE: "42501", PolicyRevision: "r", Obligations: []string{"max_rows=1"}, Observe: true},
			`{"type":"statement","session":"s1","user":"ana","method":"oidc","issuer":"https://id","subject":"7","name":"Ana","groups":["g"],"database":"app","client_address":"::1","backend_host":"h:1","backend_role":"v-1","lease":"l","protocol":"bind","statement_name":"a","portal":"b","decision":"deny","reasons":["x","y"],"sqlstate":"42501","policy_revision":"r","obligations":["max_rows=1"],"commands":["SELECT"],"relations":["app.t select"],"fingerprint":"f","incomplete":true,"resolved":true,"observe":true,"normalized":"SELECT $1","normalized_digest":"` + NewText("SELECT $1", 0).Digest() + `","text":"SELECT 1","text_digest":"e004ebd5b5532a4b85984a62f8ad48a81aa3460c1ca07701f386135d72cdecf5","id":"s1.12","time":"2026-03-04T05:06:07.000000Z"}`,
		},
		"statement, cut": {
			&Statement{Time: at, Session: "s1", Number: 1, Protocol: ProtocolQuery, Text: NewText("SELECT 'é'", 9), Decision: DecisionAllow},
			`{"type":"statement","session":"s1","protocol":"query","decision":"allow","reasons":[],"policy_revision":"","commands":[],"relations":[],"text":"SELECT '","text_digest":"` + NewText("SELECT 'é'", 0).Digest() + `","text_truncated":true,"id":"s1.1","time":"2026-03-04T05:06:07.000000Z"}`,
		},
		"outcome": {
			&Outcome{Time: at, Session: "s1", Number: 12, Status: StatusError, Command: "SELECT 1", SQLSTATE: "57014", Rows: 1, Bytes: 2, Duration: 3 * time.Millisecond, JudgeDuration: 4 * time.Microsecond, WaitDuration: 500 * time.Microsecond},
			`{"type":"outcome","session":"s1","status":"error","command":"SELECT 1","sqlstate":"57014","rows":1,"bytes":2,"id":"s1.12","duration_us":3000,"judge_us":4,"wait_us":500,"backend_us":2496,"time":"2026-03-04T05:06:07.000000Z"}`,
		},
		"cancel": {
			&Cancel{Time: at, Session: "s1", ClientAddress: "::1", Error: "unreachable"},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"cancel","session":"s1","client_address":"::1","forwarded":false,"error":"unreachable"}`,
		},
		"login refused": {
			&LoginRefused{Time: at, Session: "s1", User: "ana", Database: "app", ClientAddress: "::1", Method: "oidc", Reason: "authentication", SQLSTATE: "28P01"},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"login_refused","session":"s1","claimed_user":"ana","database":"app","client_address":"::1","method":"oidc","reason":"authentication","sqlstate":"28P01"}`,
		},
		"session end": {
			&SessionEnd{Time: at, Session: "s1", User: "ana", ClientAddress: "::1", Method: "md5", Reason: "bad_password", SQLSTATE: "28P01", Duration: time.Second, Statements: 1, Rows: 2, BytesIn: 3, BytesOut: 4, Revocation: RevocationNone},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"session_end","session":"s1","claimed_user":"ana","client_address":"::1","method":"md5","reason":"bad_password","sqlstate":"28P01","duration_us":1000000,"statements":1,"rows":2,"bytes_in":3,"bytes_out":4,"revocation":"none"}`,
		},
		"revocation": {
			&Revocation{Time: at, Session: "s1", LeaseIDHash: "l", State: RevocationRevoked},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"revocation","session":"s1","lease":"l","state":"revoked"}`,
		},
		"policy change": {
			&PolicyChange{Time: at, Revision: "b", Previous: "a"},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"policy_change","session":"","policy_revision":"b","previous_revision":"a"}`,
		},
		"configuration change": {
			&ConfigurationChange{Time: at, Action: "reload", Version: "v", File: "f", Digest: "d", Previous: "c", PolicyRevision: "r", Pending: []string{"vault"}, Error: "e"},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"configuration_change","session":"","action":"reload","version":"v","file":"f","digest":"d","previous_digest":"c","policy_revision":"r","pending":["vault"],"error":"e"}`,
		},
		"audit key": {
			&ConfigurationChange{Time: at, Action: "audit_key", File: "f", Key: "log/2+00000002", PreviousKey: "log+00000001"},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"configuration_change","session":"","action":"audit_key","file":"f","key":"log/2+00000002","previous_key":"log+00000001"}`,
		},
		"log repair": {
			&LogRepair{Time: at, Cause: "write", Lost: 3},
			`{"time":"2026-03-04T05:06:07.000000Z","type":"log_repair","session":"","cause":"write","lost":3}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { wantLine(t, test.event, test.want) })
	}
}

func wantLine(t *testing.T, event Event, want string) {
	t.Helper()
	got := event.AppendJSON(nil)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if !json.Valid(got) {
		t.Error("not JSON")
	}
}

func TestBounds(t *testing.T) {
	long := strings.Repeat("é", maxFieldBytes)
	many := make([]string, maxListEntries+7)
	line := (&Statement{Session: "s", StatementName: long, Portal: long, Facts: NewFacts(nil, many, ""), Reasons: []string{long}}).AppendJSON(nil)
	var got struct {
		StatementName string `json:"statement_name"`
		Relations     []string
	}
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatal(err)
	}
	if want := strings.Repeat("é", maxFieldBytes/2) + "…"; got.StatementName != want {
		t.Errorf("a long name has %d bytes, want %d", len(got.StatementName), len(want))
	}
	if n := len(got.Relations); n != maxListEntries+1 || got.Relations[n-1] != "+7 more" {
		t.Errorf("a long list has %d entries, the last one %q", n, got.Relations[n-1])
	}
}

func TestAppendNumber(t *testing.T) {
	check := func(value uint64) {
		t.Helper()
		if got, want := string(appendNumber([]byte("x"), value)), "x"+strconv.FormatUint(value, 10); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	for value := range uint64(20_000) { // all that half of the eight digits can be, and what is on both sides of it
		check(value)
		check(value * 10_000)
		check(99_999_999 - value)
	}
	for bound := uint64(1); bound <= math.MaxUint64/10; bound *= 10 {
		check(bound - 1)
		check(bound)
		check(bound*10 - 1)
	}
	check(math.MaxUint64)
}
