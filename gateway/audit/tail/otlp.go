package tail

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	logs "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// prefix is that of the attributes' names.
const prefix = "sallyport."

// otlp POSTs batches as OTLP log records.
type otlp struct {
	*poster
	resource *resource.Resource
}

// NewOTLP makes a Tail to a receiver of OTLP over HTTP, in protobuf (https://opentelemetry.io/docs/specs/otlp/#otlphttp). The URL is
// whole: https://host:4318/v1/logs. Bodies are the lines, attributes sallyport.leaf, sallyport.id, and the event's fields.
func NewOTLP(cfg Config, to HTTP, version string) (*Tail, error) {
	p, err := newPoster(to, "application/x-protobuf")
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	return newTail(cfg, &otlp{p, &resource.Resource{Attributes: []*common.KeyValue{
		attribute("service.name", program), attribute("service.version", version), attribute("host.name", host),
	}}}), nil
}

func (o *otlp) send(ctx context.Context, records []Record) error {
	sent := make([]*logs.LogRecord, len(records))
	now := time.Now()
	for i := range records {
		sent[i] = logRecord(&records[i], now)
	}
	body, err := proto.Marshal(&collector.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{
		Resource:  o.resource,
		ScopeLogs: []*logs.ScopeLogs{{Scope: &common.InstrumentationScope{Name: "github.com/sallyport/sallyport/gateway/audit"}, LogRecords: sent}},
	}}})
	if err != nil {
		return err
	}
	said, err := o.post(ctx, body, nil)
	if err != nil {
		return err
	}
	var response collector.ExportLogsServiceResponse
	if err := proto.Unmarshal(said, &response); err != nil {
		return &failure{ClassRefused, fmt.Errorf("the receiver's answer is not OTLP: %w", err)}
	}
	if n := response.GetPartialSuccess().GetRejectedLogRecords(); n > 0 { // which are not to be sent again
		return &rejected{n, response.GetPartialSuccess().GetErrorMessage()}
	}
	return nil
}

// logRecord makes a log record of a line.
func logRecord(r *Record, now time.Time) *logs.LogRecord {
	record := &logs.LogRecord{
		TimeUnixNano:         nanoseconds(proof.TimeOf(r.Line)),
		ObservedTimeUnixNano: nanoseconds(now),
		SeverityNumber:       logs.SeverityNumber_SEVERITY_NUMBER_INFO,
		Body:                 text(r.body()),
		Attributes:           []*common.KeyValue{attribute(prefix+"leaf", r.Leaf), attribute(prefix+"id", r.ID())},
	}
	var fields map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(r.Line)))
	decoder.UseNumber()
	if decoder.Decode(&fields) != nil { // it is torn
		return record
	}
	if kind, ok := fields["type"].(string); ok {
		record.EventName = prefix + kind
	}
	if fields["decision"] == "deny" {
		record.SeverityNumber = logs.SeverityNumber_SEVERITY_NUMBER_WARN
	}
	if r.Kind != proof.KindLeaf { // the proof is for the body alone
		return record
	}
	delete(fields, "time")
	if id, ok := fields["id"]; ok { // that of a statement, and not of the line
		fields["statement_id"] = id
		delete(fields, "id")
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		record.Attributes = append(record.Attributes, attribute(prefix+name, fields[name]))
	}
	return record
}

func nanoseconds(at time.Time) uint64 {
	if at.IsZero() {
		return 0
	}
	return uint64(at.UnixNano()) // #nosec -- after 1970
}

// text is a line as it is: what a torn one ends with may be half a character.
func text(line []byte) *common.AnyValue {
	if !utf8.Valid(line) {
		return &common.AnyValue{Value: &common.AnyValue_BytesValue{BytesValue: line}}
	}
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: string(line)}}
}

func attribute(name string, v any) *common.KeyValue {
	return &common.KeyValue{Key: name, Value: anyValue(v)}
}

// anyValue takes what encoding/json makes, and an int64.
func anyValue(v any) *common.AnyValue {
	switch v := v.(type) {
	case string:
		return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: v}}
	case bool:
		return &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: v}}
	case int64:
		return &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: v}}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return anyValue(n)
		}
		return anyValue(v.String())
	case []any:
		values := make([]*common.AnyValue, len(v))
		for i := range v {
			values[i] = anyValue(v[i])
		}
		return &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: values}}}
	}
	encoded, _ := json.Marshal(v) // an object, which no event has
	return anyValue(string(encoded))
}
