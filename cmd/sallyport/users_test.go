package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// second lets the userlist's watch look once, and whatever it does come to rest.
func second() {
	time.Sleep(time.Second)
	synctest.Wait()
}

// replaceFile puts a file in another's place, as "sallyport user" does: within synctest the clock may stand still between two writes.
func replaceFile(t *testing.T, name, content string) {
	t.Helper()
	write(t, name+".new", content)
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

// TestUserlistIsReadAgain: without a signal, and after a reload the one that the configuration then names.
func TestUserlistIsReadAgain(t *testing.T) {
	deploy(t)
	p, log := newProcess(t)
	defer p.close()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.users.Run(ctx) }()
		knows := func(user string, want bool) {
			t.Helper()
			if _, ok := p.users.current().Lookup(user); ok != want {
				t.Errorf("knows %s: %v, want %v", user, ok, want)
			}
		}
		knows("ana", true)
		replaceFile(t, "userlist.txt", `"bob" "secret"`+"\n")
		second()
		knows("bob", true)
		knows("ana", false)

		replaceFile(t, "userlist.txt", "bob hunter2\n")
		second()
		second()
		knows("bob", true)
		if err := p.users.Err(); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Err is %v", err)
		}
		if n := strings.Count(log.String(), "userlist not reloaded"); n != 1 {
			t.Errorf("the log says so %d times: %s", n, log)
		}

		write(t, "other.txt", `"carl" "secret"`+"\n")
		write(t, "sallyport.yaml", strings.Replace(configuration, "userlist.txt", "other.txt", 1))
		p.reload()
		knows("carl", true)
		if err := p.users.Err(); err != nil {
			t.Errorf("the list before is still asked: %v", err)
		}
		replaceFile(t, "userlist.txt", `"eve" "secret"`+"\n")
		replaceFile(t, "other.txt", `"dora" "secret"`+"\n")
		second()
		second()
		knows("dora", true)
		knows("eve", false)
		if n := strings.Count(log.String(), `"userlist reloaded"`); n != 2 {
			t.Errorf("%d reloads in the log, want one for each list: %s", n, log)
		}

		write(t, "sallyport.yaml", strings.NewReplacer("  userlist: userlist.txt\n", "", "scram-sha-256", "reject").Replace(configuration))
		p.reload()
		if p.users.current() != nil || p.users.Err() != nil {
			t.Error("a userlist that is not configured any more is in use")
		}
		trail, err := os.ReadFile("audit.log")
		if err != nil {
			t.Fatal(err)
		}
		events := regexp.MustCompile(`"action":"userlist","file":"[^"]*?([a-z]+\.txt)"(,"error")?`).FindAllSubmatch(trail, -1)
		var recorded []string
		for _, event := range events {
			recorded = append(recorded, string(event[1])+string(event[2]))
		}
		if diff := cmp.Diff([]string{"userlist.txt", `userlist.txt,"error"`, "other.txt"}, recorded); diff != "" {
			t.Errorf("the audit log has %s: %s", diff, trail)
		}
		if bytes.Contains(trail, []byte("hunter2")) {
			t.Error("a password is in the audit log")
		}
		synctest.Wait()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestBadUserlistIsAdvisory(t *testing.T) {
	deploy(t)
	p, _ := newProcess(t)
	defer p.close()
	write(t, "userlist.txt", "ana secret\n")
	if err := p.users.current().Reload(); err == nil {
		t.Fatal("a bad userlist is taken")
	}
	if diff := cmp.Diff(append(slices.Clone(notRunning), "userlist_reload"), p.failing()); diff != "" {
		t.Error(diff)
	}
	for _, check := range p.ready() {
		if check.Name == "userlist_reload" && !check.Advisory {
			t.Error("the old list serves on, and the gateway says that it is not ready")
		}
	}
	if !strings.Contains(p.get("/metrics", "").Body.String(), "sallyport_userlist_reload_failures_total 1\n") {
		t.Error("the metric is missing")
	}
}
