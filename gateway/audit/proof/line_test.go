package proof

import (
	"encoding/base64"
	"math/rand/v2"
	"testing"
	"time"
)

// TestWhatALineSays: since schema 1.1 statements and outcomes end with what others begin with.
func TestWhatALineSays(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 14, 7, 120431000, time.UTC)
	const forged = `\",\"id\":\"x.1\",\"time\":\"2020-01-01T00:00:00.000000Z\"}`
	for name, test := range map[string]struct {
		line, label string
		at          time.Time
	}{
		"a session's":        {`{"time":"2026-03-02T09:14:07.120431Z","type":"connect","session":"s","user":"ana"}`, "connect s", at},
		"nobody's":           {`{"time":"2026-03-02T09:14:07.120431Z","type":"policy_change","session":""}`, "policy_change", at},
		"a statement of 1.0": {`{"time":"2026-03-02T09:14:07.120431Z","type":"statement","session":"s","id":"s.1","text":"` + forged + `"}`, "statement s.1", at},
		"a statement":        {`{"type":"statement","session":"s","text":"` + forged + `","id":"s.1","time":"2026-03-02T09:14:07.120431Z"}`, "statement s.1", at},
		"with parameters":    {`{"type":"statement","session":"s","id":"s.1","parameters":[{"type":"int4","bytes":1}],"time":"2026-03-02T09:14:07.120431Z"}`, "statement s.1", at},
		"torn":               {`{"type":"statement","session":"s","text":"` + forged, "statement s", time.Time{}},
		"no time":            {`{"type":"statement","session":"s","time":"2026-03-02 09:14:07.120431Z"}`, "statement s", time.Time{}},
		"no event":           {`"time":"2026-03-02T09:14:07.120431Z"}`, "", time.Time{}},
		"empty":              {"", "", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Label([]byte(test.line)); got != test.label {
				t.Errorf("it is %q, want %q", got, test.label)
			}
			if got := TimeOf([]byte(test.line)); !got.Equal(test.at) {
				t.Errorf("it is of %v, want %v", got, test.at)
			}
		})
	}
}

// TestHashesInBase64 holds what is made of two digits at once to encoding/base64.
func TestHashesInBase64(t *testing.T) {
	random := rand.New(rand.NewChaCha8([32]byte{}))
	for n := range 200 {
		hashes := make([]Hash, n)
		var raw []byte
		for i := range hashes {
			for at := range hashes[i] {
				hashes[i][at] = byte(random.Uint32())
			}
			raw = append(raw, hashes[i][:]...)
		}
		want := "before" + base64.StdEncoding.EncodeToString(raw)
		if got := string(appendHashes([]byte("before"), hashes)); got != want {
			t.Fatalf("%d hashes: got %s\nwant %s", n, got, want)
		}
	}
}
