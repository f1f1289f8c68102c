package wire

// Type is the first byte of a message.
type Type = byte

// What a client sends after startup.
const (
	Bind         Type = 'B'
	Close        Type = 'C'
	CopyData     Type = 'd' // both ways
	CopyDone     Type = 'c' // both ways
	CopyFail     Type = 'f'
	Describe     Type = 'D'
	Execute      Type = 'E'
	Flush        Type = 'H'
	FunctionCall Type = 'F'
	Parse        Type = 'P'
	Password     Type = 'p' // also SASLInitialResponse and SASLResponse
	Query        Type = 'Q'
	Sync         Type = 'S'
	Terminate    Type = 'X'
)

// What a backend sends.
const (
	Authentication           Type = 'R'
	BackendKeyData           Type = 'K'
	BindComplete             Type = '2'
	CloseComplete            Type = '3'
	CommandComplete          Type = 'C'
	CopyBothResponse         Type = 'W'
	CopyInResponse           Type = 'G'
	CopyOutResponse          Type = 'H'
	DataRow                  Type = 'D'
	EmptyQueryResponse       Type = 'I'
	ErrorResponse            Type = 'E'
	FunctionCallResponse     Type = 'V'
	NegotiateProtocolVersion Type = 'v'
	NoData                   Type = 'n'
	NoticeResponse           Type = 'N'
	NotificationResponse     Type = 'A'
	ParameterDescription     Type = 't'
	ParameterStatus          Type = 'S'
	ParseComplete            Type = '1'
	PortalSuspended          Type = 's'
	ReadyForQuery            Type = 'Z'
	RowDescription           Type = 'T'
)

// Transaction states, as ReadyForQuery gives them.
const (
	Idle          byte = 'I'
	InTransaction byte = 'T'
	Failed        byte = 'E'
)

// SmallMessage is PostgreSQL's own bound for messages that have no reason to be long (PQ_SMALL_MESSAGE_LIMIT, libpq/libpq.h).
const SmallMessage = 10000

// headerSize is the type byte and the length.
const headerSize = 5

// AppendMessage appends a whole message.
func AppendMessage(dst []byte, t Type, body ...[]byte) []byte {
	size := 4
	for _, b := range body {
		size += len(b)
	}
	dst = append(dst, t, byte(size>>24), byte(size>>16), byte(size>>8), byte(size))
	for _, b := range body {
		dst = append(dst, b...)
	}
	return dst
}

// AppendQuery appends a Query of the text, which must not hold a NUL.
func AppendQuery(dst []byte, text string) []byte {
	return AppendMessage(dst, Query, []byte(text), []byte{0})
}

// AppendParse appends a Parse without parameter types; neither string may hold a NUL.
func AppendParse(dst []byte, name, text string) []byte {
	return AppendMessage(dst, Parse, []byte(name), []byte{0}, []byte(text), []byte{0, 0, 0})
}
