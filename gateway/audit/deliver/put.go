package deliver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/gateway/audit"
)

const (
	// sizePlace in a URL stands for the number of events that a checkpoint speaks for.
	sizePlace = "{size}"
	// maxURLFile bounds a file with a URL.
	maxURLFile = 64 << 10
)

// put makes each checkpoint an object of a store.
type put struct {
	file   string
	client *http.Client
}

// NewPut makes a Sender that PUTs the note of each checkpoint, as text/plain, to the URL in a file; any 2xx takes it. The file is read
// for each: a URL that was signed beforehand is a secret, and ends. {size} in it is replaced by the number of events, which makes an
// object of each checkpoint; without it there is one, the newest. config is for TLS; nil has the system's authorities.
func NewPut(cfg Config, file string, config *tls.Config) (*Sender, error) {
	return newSender(cfg, &put{file, newClient(config)}), nil
}

func (p *put) send(ctx context.Context, c audit.Checkpoint) error {
	address, err := readURL(p.file)
	if err != nil {
		return err
	}
	address = strings.ReplaceAll(address, sizePlace, strconv.FormatInt(c.Events, 10))
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, address, strings.NewReader(c.Note))
	if err != nil {
		return errors.New(p.file + " does not hold a URL") // the error would show it
	}
	request.Header.Set("Content-Type", "text/plain; charset=utf-8")
	err = do(p.client, request)
	var of *url.Error
	if errors.As(err, &of) { // and so would this
		return of.Err
	}
	return err
}

// readURL reads a URL whose holder may write the object: without TLS it would be shown to the network.
func readURL(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(content))
	u, err := url.Parse(text)
	if err != nil || len(content) > maxURLFile || u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("%s does not hold a URL: write https://host/path", path)
	}
	return text, nil
}
