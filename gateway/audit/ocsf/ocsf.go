// Package ocsf writes events of the audit log as those of the Open Cybersecurity Schema Framework (https://schema.ocsf.io, Version), which
// collectors of security events read.
//
//	statement        Datastore Activity (6005), one for each statement
//	connect          Authentication (3002), Logon, where policy allowed it
//	login_refused    Authentication, Logon, failed
//
// Other events have no class here that says more than their own line. What a class has no attribute for is in unmapped, under the names that
// package audit gives it.
package ocsf

import (
	"encoding/json"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Version is that of the schema.
const Version = "1.3.0"

// The classes, and their categories.
const (
	classDatastore      = 6005
	classAuthentication = 3002
	categoryApplication = 6
	categoryIAM         = 3
)

// The activities of Datastore Activity and of Authentication.
const (
	activityRead   = 1
	activityUpdate = 2
	activityQuery  = 4
	activityWrite  = 5
	activityCreate = 6
	activityDelete = 7
	activityOther  = 99
	activityLogon  = 1
)

// status_id and severity_id.
const (
	statusUnknown = 0
	statusSuccess = 1
	statusFailure = 2
	statusOther   = 99

	severityInformational = 1
	severityLow           = 2
	severityMedium        = 3
)

// Convert makes an event of a line. ok is false for lines that none is made of: outcomes too, which do not say who asked for what. So the
// event of a statement that may run has the status Unknown; see Merge.
func Convert(line []byte) (event []byte, ok bool) { return Merge(line, nil, "") }

// Merge is Convert for a line whose outcome is known, and for a statement whose text is in another line. Both may be empty.
func Merge(line, outcome []byte, text string) (event []byte, ok bool) {
	var l, end fields
	if json.Unmarshal(line, &l) != nil {
		return nil, false
	}
	if len(outcome) > 0 && (json.Unmarshal(outcome, &end) != nil || end.text("id") != l.text("id")) {
		return nil, false
	}
	if text != "" {
		l["text"] = text
	}
	var e map[string]any
	switch l.text("type") {
	case "statement":
		e = statement(l, end)
	case "connect":
		if e, ok = connect(l); !ok {
			return nil, false
		}
	case "login_refused":
		e = refused(l)
	default:
		return nil, false
	}
	at, err := time.Parse(time.RFC3339Nano, l.text("time"))
	if err != nil {
		return nil, false
	}
	e["time"] = at.UnixMilli()
	e["type_uid"] = e["class_uid"].(int)*100 + e["activity_id"].(int)
	e["metadata"] = metadata(l)
	e["unmapped"] = unmapped(l, end)
	event, err = json.Marshal(e)
	return event, err == nil
}

// fields are those of a line.
type fields map[string]any

func (f fields) text(key string) string {
	s, _ := f[key].(string)
	return s
}

func (f fields) texts(key string) []string {
	list, _ := f[key].([]any)
	var all []string
	for _, item := range list {
		if s, ok := item.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

// metadata names the event by what names it in the log: a statement by its id, others by their session and type.
func metadata(l fields) map[string]any {
	uid := l.text("id")
	if uid == "" {
		uid = l.text("session") + "." + l.text("type")
	}
	return map[string]any{
		"version": Version, "uid": uid, "original_time": l.text("time"), "log_name": "audit", "correlation_uid": l.text("session"),
		"product": map[string]any{"name": "Sallyport", "vendor_name": "Sallyport"},
	}
}

// mapped are the fields that attributes have taken.
var mapped = map[string]bool{
	"time": true, "id": true, "session": true, "user": true, "claimed_user": true, "groups": true, "client_address": true,
	"backend_host": true, "text": true, "type": true, "subject": true, "name": true, "sqlstate": true, "statement_name": true, "duration_us": true,
}

func unmapped(l, end fields) map[string]any {
	rest := map[string]any{}
	for key, value := range l {
		if !mapped[key] {
			rest[key] = value
		}
	}
	for key, value := range end {
		if !mapped[key] && key != "type" {
			rest["outcome_"+key] = value
		}
	}
	return rest
}

// user is an account. One that looks like an address of electronic mail is one, more often than not.
func user(l fields, name string) map[string]any {
	u := map[string]any{"name": name}
	if uid := l.text("subject"); uid != "" {
		u["uid"] = uid
	}
	if full := l.text("name"); full != "" {
		u["full_name"] = full
	}
	if strings.Contains(name, "@") {
		u["email_addr"] = name
	}
	var groups []map[string]any
	for _, group := range l.texts("groups") {
		groups = append(groups, map[string]any{"name": group})
	}
	if groups != nil {
		u["groups"] = groups
	}
	return u
}

// endpoint is an address with a port or without, or a name.
func endpoint(address string) map[string]any {
	if with, err := netip.ParseAddrPort(address); err == nil {
		return map[string]any{"ip": with.Addr().String(), "port": with.Port()}
	}
	if alone, err := netip.ParseAddr(address); err == nil {
		return map[string]any{"ip": alone.String()}
	}
	if name, number, err := net.SplitHostPort(address); err == nil {
		if port, err := strconv.ParseUint(number, 10, 16); err == nil {
			return map[string]any{"hostname": name, "port": port}
		}
	}
	if address == "" {
		address = "unknown"
	}
	return map[string]any{"hostname": address}
}

func database(name string) map[string]any {
	return map[string]any{"name": name, "type": "Relational", "type_id": 1}
}

func failed(e map[string]any, severity int, detail string) {
	e["status_id"], e["status"], e["severity_id"] = statusFailure, "Failure", severity
	if detail != "" {
		e["status_detail"] = detail
	}
}
