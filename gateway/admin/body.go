package admin

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport/sallyport/gateway/refusals"
)

const (
	// maxBodyBytes is many times what names an identity and a reason.
	maxBodyBytes = 16 << 10
	// maxReasonBytes bounds a reason: a sentence and a ticket.
	maxReasonBytes = 512
)

// readBody reads a JSON object and nothing else; ok is false when the request has been answered. The type is insisted on: a page of
// another site can send forms and plain text by a browser that has the operator's certificate, but no JSON.
func readBody(w http.ResponseWriter, r *http.Request, into any) (ok bool) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		http.Error(w, "the body must be application/json", http.StatusUnsupportedMediaType)
		return false
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			return true
		}
		if err == nil {
			err = errors.New("something stands behind it")
		}
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
		return false
	}
	http.Error(w, "the body is not the JSON object that is asked for: "+printable(err.Error()), http.StatusBadRequest)
	return false
}

func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// reasonGiven holds operators to a reason: what is done to somebody must be understood a year later.
func reasonGiven(w http.ResponseWriter, reason string) bool {
	good := strings.TrimSpace(reason) != "" && len(reason) <= maxReasonBytes && utf8.ValidString(reason) && printable(reason) == reason
	if !good {
		http.Error(w, "reason is required: one line, at most 512 bytes", http.StatusBadRequest)
	}
	return good
}

// named says whether somebody is named.
func named(w http.ResponseWriter, who refusals.Who) bool {
	err := who.Validate()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return err == nil
}
