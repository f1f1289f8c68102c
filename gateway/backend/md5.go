package backend

import (
	"crypto/md5" // #nosec G501 -- the protocol has no other
	"encoding/hex"
	"errors"
	"regexp"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Salt is what a backend has an MD5 response made with.
type Salt [4]byte

// md5Form is what a response looks like. A client that sends something else in its place, such as its password, is not relayed.
var md5Form = regexp.MustCompile(`^md5[0-9a-f]{32}$`)

// proveMD5 answers the demand for an MD5 response, and ends behind AuthenticationOk.
func proveMD5(conn secureConn, answer func(Salt) ([]byte, error)) error {
	body, err := readAuthentication(conn, pgproto3.AuthTypeMD5Password)
	if err != nil {
		return err
	}
	if len(body) != len(Salt{}) {
		return errors.New("read AuthenticationMD5Password: the salt has not four bytes")
	}
	response, err := answer(Salt(body))
	if err != nil {
		return err
	}
	if !md5Form.Match(response) {
		return errors.New("the MD5 response is none that could be sent")
	}
	if err := send(conn, &pgproto3.PasswordMessage{Password: string(response)}); err != nil {
		return err
	}
	return readOk(conn)
}

// md5Response hashes as AuthenticationMD5Password wants it (https://www.postgresql.org/docs/current/protocol-flow.html): the password
// byte for byte, with the user's name behind it, and the sum of that with the salt.
func md5Response(user string, password []byte, salt Salt) []byte {
	text := append(append([]byte(nil), password...), user...)
	defer clear(text)
	inner := append(md5Hex(text), salt[:]...)
	return append([]byte("md5"), md5Hex(inner)...)
}

func md5Hex(text []byte) []byte {
	sum := md5.Sum(text) // #nosec G401 -- the protocol has no other
	return hex.AppendEncode(nil, sum[:])
}
