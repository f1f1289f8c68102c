package gateway

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/authn"
)

// TestPassThroughDeniedIsSlow: who is refused by policy waits for as long as a backend took.
func TestPassThroughDeniedIsSlow(t *testing.T) {
	const pace = 300 * time.Millisecond
	p := pass(t, authn.MethodPassSCRAM, asked(authn.MethodPassSCRAM, greets), nil)
	p.server.unproven.took(time.Now().Add(-pace), time.Now())
	began := time.Now()
	p.login("eve", passPassword)
	if took := time.Since(began); took < pace {
		t.Errorf("took %v, where a backend takes %v", took, pace)
	}
}

// TestUnprovenPlaces: few backends wait for strangers at once.
func TestUnprovenPlaces(t *testing.T) {
	u := newUnproven()
	leave := fillUnproven(t, u)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := u.enter(ctx, network(9))
	checkReason(t, err, ReasonTooManyConnections)
	leave()
	if _, err := u.enter(t.Context(), network(9)); err != nil {
		t.Errorf("a place that was left is not taken: %v", err)
	}
}

func network(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, byte(n), 0}), networkBits4)
}

// fillUnproven takes all places, from several networks. leave gives the last back.
func fillUnproven(t *testing.T, u *unproven) (leave func()) {
	t.Helper()
	for i := range maxUnproven {
		var err error
		if leave, err = u.enter(t.Context(), network(i/maxUnprovenOfNetwork)); err != nil {
			t.Fatal(err)
		}
	}
	return leave
}

// TestUnprovenNetworks: the clients of one network leave places to those of others, and what becomes free goes to who has least.
func TestUnprovenNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		u := newUnproven()
		var leave []func()
		entered := make(chan int, 100)
		enter := func(n int) {
			go func() {
				if left, err := u.enter(ctx, network(n)); err == nil {
					entered <- n
					_ = left
				}
			}()
			synctest.Wait()
		}
		for range maxUnprovenOfNetwork {
			left, err := u.enter(ctx, network(1))
			if err != nil {
				t.Fatal(err)
			}
			leave = append(leave, left)
		}
		enter(1)
		if len(entered) != 0 {
			t.Fatal("one network has more than its share")
		}
		for range maxUnproven - maxUnprovenOfNetwork {
			enter(2)
		}
		enter(2)
		enter(3)
		if len(entered) != maxUnproven-maxUnprovenOfNetwork {
			t.Fatalf("%d of another network have entered", len(entered))
		}
		for range len(entered) {
			<-entered
		}
		for i, want := range []int{3, 1, 0} { // who has none comes first, then who came first; the other network has its share
			leave[i]()
			if synctest.Wait(); want == 0 && len(entered) > 0 || want > 0 && (len(entered) != 1 || <-entered != want) {
				t.Errorf("place %d does not go to network %d", i, want)
			}
		}
		cancel()
		synctest.Wait()
		if len(u.waiters) != 0 {
			t.Errorf("%d still wait", len(u.waiters))
		}
	})
}

// TestPassThroughWaitsForAPlace: a login that finds none asks no backend.
func TestPassThroughWaitsForAPlace(t *testing.T) {
	p := pass(t, authn.MethodPassPassword, asked(authn.MethodPassPassword, greets), func(cfg *Config) {
		byMD5(cfg)
		cfg.Timeouts.Authentication = time.Second
	})
	fillUnproven(t, p.server.unproven)
	heard := p.login("ana", passPassword)
	if last := heard[len(heard)-1]; !strings.HasPrefix(last, "FATAL|53300|") || p.postgres.dialled.Load() != 0 {
		t.Errorf("the client hears %q; dialled %d times", heard, p.postgres.dialled.Load())
	}
}

func (u *unproven) taken() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.total
}
