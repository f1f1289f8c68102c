package tail

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	logs "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// otlpdev is the collector's own receiver, see e2e/otlpdev; it keeps requests as the collector's file exporter does.
type otlpdev struct {
	daemon
	file   string
	read   int // so much of it is in parsed
	parsed []string
}

func (o *otlpdev) raw(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(o.file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// lines wants every record to have the id of its line.
func (o *otlpdev) lines(t *testing.T) []string {
	t.Helper()
	for text := range strings.Lines(o.raw(t)[o.read:]) {
		if !strings.HasSuffix(text, "\n") { // it is being written
			break
		}
		o.read += len(text)
		var request logs.LogsData
		if err := protojson.Unmarshal([]byte(text), &request); err != nil {
			t.Fatal(err)
		}
		for _, record := range request.GetResourceLogs()[0].GetScopeLogs()[0].GetLogRecords() {
			line, id := record.GetBody().GetStringValue(), record.GetAttributes()[1].GetValue().GetStringValue()
			if !strings.HasSuffix(id, hashOf(line)) {
				t.Fatalf("%s is no id of %s", id, line)
			}
			o.parsed = append(o.parsed, line)
		}
	}
	return o.parsed
}

// hashOf is what the id of a line ends with.
func hashOf(line string) string {
	r := Record{Hash: proof.LeafHash([]byte(line))}
	return strings.TrimPrefix(r.ID(), "0")
}

func TestCollector(t *testing.T) {
	binary, err := filepath.Abs("../../../bin/otlpdev")
	if err == nil {
		_, err = os.Stat(binary)
	}
	if err != nil {
		t.Fatalf("%v: make bin/otlpdev", err)
	}
	certificates, config := newAuthority(t)
	dir := t.TempDir()
	o := &otlpdev{file: filepath.Join(dir, "kept")}
	o.daemon = daemon{address: "127.0.0.1:" + freePort(t), log: filepath.Join(dir, "log")}
	o.command = []string{binary, o.address}
	for _, name := range []string{"server.crt", "server.key", "ca.crt"} {
		o.command = append(o.command, filepath.Join(certificates, name))
	}
	o.command = append(o.command, o.file)
	t.Cleanup(func() { o.kill(t) })
	through(t, o, func(log string) (*Tail, error) {
		return NewOTLP(Config{Name: "otlp", Log: log, Logger: quiet(t)}, HTTP{URL: "https://" + o.address + "/v1/logs", TLS: config}, "1.2.3")
	})
}

// TestLogRecord: what an event is in OTLP.
func TestLogRecord(t *testing.T) {
	line := `{"time":"2026-03-02T09:14:07.120431Z","type":"statement","session":"5b","id":"5b.1","decision":"deny","reasons":["no"],"rows":7,"observe":true,"text":"{\"note\":\"x\"}"}`
	now := time.Date(2026, 3, 2, 9, 14, 8, 0, time.UTC)
	got, err := protojson.Marshal(logRecord(&Record{Leaf: 3, Hash: proof.LeafHash([]byte(line)), Line: []byte(line)}, now))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"timeUnixNano":"1772442847120431000","observedTimeUnixNano":"1772442848000000000","severityNumber":"SEVERITY_NUMBER_WARN",
	"eventName":"sallyport.statement","body":{"stringValue":` + quoted(line) + `},"attributes":[
	{"key":"sallyport.leaf","value":{"intValue":"3"}},{"key":"sallyport.id","value":{"stringValue":"3` + hashOf(line) + `"}},
	{"key":"sallyport.decision","value":{"stringValue":"deny"}},{"key":"sallyport.observe","value":{"boolValue":true}},
	{"key":"sallyport.reasons","value":{"arrayValue":{"values":[{"stringValue":"no"}]}}},{"key":"sallyport.rows","value":{"intValue":"7"}},
	{"key":"sallyport.session","value":{"stringValue":"5b"}},{"key":"sallyport.statement_id","value":{"stringValue":"5b.1"}},
	{"key":"sallyport.text","value":{"stringValue":"{\"note\":\"x\"}"}},{"key":"sallyport.type","value":{"stringValue":"statement"}}]}`
	if diff := cmp.Diff(decoded(t, want), decoded(t, string(got))); diff != "" {
		t.Error(diff)
	}
	torn := logRecord(&Record{Line: []byte("{\"text\":\"\xc3")}, now)
	if string(torn.GetBody().GetBytesValue()) != "{\"text\":\"\xc3" || len(torn.GetAttributes()) != 2 {
		t.Errorf("a torn line: %v", torn)
	}
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func decoded(t *testing.T, s string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%v: %s", err, s)
	}
	return v
}

// TestOTLPRejects: a receiver that takes all but some records is not asked again, and those are counted.
func TestOTLPRejects(t *testing.T) {
	dir, config := newAuthority(t)
	requests := make(chan *collector.ExportLogsServiceRequest, 10)
	server := &httptest.Server{Config: &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var request collector.ExportLogsServiceRequest
		if err := proto.Unmarshal(body, &request); err != nil {
			t.Error(err)
		}
		requests <- &request
		answer, _ := proto.Marshal(&collector.ExportLogsServiceResponse{PartialSuccess: &collector.ExportLogsPartialSuccess{RejectedLogRecords: 2, ErrorMessage: "old"}})
		_, _ = w.Write(answer)
	})}}
	var err error
	if server.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	server.TLS = serverTLS(t, dir)
	server.StartTLS()
	defer server.Close()
	tr := newTrail(t)
	tr.append(5)
	tl, err := NewOTLP(Config{Name: "otlp", Log: tr.path}, HTTP{URL: server.URL, TLS: config}, "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	tl.Open(openDirectory(t))
	tl.Finish(t.Context())
	if s := tl.Status(); s.Lost != 2 || s.Taken != 5 || s.Problem() != nil || len(requests) != 1 {
		t.Errorf("%+v", s)
	}
	var sent []*logs.LogRecord
	for _, r := range (<-requests).GetResourceLogs() {
		sent = append(sent, r.GetScopeLogs()[0].GetLogRecords()...)
	}
	if len(sent) != 6 { // and the tree
		t.Errorf("%d records", len(sent))
	}
}
