package tail

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rsyslogd keeps what it receives in a file.
type rsyslogd struct {
	daemon
	file string
}

func newRsyslogd(t *testing.T, driver, certificates string) *rsyslogd {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	r := &rsyslogd{file: filepath.Join(dir, "kept")}
	config := filepath.Join(dir, "rsyslog.conf")
	// A direct queue: what was read is in the file before more is read.
	text := fmt.Sprintf(`global(workDirectory=%[1]q defaultNetstreamDriver=%[2]q maxMessageSize="1m"
  defaultNetstreamDriverCAFile="%[3]s/ca.crt" defaultNetstreamDriverCertFile="%[3]s/server.crt" defaultNetstreamDriverKeyFile="%[3]s/server.key")
main_queue(queue.type="Direct")
module(load="imtcp" streamDriver.name=%[2]q streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
template(name="kept" type="string" string="%%timestamp:::date-rfc3339%% %%hostname%% %%app-name%% %%msgid%% %%structured-data%% %%msg%%\n")
input(type="imtcp" address="127.0.0.1" port=%[4]q)
action(type="omfile" file=%[5]q template="kept" flushOnTXEnd="on")
`, dir, driver, certificates, port, r.file)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.daemon = daemon{
		command: []string{"/usr/sbin/rsyslogd", "-n", "-f", config, "-i", "NONE"}, address: "127.0.0.1:" + port, log: filepath.Join(dir, "log"),
	}
	t.Cleanup(func() {
		r.kill(t)
		if said, _ := os.ReadFile(r.log); t.Failed() {
			t.Logf("rsyslogd: %s", said)
		}
	})
	return r
}

// entry is a message as it is kept.
var entry = regexp.MustCompile(`^\S+ \S+ sallyport (?:outcome|tree|checkpoint) \[sallyport@32473 leaf="\d+" id="[^"]+"(?: session="s\\"\\]")?\] (\{.*\})$`)

func (r *rsyslogd) raw(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(r.file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(content)
}

func (r *rsyslogd) lines(t *testing.T) []string {
	t.Helper()
	content := r.raw(t)
	whole := content[:strings.LastIndexByte(content, '\n')+1]
	var lines []string
	for line := range strings.Lines(whole) {
		match := entry.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if match == nil {
			t.Fatalf("rsyslogd has kept %q", line)
		}
		lines = append(lines, match[1])
	}
	return lines
}

func TestRsyslog(t *testing.T) {
	for _, driver := range []string{"ossl", "gtls"} {
		t.Run(driver, func(t *testing.T) {
			dir, config := newAuthority(t)
			r := newRsyslogd(t, driver, dir)
			through(t, r, func(log string) (*Tail, error) {
				return NewSyslog(Config{Name: "syslog", Log: log, Logger: quiet(t)}, "tls://"+r.address, config)
			})
		})
	}
}
