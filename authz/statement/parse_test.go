package statement

import (
	"bytes"
	"encoding/json"
	"testing"
)

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := parse("SELECT abalance FROM pgbench_accounts WHERE aid = 1"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNormalize(b *testing.B) {
	for b.Loop() {
		normalize("SELECT abalance FROM pgbench_accounts WHERE aid = 1")
	}
}

func BenchmarkEncode(b *testing.B) {
	sheet, err := parse("SELECT abalance FROM pgbench_accounts WHERE aid = 1")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var buffer bytes.Buffer
		if err := writeJSON(&buffer, frameFacts, sheet); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	sheet, err := parse("SELECT abalance FROM pgbench_accounts WHERE aid = 1")
	if err != nil {
		b.Fatal(err)
	}
	body, err := json.Marshal(sheet)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := json.Unmarshal(body, &Sheet{}); err != nil {
			b.Fatal(err)
		}
	}
}
