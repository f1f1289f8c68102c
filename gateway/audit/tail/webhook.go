package tail

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strconv"
)

// webhook POSTs batches as lines of JSON.
type webhook struct {
	*poster
	host string
}

// NewWebhook makes a Tail that POSTs batches of lines to a URL, as application/x-ndjson. Any 2xx takes them. The lines' ids follow from
// headers: Sallyport-Leaf is the index of the first event, which those behind it count on from. Idempotency-Key is the same for the
// same lines, and for no others; after a restart lines can come again in another batch.
func NewWebhook(cfg Config, to HTTP) (*Tail, error) {
	p, err := newPoster(to, "application/x-ndjson")
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	return newTail(cfg, &webhook{p, host}), nil
}

func (w *webhook) send(ctx context.Context, records []Record) error {
	var body []byte
	for i := range records {
		body = append(append(body, records[i].body()...), '\n')
	}
	first, sum := &records[0], sha256.Sum256(body)
	headers := map[string]string{
		"Idempotency-Key": `"` + first.ID() + "-" + strconv.Itoa(len(records)) + "-" + hex.EncodeToString(sum[:8]) + `"`,
		"Sallyport-Host":  w.host,
	}
	if first.event == nil { // or there are lines between those that are sent
		headers["Sallyport-Leaf"] = strconv.FormatInt(first.Leaf, 10)
	}
	_, err := w.post(ctx, body, headers)
	return err
}
