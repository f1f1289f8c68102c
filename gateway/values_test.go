package gateway

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/audit"
)

// valueLog keeps what the events of statements say of bind values; they are gone when Append returns.
type valueLog struct {
	*fakeAudit
	said []string
}

func (l *valueLog) Append(e audit.Event) error {
	if s, ok := e.(*audit.Statement); ok {
		var line struct {
			Parameters json.RawMessage
			Withheld   bool `json:"parameters_withheld"`
		}
		if err := json.Unmarshal(s.AppendJSON(nil), &line); err != nil {
			return err
		}
		said := string(s.Protocol) + " " + string(line.Parameters)
		if line.Withheld {
			said += "withheld"
		}
		l.said = append(l.said, said)
	}
	return l.fakeAudit.Append(e)
}

// startRecording runs a relay whose session is obliged to have bind values recorded.
func startRecording(t *testing.T, want authz.BindValues) (*bench, *valueLog) {
	t.Helper()
	var log *valueLog
	b := start(t, func(r *relay) {
		log = &valueLog{fakeAudit: r.log.(*fakeAudit)}
		r.log, r.grant.BindValues, r.valueKey = log, want, audit.NewValueKey()
	})
	return b, log
}

func bindTo(statement string, values ...[]byte) *pgproto3.Bind {
	return &pgproto3.Bind{PreparedStatement: statement, Parameters: values}
}

func TestRelayRecordsBindValues(t *testing.T) {
	typed := &pgproto3.Parse{Name: "t", Query: "select $1", ParameterOIDs: []uint32{23}}
	send := []pgproto3.FrontendMessage{
		typed, bindTo("t", []byte("17")), execute(""), syncMessage,
		parse("u", "select $1"), bindTo("u", []byte("x")), syncMessage,
		parse("w", "select password = $1"), bindTo("w", []byte("hunter2")), syncMessage,
		parse("", "forbidden"), syncMessage, query("select"),
	}
	for want, parameters := range map[authz.BindValues][]string{
		"":                    {"bind ", "bind ", "bind ", "parse ", "query "},
		authz.BindValuesTypes: {`bind [{"type":"int4","bytes":2}]`, `bind [{"type":"unknown","bytes":1}]`, "bind withheld", "parse ", "query "},
		authz.BindValuesFull: {
			`bind [{"type":"int4","bytes":2,"value":"17"}]`, `bind [{"type":"unknown","bytes":1,"value":"x"}]`, "bind withheld", "parse ", "query ",
		},
	} {
		t.Run("bind_values "+string(want), func(t *testing.T) {
			b, log := startRecording(t, want)
			b.send(send...)
			b.receive(5)
			b.end()
			if diff := cmp.Diff(parameters, log.said); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRelayLearnsTypes: a client that asks the backend for the types of parameters has told the gateway too.
func TestRelayLearnsTypes(t *testing.T) {
	b, log := startRecording(t, authz.BindValuesTypes)
	b.send(parse("s", "describe"), &pgproto3.Describe{ObjectType: 'S', Name: "s"}, syncMessage)
	b.receive(1)
	b.send(bindTo("s", []byte{0, 0, 0, 1}), syncMessage)
	b.receive(1)
	b.end()
	if diff := cmp.Diff([]string{`bind [{"type":"int4","bytes":4}]`}, log.said); diff != "" {
		t.Error(diff)
	}
}
