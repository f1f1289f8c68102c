package admin

import (
	"net/http"
	"net/http/pprof" // #nosec G108 -- what it registers is in a mux that nothing serves
)

// profile answers with one of the runtime's profiles: "profile" is CPU time, for ?seconds= of at most writeTimeout; "heap" with ?gc=1
// collects garbage first. They hold addresses and functions' names, no memory. The command line and the execution trace that net/http/pprof
// has besides are not served: the one is not ours to tell, the other is large.
func profile(w http.ResponseWriter, r *http.Request) {
	if name := r.PathValue("name"); name != "profile" {
		pprof.Handler(name).ServeHTTP(w, r)
		return
	}
	pprof.Profile(w, r)
}
