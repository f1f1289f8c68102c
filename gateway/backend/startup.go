package backend

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// maxStartup is PostgreSQL's limit for a startup packet (pqcomm.h: MAX_STARTUP_PACKET_LENGTH).
const maxStartup = 10000

// protocol30 is asked for because the gateway needs nothing of 3.2, and every server and pooler answers it.
const protocol30 = 3 << 16

// Parameter is a name and value of a StartupMessage or a ParameterStatus.
type Parameter struct {
	Name, Value string
}

// startupMessage encodes user, database and the caller's parameters in the caller's order
// (https://www.postgresql.org/docs/current/protocol-message-formats.html, StartupMessage). pgproto3's encoder takes a map.
func startupMessage(user, database string, parameters []Parameter) ([]byte, error) {
	dst := binary.BigEndian.AppendUint32(make([]byte, 4, 256), protocol30)
	dst = appendParameter(dst, "user", user)
	dst = appendParameter(dst, "database", database)
	seen := map[string]bool{"user": true, "database": true}
	for _, p := range parameters {
		switch {
		case p.Name == "" || strings.IndexByte(p.Name, 0) >= 0 || strings.IndexByte(p.Value, 0) >= 0:
			return nil, fmt.Errorf("encode StartupMessage: parameter %q is empty or contains a NUL byte", p.Name)
		case seen[strings.ToLower(p.Name)]: // settings are matched without case, and the last one wins
			return nil, fmt.Errorf("encode StartupMessage: parameter %q is given twice", p.Name)
		case strings.HasPrefix(p.Name, "_pq_."):
			return nil, fmt.Errorf("encode StartupMessage: protocol option %q is not supported", p.Name)
		}
		seen[strings.ToLower(p.Name)] = true
		dst = appendParameter(dst, p.Name, p.Value)
	}
	dst = append(dst, 0)
	if len(dst) > maxStartup {
		return nil, errors.New("encode StartupMessage: longer than PostgreSQL accepts")
	}
	binary.BigEndian.PutUint32(dst, uint32(len(dst))) // #nosec G115 -- a packet is bounded far below 4 GiB
	return dst, nil
}

func appendParameter(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), 0)
	return append(append(dst, value...), 0)
}
