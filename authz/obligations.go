package authz

import (
	"strconv"
	"time"
)

// obligations lists what a decision obliges to, by the keys of its document: "max_rows=1000", "read_only".
type obligations []string

func (o *obligations) flag(key string, set bool) {
	if set {
		*o = append(*o, key)
	}
}

func (o *obligations) number(key string, n uint64) {
	if n > 0 {
		*o = append(*o, key+"="+strconv.FormatUint(n, 10))
	}
}

func (o *obligations) text(key, value string) {
	if value != "" {
		*o = append(*o, key+"="+value)
	}
}

func (o *obligations) duration(key string, d, unit time.Duration) {
	o.number(key, uint64(d/unit)) // #nosec -- not negative
}

// Obligations lists what the connection is obliged to, for people to read; nil for nothing.
func (d *ConnectDecision) Obligations() []string {
	var o obligations
	o.flag("read_only", d.ReadOnly)
	o.duration("max_session_seconds", d.MaxSession, time.Second)
	o.duration("idle_timeout_seconds", d.IdleTimeout, time.Second)
	o.duration("statement_timeout_ms", d.StatementTimeout, time.Millisecond)
	o.number("max_rows", d.MaxRows)
	o.number("max_bytes", d.MaxBytes)
	o.number("max_rows_per_hour", d.MaxRowsPerHour)
	o.number("max_bytes_per_hour", d.MaxBytesPerHour)
	o.text("bind_values", string(d.BindValues))
	o.number("max_sessions", d.MaxSessions)
	o.number("max_statements_per_second", d.MaxStatementsPerSecond)
	return o
}

// Obligations lists what the statement is obliged to, as those of a ConnectDecision.
func (d *StatementDecision) Obligations() []string {
	var o obligations
	o.flag("read_only", d.ReadOnly)
	o.number("max_rows", d.MaxRows)
	o.number("max_bytes", d.MaxBytes)
	o.duration("statement_timeout_ms", d.StatementTimeout, time.Millisecond)
	for _, warning := range d.Warnings {
		o = append(o, "warn="+warning)
	}
	return o
}
