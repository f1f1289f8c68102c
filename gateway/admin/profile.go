package admin

import (
	"net/http"
	"net/http/pprof" // #nosec G108 -- what it registers is in a mux that nothing serves
	"runtime"
	"sync"
)

// contention is held while it is recorded who waits for whom.
var contention sync.Mutex

// profile answers with one of the runtime's profiles: "profile" is CPU time, for ?seconds= of at most writeTimeout; "heap" with ?gc=1
// collects garbage first; "mutex" and "block" are recorded for ?seconds= only, since that costs, and for one who asks at a time. They hold addresses and functions' names, no memory. The command line and the execution trace that net/http/pprof
// has besides are not served: the one is not ours to tell, the other is large.
func profile(w http.ResponseWriter, r *http.Request) {
	switch name := r.PathValue("name"); name {
	case "profile":
		pprof.Profile(w, r)
	case "mutex", "block":
		if r.URL.Query().Get("seconds") == "" {
			http.Error(w, "say for how long: ?seconds=10", http.StatusBadRequest)
			return
		}
		if !contention.TryLock() {
			http.Error(w, "somebody else is taking a profile of the same kind", http.StatusConflict)
			return
		}
		defer contention.Unlock()
		before := runtime.SetMutexProfileFraction(1)
		runtime.SetBlockProfileRate(1)
		defer runtime.SetMutexProfileFraction(before)
		defer runtime.SetBlockProfileRate(0)
		fallthrough
	default:
		pprof.Handler(name).ServeHTTP(w, r)
	}
}
