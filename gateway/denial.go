package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// noncePrefix makes a nonce an identifier that a database's operator recognises in a log. With 32 random hex digits it stays below
// the 63 bytes at which PostgreSQL cuts identifiers (NAMEDATALEN).
const noncePrefix = "sallyport_denied_"

// standInName is the statement name under which the failing Parse goes that stands for a denied Bind or Execute. It never comes to exist.
const standInName = "sallyport_denied"

// denial is an error that the gateway puts in the place of the one it made the backend raise.
type denial struct {
	sqlstate string
	message  string
	detail   string
	hint     string
	position int  // in characters from 1, for syntax errors; 0: none
	named    bool // the hint begins with the decision's id

	nonce string // the text sent to the backend; random for each denial, so that no other error can be taken for ours
}

// arm gives the denial its nonce. A text that is one unknown word cannot parse: `syntax error at or near "sallyport_denied_…"`.
func (d *denial) arm() {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	d.nonce = noncePrefix + hex.EncodeToString(random[:])
}

// response is the ErrorResponse the client sees.
func (d *denial) response() []byte {
	return encodeError(&pgproto3.ErrorResponse{
		Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: d.sqlstate, Message: d.message, Detail: d.detail, Hint: d.hint,
		Position: int32(min(d.position, 1<<30)), // #nosec -- bounded in this line
	})
}

// decided completes a denial that was made before its decision had an id.
func (d denial) decided(id string) *denial {
	if d.named {
		d.hint = strings.TrimSuffix("Decision "+id+". "+d.hint, " ")
	}
	return &d
}

// denied is the denial of policy: what was decided, why, and where to find it in the audit log.
func denied(reasons []string, id string) *denial {
	return &denial{
		sqlstate: "42501",
		message:  "permission denied by policy",
		detail:   strings.Join(reasons, "\n"),
		hint:     "Decision " + id + ".",
	}
}
