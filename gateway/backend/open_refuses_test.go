package backend

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// refusal is a backend that must not get a session, and what Open says of it.
type refusal struct {
	play  script
	stage Stage
	want  string
}

func (test refusal) check(t *testing.T, id identity) {
	t.Helper()
	_, err := open(t, serve(t, id, test.play))
	var failure *Error
	if !errors.As(err, &failure) {
		t.Fatalf("Open: got %v, want an *Error", err)
	}
	if failure.Stage != test.stage || !strings.Contains(err.Error(), test.want) {
		t.Errorf("Open: got %q at %s, want %q at %s", err, failure.Stage, test.want, test.stage)
	}
	if strings.Contains(err.Error(), fakePassword) {
		t.Error("the error contains the password")
	}
}

func TestOpenRefusesLogins(t *testing.T) {
	id := newIdentity(t, fakeHost)
	hello := func(f *fake) { // a second byte that comes later is the first of a TLS record that is none
		if f.readSSLRequest() {
			f.write([]byte("S"))
			f.write([]byte("E\x00\x00\x00\x10SFATAL\x00\x00"))
			f.stall()
		}
	}
	tests := map[string]refusal{
		"hangs up":                     {func(f *fake) { f.readSSLRequest() }, StageTLS, "connection lost"},
		"no TLS":                       {answers("N"), StageTLS, "does not offer TLS"},
		"ErrorResponse before TLS":     {answers("E\x00\x00\x00\x09CXXXXX\x00\x00"), StageTLS, "sent data before"},
		"E before TLS":                 {answers("E"), StageTLS, "not read before TLS"},
		"bytes behind S":               {answers("SR\x00\x00\x00\x08\x00\x00\x00\x00"), StageTLS, "sent data before the TLS handshake"},
		"bytes after S":                {hello, StageTLS, "TLS handshake"},
		"unknown answer":               {answers("X"), StageTLS, `answered SSLRequest with 'X'`},
		"cleartext password":           {asks(pgproto3.AuthTypeCleartextPassword, ""), StageAuthenticate, "asked for a cleartext password"},
		"MD5 password":                 {asks(pgproto3.AuthTypeMD5Password, "salt"), StageAuthenticate, "asked for an MD5 password"},
		"trust":                        {asks(pgproto3.AuthTypeOk, ""), StageAuthenticate, "asked for nothing"},
		"GSS":                          {asks(pgproto3.AuthTypeGSS, ""), StageAuthenticate, "authentication kind 7"},
		"an unknown method":            {asks(99, ""), StageAuthenticate, "authentication kind 99"},
		"SASLContinue first":           {asks(pgproto3.AuthTypeSASLContinue, "r=x"), StageAuthenticate, "asked for SASLContinue"},
		"only OAUTHBEARER":             {asks(pgproto3.AuthTypeSASL, "OAUTHBEARER\x00\x00"), StageAuthenticate, "does not offer SCRAM-SHA-256"},
		"SCRAM-SHA-1":                  {asks(pgproto3.AuthTypeSASL, "SCRAM-SHA-1\x00\x00"), StageAuthenticate, "does not offer SCRAM-SHA-256"},
		"no mechanism":                 {asks(pgproto3.AuthTypeSASL, "\x00"), StageAuthenticate, "does not offer SCRAM-SHA-256"},
		"unterminated mechanisms":      {asks(pgproto3.AuthTypeSASL, "SCRAM-SHA-256"), StageAuthenticate, "unterminated string"},
		"ready without authentication": {func(f *fake) { f.began(); f.say('Z', "I") }, StageAuthenticate, "message 'Z' during authentication"},
		"notice before authentication": {func(f *fake) { f.began(); f.say('N', "\x00") }, StageAuthenticate, "message 'N' during authentication"},
		"negotiates the version":       {func(f *fake) { f.began(); f.say('v', "\x00\x03\x00\x00\x00\x00\x00\x00") }, StageAuthenticate, "message 'v'"},
		"request without a kind":       {func(f *fake) { f.began(); f.say('R', "\x00") }, StageAuthenticate, "without a kind"},
		"one iteration":                {edits(1, same), StageAuthenticate, "1 iterations are not between"},
		"4095 iterations":              {edits(4095, same), StageAuthenticate, "4095 iterations are not between"},
		"a billion iterations":         {edited(1, "i=4096", "i=1000000000"), StageAuthenticate, "1000000000 iterations are not between"},
		"2^31 iterations":              {edited(1, "i=4096", "i=2147483648"), StageAuthenticate, "2147483648 iterations are not between"},
		"iterations beyond int":        {edited(1, "i=4096", "i=99999999999999999999"), StageAuthenticate, "no number"},
		"negative iterations":          {edited(1, "i=4096", "i=-4096"), StageAuthenticate, "-4096 iterations"},
		"our nonce is not in theirs":   {edited(1, "r=", "r=x"), StageAuthenticate, "not our nonce"},
		"a blank in the nonce": {edits(4096, func(step int, text string) string {
			return map[int]string{1: strings.Replace(text, ",s=", " ,s=", 1), 2: text}[step]
		}), StageAuthenticate, "not printable"},
		"an extension":                    {edited(1, "r=", "m=ext,r="), StageAuthenticate, "not three attributes"},
		"something behind the iterations": {edited(1, "i=4096", "i=4096,x=y"), StageAuthenticate, "not three attributes"},
		"no salt":                         {edited(1, "s=MDEyMzQ1Njc4OWFiY2RlZg==", "s="), StageAuthenticate, "salt"},
		"a malformed salt":                {edited(1, "s=MDEy", "s=*DEy"), StageAuthenticate, "salt"},
		"NUL in server-first":             {edited(1, ",s=", "\x00,s="), StageAuthenticate, "malformed"},
		"wrong server signature": {edits(4096, func(step int, text string) string {
			return map[int]string{1: text, 2: "v=" + strings.Repeat("A", 43) + "="}[step]
		}), StageAuthenticate, "server validation failed"},
		"server error":       {edits(4096, func(step int, text string) string { return map[int]string{1: text, 2: "e=other-error"}[step] }), StageAuthenticate, "server error: other-error"},
		"empty server-final": {edits(4096, func(step int, text string) string { return map[int]string{1: text}[step] }), StageAuthenticate, "verify server signature"},
		"success before the signature": {func(f *fake) {
			if f.began() {
				f.offer(scramSHA256)
				f.readPassword()
				f.say('R', request(pgproto3.AuthTypeOk, ""))
				f.greet(goodParameters())
			}
		}, StageAuthenticate, "asked for nothing"},
		"success with trailing bytes": {func(f *fake) {
			if f.began() && f.scram([]string{scramSHA256}, 4096, same) {
				f.say('R', request(pgproto3.AuthTypeOk, "x"))
			}
		}, StageAuthenticate, "trailing bytes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test.check(t, id) })
	}
}

func TestOpenRefusesMessages(t *testing.T) {
	id := newIdentity(t, fakeHost)
	tests := map[string]refusal{
		"a password asked for afterwards": {says('R', request(pgproto3.AuthTypeCleartextPassword, "")), StageParameters, "message 'R' at startup"},
		"negative length":                 {func(f *fake) { f.began(); f.write([]byte("R\xff\xff\xff\xff")) }, StageAuthenticate, "-5 bytes is not between"},
		"length 3":                        {func(f *fake) { f.began(); f.write([]byte("R\x00\x00\x00\x03")) }, StageAuthenticate, "-1 bytes is not between"},
		"oversized request":               {func(f *fake) { f.began(); f.write([]byte("R\x00\x00\x10\x00")) }, StageAuthenticate, "4092 bytes is not between 0 and 2000"},
		"two gigabytes":                   {func(f *fake) { f.began(); f.write([]byte("E\x7f\xff\xff\xff")) }, StageAuthenticate, "is not between 0 and 30000"},
		"truncated header":                {func(f *fake) { f.began(); f.write([]byte("R\x00")) }, StageAuthenticate, "read message header"},
		"truncated body":                  {func(f *fake) { f.began(); f.write([]byte("R\x00\x00\x00\x17\x00\x00")) }, StageAuthenticate, "read message 'R'"},
		"oversized parameter":             {func(f *fake) { f.authenticated(); f.write([]byte("S\x00\x01\x00\x00")) }, StageParameters, "is not between"},
		"parameter without value":         {says('S', "name\x00"), StageParameters, "read ParameterStatus: malformed"},
		"parameter unterminated":          {says('S', "name\x00value"), StageParameters, "read ParameterStatus: malformed"},
		"parameter with a third string":   {says('S', "a\x00b\x00c\x00"), StageParameters, "read ParameterStatus: malformed"},
		"parameter without name":          {says('S', "\x00b\x00"), StageParameters, "read ParameterStatus: malformed"},
		"no parameters":                   {greets(nil), StageParameters, "does not report"},
		"superuser":                       {greets(without("is_superuser", "on")), StageParameters, `is_superuser is "on"`},
		"superuser unsaid":                {greets(without("is_superuser", "")), StageParameters, "does not report is_superuser"},
		"LATIN1 server":                   {greets(without("server_encoding", "LATIN1")), StageParameters, `server_encoding is "LATIN1"`},
		"SJIS client":                     {greets(without("client_encoding", "SJIS")), StageParameters, `client_encoding is "SJIS"`},
		"old strings":                     {greets(without("standard_conforming_strings", "off")), StageParameters, `standard_conforming_strings is "off"`},
		"old strings unsaid":              {greets(without("standard_conforming_strings", "")), StageParameters, "does not report standard_conforming_strings"},
		"another role":                    {greets(without("session_authorization", "postgres")), StageParameters, `session_authorization is "postgres"`},
		"a good value and then a bad one": {greets(append(goodParameters(), Parameter{"is_superuser", "on"})), StageParameters, `is_superuser is "on"`},
		"empty key":                       {says('K', "\x00\x00\x00\x01"), StageParameters, "a key of 0 bytes"},
		"key of 257 bytes":                {says('K', "\x00\x00\x00\x01"+strings.Repeat("k", 257)), StageParameters, "a key of 257 bytes"},
		"key data without a key":          {says('K', "\x00"), StageParameters, "a key of -3 bytes"},
		"two keys": {func(f *fake) {
			if f.authenticated() {
				f.say('K', "\x00\x00\x00\x01abcd")
				f.say('K', "\x00\x00\x00\x01abcd")
			}
		}, StageParameters, "sent twice"},
		"in a transaction":             {says('Z', "T"), StageParameters, "not idle"},
		"ready with trailing bytes":    {says('Z', "II"), StageParameters, "not idle"},
		"rows":                         {says('D', "\x00\x00"), StageParameters, "message 'D' at startup"},
		"error without terminator":     {says('E', "SFATAL\x00C28P01"), StageParameters, "read ErrorResponse: malformed"},
		"error of nothing":             {says('E', ""), StageParameters, "read ErrorResponse: malformed"},
		"error without SQLSTATE":       {says('E', "SFATAL\x00Mhello\x00\x00"), StageParameters, "no valid SQLSTATE"},
		"error with a forged SQLSTATE": {says('E', "SFATAL\x00C28\nP0\x00Mhello\x00\x00"), StageParameters, "no valid SQLSTATE"},
		"parameters without end": {func(f *fake) {
			if f.authenticated() {
				for range 1 << 12 {
					f.write(status("a", "b"))
				}
			}
		}, StageParameters, "too many parameters"},
		"notices without end": {func(f *fake) {
			if f.authenticated() {
				for range 1 << 12 {
					f.say('N', "\x00")
				}
			}
		}, StageParameters, "not ready after 1024 messages"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test.check(t, id) })
	}
}
