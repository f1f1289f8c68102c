package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/audit/deliver"
	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// Audit configures the audit log and its proof.
type Audit struct {
	audit.Config        // without Logger, Key and OnCheckpoint
	KeyFile      string // with the key that signs checkpoints; "": none does
	Checkpoints  Checkpoints
	Tails        Tails
}

// Checkpoints says where checkpoints are sent.
type Checkpoints struct {
	Syslog    string // a local socket, tcp://host:port or tls://host:port; "": none
	HTTP      string // a URL; "": none
	PutURL    string // a file with a URL; "": none
	CAFile    string // of all receivers; "": the system's
	TokenFile string // of HTTP; "": it asks for none
}

func (c *Config) readAudit(s *section) {
	c.Audit.Config = audit.Config{
		Path:          s.requiredFile("file", "", "the file that every statement is recorded in"),
		AllowPipe:     s.boolean("allow_pipe"),
		MaxTextBytes:  s.number("max_text_bytes", audit.DefaultMaxTextBytes, 1<<10, 1<<20),
		MaxWholeBytes: s.number("max_whole_text_bytes", audit.DefaultMaxWholeBytes, 0, 4<<20), // escaped, less than proof.Lines reads
		Strict:        s.oneOf("mode", "journal", "journal", "strict") == "strict",
		Journal:       readJournal(s),
	}
	c.Audit.KeyFile = s.file("key_file", "SALLYPORT_AUDIT_KEY_FILE")
	c.writes("audit.file", c.Audit.Path)
	c.readsSecret("audit.key_file", c.Audit.KeyFile)
	c.readRotation(s.section("rotate"))
	c.readCheckpoints(s.section("checkpoints"))
	c.readTails(s.section("tails"))
	s.done()
}

// readJournal reads where the audit log's journal is.
func readJournal(s *section) string {
	v, ok := s.lookup("journal")
	if !ok {
		return audit.JournalAnywhere
	}
	switch v.text() {
	case "none":
		return ""
	case "":
		v.problem("is empty: set a directory in memory-backed storage, or none")
	}
	return s.file("journal", "")
}

// checkJournal says why the directory that is named for the journal cannot have it.
func (c *Config) checkJournal(r *Report) error {
	dir := c.Audit.Journal
	if dir == "" || dir == audit.JournalAnywhere || c.Audit.Strict {
		return nil
	}
	err := audit.CheckJournal(dir)
	if errors.Is(err, fs.ErrNotExist) {
		r.Unchecked = append(r.Unchecked, c.Problem("audit.journal", fmt.Errorf("%s does not exist on this machine", dir)))
		return nil
	}
	return c.problems("audit.journal", err)
}

// readRotation reads when the audit log goes over to a new file. What becomes of old ones needs that there are any.
func (c *Config) readRotation(s *section) {
	const year = 366 * 24 * time.Hour
	r := &c.Audit.Rotation
	*r = audit.Rotation{
		Size:     int64(s.number("size_mib", 0, 1, 1<<20)) << 20,
		Age:      s.duration("age", 0, time.Minute, year),
		Compress: s.boolean("compress"),
		Keep:     s.number("keep", 0, 1, 1_000_000),
		KeepFor:  s.duration("keep_for", 0, time.Hour, 100*year),
	}
	if *r != (audit.Rotation{}) && r.Size == 0 && r.Age == 0 {
		s.d.problem(s.line, s.path, "says what becomes of old files and not when there are any: set size_mib or age")
	}
	s.done()
}

func (c *Config) readCheckpoints(s *section) {
	to := &c.Audit.Checkpoints
	*to = Checkpoints{Syslog: s.text("syslog", ""), HTTP: s.text("http", ""), PutURL: s.file("put_url_file", ""), CAFile: s.file("ca_file", ""), TokenFile: s.file("token_file", "")}
	if to.Syslog != "" {
		if _, err := deliver.NewSyslog(deliver.Config{}, to.Syslog, nil); err != nil {
			s.at("syslog").problem("%v", err)
		}
	}
	if to.HTTP != "" {
		checkReceiver(s.at("http"), to.HTTP, to.TokenFile != "")
	}
	c.reads("audit.checkpoints.ca_file", to.CAFile)
	c.readsSecret("audit.checkpoints.put_url_file", to.PutURL)
	c.readsSecret("audit.checkpoints.token_file", to.TokenFile)
	s.done()
}

// checkReceiver refuses what would show the token to the network. A checkpoint is nothing to hide.
func checkReceiver(v value, text string, token bool) {
	if _, err := deliver.NewPost(deliver.Config{}, text, "", nil); err != nil {
		v.problem("%v", err)
		return
	}
	if u, err := url.Parse(text); err == nil && token && u.Scheme == "http" && !isLoopback(net.JoinHostPort(u.Hostname(), "0")) {
		v.problem("is not https and the token would cross the network in the clear")
	}
}

// SigningKey reads the key that signs the audit log's checkpoints; it is nil when none is configured.
func (c *Config) SigningKey() (*proof.Key, error) {
	if c.Audit.KeyFile == "" {
		return nil, nil
	}
	key, err := proof.ReadKey(c.Audit.KeyFile)
	return key, c.problems("audit.key_file", err)
}

// Senders makes what sends checkpoints to the receivers; observe is told how each attempt ended.
func (c *Config) Senders(logger *slog.Logger, observe func(receiver string, err error)) ([]*deliver.Sender, error) {
	to := c.Audit.Checkpoints
	secured := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if secured.RootCAs, err = authorities(to.CAFile); err != nil {
		return nil, c.problems("audit.checkpoints.ca_file", err)
	}
	var senders []*deliver.Sender
	var failures []error
	add := func(s *deliver.Sender, err error) {
		senders, failures = append(senders, s), append(failures, err)
	}
	if to.Syslog != "" {
		add(deliver.NewSyslog(deliver.Config{Name: "syslog", Observe: observe, Logger: logger}, to.Syslog, secured))
	}
	if to.HTTP != "" {
		add(deliver.NewPost(deliver.Config{Name: "http", Observe: observe, Logger: logger}, to.HTTP, to.TokenFile, secured))
	}
	if to.PutURL != "" {
		add(deliver.NewPut(deliver.Config{Name: "put", Observe: observe, Logger: logger}, to.PutURL, secured))
	}
	if err := errors.Join(failures...); err != nil {
		return nil, c.problems("audit.checkpoints", fmt.Errorf("configure receivers: %w", err))
	}
	return senders, nil
}
