package ocsf

import "strings"

func datastore(l fields, activity int) map[string]any {
	e := map[string]any{
		"class_uid": classDatastore, "category_uid": categoryApplication, "activity_id": activity, "severity_id": severityInformational,
		"status_id": statusUnknown, "type_id": 1,
		"actor":        map[string]any{"user": user(l, l.text("user")), "session": map[string]any{"uid": l.text("session")}},
		"src_endpoint": endpoint(l.text("client_address")),
		"database":     database(l.text("database")),
	}
	if host := l.text("backend_host"); host != "" {
		e["dst_endpoint"] = endpoint(host)
	}
	return e
}

func statement(l, end fields) map[string]any {
	e := datastore(l, activity(l))
	e["query_info"] = query(l, end)
	if relations := l.texts("relations"); len(relations) > 0 {
		name, _, _ := strings.Cut(relations[0], " ")
		e["table"] = map[string]any{"name": name}
	}
	switch {
	case l.text("decision") == "deny":
		failed(e, severityMedium, strings.Join(l.texts("reasons"), "; "))
	case end.text("status") == "error" || end.text("status") == "capped":
		failed(e, severityLow, end.text("status"))
	case end.text("status") == "completed" || end.text("status") == "suspended":
		e["status_id"], e["status"] = statusSuccess, "Success"
	case end != nil && end.text("status") != "unknown":
		e["status_id"], e["status"] = statusOther, end.text("status")
	}
	for _, of := range []fields{l, end} {
		if code := of.text("sqlstate"); code != "" {
			e["status_code"] = code
		}
	}
	if took, ok := end["duration_us"].(float64); ok {
		e["duration"] = int64(took / 1000)
	}
	return e
}

// query is what was asked. Where the text is in another line, its digest stands for it: there must be one.
func query(l, end fields) map[string]any {
	text := l.text("text")
	for _, other := range []string{l.text("normalized"), l.text("text_digest"), l.text("protocol")} {
		if text == "" {
			text = other
		}
	}
	q := map[string]any{"query_string": text, "uid": l.text("id")}
	if name := l.text("statement_name"); name != "" {
		q["name"] = name
	}
	if bytes, ok := end["bytes"].(float64); ok {
		q["bytes"] = int64(bytes)
	}
	return q
}

// activity is what a statement does to data, by the first of its commands that does something. A query that runs in the course of it is not
// what it is for.
func activity(l fields) int {
	found := activityOther
	for _, command := range l.texts("commands") {
		first, _, _ := strings.Cut(command, " ")
		switch first {
		case "DELETE", "TRUNCATE", "DROP":
			return activityDelete
		case "UPDATE", "MERGE", "ALTER":
			return activityUpdate
		case "INSERT", "COPY":
			return activityWrite
		case "CREATE":
			return activityCreate
		case "SELECT", "VALUES", "TABLE":
			found = activityQuery
		case "FETCH", "SHOW":
			if found == activityOther {
				found = activityRead
			}
		}
	}
	return found
}

// connect is a login that policy has allowed. One that it has not has an event of its own, which also says where it came from.
func connect(l fields) (map[string]any, bool) {
	if allow, _ := l["allow"].(bool); !allow {
		return nil, false
	}
	e := logon(l, l.text("user"))
	e["status_id"], e["status"], e["severity_id"] = statusSuccess, "Success", severityInformational
	if host := l.text("backend_host"); host != "" {
		e["dst_endpoint"] = endpoint(host)
	}
	return e, true
}

// logon is what both logins have. The gateway is the service.
func logon(l fields, name string) map[string]any {
	e := map[string]any{
		"class_uid": classAuthentication, "category_uid": categoryIAM, "activity_id": activityLogon, "is_remote": true,
		"user": user(l, name), "service": map[string]any{"name": "Sallyport"}, "session": map[string]any{"uid": l.text("session")},
	}
	if method := l.text("method"); method != "" {
		e["auth_protocol"], e["auth_protocol_id"] = method, 99
	}
	return e
}

// refused is a login that came to nothing.
func refused(l fields) map[string]any {
	e := logon(l, l.text("claimed_user"))
	e["src_endpoint"] = endpoint(l.text("client_address"))
	failed(e, severityMedium, l.text("reason"))
	e["status_code"] = l.text("sqlstate")
	return e
}
