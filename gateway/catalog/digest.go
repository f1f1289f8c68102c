package catalog

import (
	"context"
	_ "embed" // the queries
	"fmt"
)

//go:embed sql/digest.sql
var digestSQL string

// digestStatement is the digest's name among the session's prepared statements: it is asked for every second.
const digestStatement = "sallyport_digest"

// digest tells whether anything that a snapshot is made of has changed.
type digest struct {
	text string
	seen string // the transactions it saw, as pg_current_snapshot has them; "" when that is not known
}

// digest computes the digest under a seed, of this transaction or of now. last is the one before, with the same seed. When no transaction
// has ended since then nothing has to be computed.
//
// The seed is the Catalog's secret: without it nobody can choose names that leave a digest of this kind as it was.
func (c *connection) digest(ctx context.Context, seed string, last digest) (digest, error) {
	var next digest
	number, err := each(c.pg.ExecPrepared(ctx, digestStatement, parameters(seed, last.seen, last.text), nil, nil), func(r *row) {
		next = digest{text: r.text(0), seen: r.text(1)}
	})
	if err == nil && (number != 1 || next.text == "") {
		err = errMalformed
	}
	if err != nil {
		return digest{}, fmt.Errorf("compute the digest: %w", err)
	}
	return next, nil
}
