package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// recorded is an event of an audit log, as far as people search it and read it.
type recorded struct {
	Time        string   `json:"time"`
	Type        string   `json:"type"`
	Session     string   `json:"session"`
	ID          string   `json:"id"`
	User        string   `json:"user"`
	ClaimedUser string   `json:"claimed_user"`
	Database    string   `json:"database"`
	Client      string   `json:"client_address"`
	Decision    string   `json:"decision"`
	Allow       *bool    `json:"allow"`
	Reasons     []string `json:"reasons"`
	SQLSTATE    string   `json:"sqlstate"`
	Relations   []string `json:"relations"`
	Groups      []string `json:"groups"`
	Text        string   `json:"text"`
	TextDigest  string   `json:"text_digest"`
	Aside       bool     `json:"text_aside"`
	Role        string   `json:"role"`
	Status      string   `json:"status"`
	Command     string   `json:"command"`
	Rows        *uint64  `json:"rows"`
	Duration    *int64   `json:"duration_us"`
	Reason      string   `json:"reason"`
	Action      string   `json:"action"`
	State       string   `json:"state"`
	Cause       string   `json:"cause"`
	Lost        *uint64  `json:"lost"`
	Error       string   `json:"error"`
}

// parseEvent reads a line; ok is false for what is no event: torn lines, and those of the proof.
func parseEvent(line []byte, e *recorded) (ok bool) {
	*e = recorded{}
	if json.Unmarshal(line, e) != nil {
		return false
	}
	return e.Type != "" && e.Type != "tree" && e.Type != "checkpoint"
}

// who is the user, proved or not.
func (e *recorded) who() string {
	if e.User == "" {
		return e.ClaimedUser
	}
	return e.User
}

// decided is the decision of a statement or connection.
func (e *recorded) decided() string {
	if e.Allow == nil {
		return e.Decision
	}
	if *e.Allow {
		return "allow"
	}
	return "deny"
}

// String is the event in one line, for people.
func (e *recorded) String() string {
	var b strings.Builder
	b.WriteString(shown(e.Time))
	name := e.ID
	if name == "" {
		name = e.Session
	}
	for _, part := range []string{
		e.Type, name, e.who(), e.Database, e.Client, e.decided(), e.Action, e.Status, e.State, e.Cause, e.Command, e.Reason, e.SQLSTATE,
	} {
		if part != "" {
			b.WriteString(" " + shown(part))
		}
	}
	if e.Role != "" {
		b.WriteString(" as " + shown(e.Role))
	}
	if e.Rows != nil {
		fmt.Fprintf(&b, " rows=%d", *e.Rows)
	}
	if e.Duration != nil {
		fmt.Fprintf(&b, " %.3fms", float64(*e.Duration)/1000)
	}
	if e.Lost != nil {
		fmt.Fprintf(&b, " lost=%d", *e.Lost)
	}
	text := e.Text
	if text == "" && e.TextDigest != "" {
		text = "text " + e.TextDigest
	}
	for _, part := range []string{text, strings.Join(e.Reasons, "; "), e.Error} {
		if part != "" {
			b.WriteString(" | " + shown(part))
		}
	}
	return b.String()
}
