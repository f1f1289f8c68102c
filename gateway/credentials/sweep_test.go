package credentials

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestSightings(t *testing.T) {
	const ttl = 15 * time.Minute
	look := func(after time.Duration, until string, left time.Duration) (looks [3]any) {
		return [3]any{after, until, left}
	}
	for name, test := range map[string]struct {
		looks [][3]any // when, by our clock; the end that the role has; how far it is by the backend's clock
		over  bool     // at the last
	}{
		"alive":                            {[][3]any{look(0, "12:15", ttl), look(14*time.Minute, "12:15", time.Minute)}, false},
		"just over":                        {[][3]any{look(0, "12:15", ttl), look(ttl+time.Second, "12:15", -time.Second)}, false},
		"over":                             {[][3]any{look(0, "12:15", ttl), look(ttl+3*time.Second, "12:15", -3*time.Second)}, true},
		"renewed":                          {[][3]any{look(0, "12:15", ttl), look(ttl+3*time.Second, "12:22", 7*time.Minute)}, false},
		"clock an hour ahead":              {[][3]any{look(0, "12:15", ttl), look(time.Minute, "12:15", -46*time.Minute)}, false},
		"clock an hour ahead, over":        {[][3]any{look(0, "12:15", ttl), look(ttl+3*time.Second, "12:15", -time.Hour)}, true},
		"clock an hour back":               {[][3]any{look(0, "12:15", ttl), look(ttl+3*time.Second, "12:15", time.Hour)}, true},
		"over before it was seen":          {[][3]any{look(0, "12:15", -time.Hour)}, false},
		"over before, and left so":         {[][3]any{look(0, "12:15", -time.Hour), look(ttl+3*time.Second, "12:15", -time.Hour-ttl)}, true},
		"over before, and then renewed":    {[][3]any{look(0, "12:15", -time.Hour), look(ttl+3*time.Second, "13:22", 7*time.Minute)}, false},
		"over before, renewed and is over": {[][3]any{look(0, "12:15", -time.Hour), look(time.Minute, "12:16", time.Minute), look(3*time.Minute, "12:16", -time.Minute)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			began, seen := time.Now(), make(sightings)
			var over []string
			for _, l := range test.looks {
				after, until, left := l[0].(time.Duration), l[1].(string), l[2].(time.Duration)
				over = seen.over([]mintedRole{{"s-a-aaaaaaaaaaaaaaaa-1700000000", until, left}}, began.Add(after), ttl)
			}
			if (len(over) > 0) != test.over {
				t.Errorf("over: %q, want %v", over, test.over)
			}
			if seen.over(nil, began, ttl); len(seen) > 0 {
				t.Errorf("%d roles are remembered that are gone", len(seen))
			}
		})
	}
}

// TestSweepWhenTheClockIsSet: a backend whose clock is set an hour ahead has no role dropped that is in use, and a role that nobody renews
// any more goes all the same.
func TestSweepWhenTheClockIsSet(t *testing.T) {
	for name, step := range map[string]time.Duration{"ahead": time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeProvisioner{}
				m, _ := newMinted(t, f)
				ctx, cancel := context.WithCancel(t.Context())
				ran := make(chan error, 1)
				go func() { ran <- m.Run(ctx) }()
				used, err := m.Issue(ctx, "app_readonly")
				if err != nil {
					t.Fatal(err)
				}
				left, err := m.Issue(ctx, "app_readonly")
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Minute)
				f.mu.Lock()
				f.step = step
				f.mu.Unlock()
				for range 10 {
					time.Sleep(defaultTTL / 3)
					if used, err = m.Renew(ctx, used); err != nil {
						t.Fatal(err)
					}
				}
				f.mu.Lock()
				roles := f.roles
				if until, there := roles[used.Username]; !there {
					t.Error("the role is dropped while it is in use")
				} else if got := until.Sub(f.clock()); got != defaultTTL {
					t.Errorf("it holds for %s from now", got)
				}
				if _, there := roles[left.Username]; there {
					t.Error("the role that nobody uses is still there")
				}
				f.mu.Unlock()
				cancel()
				if err := <-ran; err != nil {
					t.Error(err)
				}
				if err := m.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
