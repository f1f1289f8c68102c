package proof

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// otlp is lines as the OpenTelemetry Collector's file exporter keeps them, two requests. Attributes are whatever a client has written.
func otlp(t *testing.T, lines ...string) string {
	t.Helper()
	type object = map[string]any
	var text strings.Builder
	for _, part := range [][]string{lines[:3], lines[3:]} {
		var records []object
		for _, line := range part {
			forged := object{"key": "sallyport.text", "value": object{"stringValue": `{"note":"log\n1\n` + Hash{}.String() + `\n"}`}}
			records = append(records, object{"body": object{"stringValue": line}, "attributes": []any{forged}})
		}
		request, err := json.Marshal(object{"resourceLogs": []any{object{"resource": object{}, "scopeLogs": []any{object{"logRecords": records}}}}})
		if err != nil {
			t.Fatal(err)
		}
		text.Write(append(request, '\n'))
	}
	return text.String()
}

func TestReadCopies(t *testing.T) {
	key, keys := newKey(t, "log")
	_, others := newKey(t, "log")
	l := sample(t, key)
	for name, test := range map[string]string{
		"notes":            strings.Join(l.notes, ""),
		"notes and blanks": strings.Join(l.notes, "\n\n"),
		"the log":          text(slices.Concat(l.files...)),
		"syslog": "2026-03-02T09:14:08 gw sallyport[1]: " + `{"time":"","type":"checkpoint","note":` + fmt.Sprintf("%q", l.notes[0]) + "}\n" +
			"2026-03-02T09:14:08 gw something else {\n" + l.notes[1] + l.notes[2],
		"OTLP":        otlp(t, slices.Concat(l.files...)...),
		"long events": `{"type":"statement","text":"` + strings.Repeat("x", 2<<20) + "\"}\n" + text(slices.Concat(l.files...)),
	} {
		t.Run(name, func(t *testing.T) {
			copies, err := ReadCopies(strings.NewReader(test), keys)
			var sizes []int64
			for _, c := range copies {
				sizes = append(sizes, c.Size)
			}
			if diff := cmp.Diff([]int64{4, 7, 12}, sizes); diff != "" || err != nil {
				t.Error(err, diff)
			}
			if _, err := ReadCopies(strings.NewReader(test), others); err == nil {
				t.Error("signed by another key: no error")
			}
		})
	}
	if _, err := ReadCopies(strings.NewReader("nothing\n"), keys); err == nil {
		t.Error("no checkpoint: no error")
	}
}
