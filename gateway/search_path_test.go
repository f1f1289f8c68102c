package gateway

import (
	"testing"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/backend"
)

// TestSearchPathAsPinned: a client may ask for what it gets, in any way to write it, and for nothing else.
func TestSearchPathAsPinned(t *testing.T) {
	d := Database{SearchPath: []string{"app", "Odd name", `a"b`}}
	const pinned = `app, "Odd name", "a""b", pg_temp`
	for value, want := range map[string]bool{
		pinned:                                  true,
		`app, "Odd name", "a""b"`:               true,
		"\t\"app\" ,\n\"Odd name\",\"a\"\"b\" ": true,
		`APP,"Odd name","a""b",PG_TEMP`:         true,

		"":                                         false,
		"app":                                      false,
		`app, "Odd name"`:                          false,
		`"Odd name", app, "a""b"`:                  false,
		`app, "odd name", "a""b"`:                  false,
		`"APP", "Odd name", "a""b"`:                false,
		`app, "Odd name", "a""b", evil`:            false,
		`pg_temp, app, "Odd name", "a""b"`:         false,
		`app, "Odd name", "a""b", pg_temp, evil`:   false,
		`pg_catalog, app, "Odd name", "a""b"`:      false,
		`app, "Odd name", "a""b",`:                 false,
		`app,, "Odd name", "a""b"`:                 false,
		`app "Odd name" "a""b"`:                    false,
		`app, "Odd name", "a""b`:                   false,
		`app, "Odd name", "a""b"x`:                 false,
		`app, "Odd name", "a""b", "$user"`:         false,
		"app,\v\"Odd name\", \"a\"\"b\"":           false,
		"app, \"Odd name\", \"a\"\"b\", \"pg_temp": false,
	} {
		list, err := startupParameters(&startup{user: "ana", parameters: []backend.Parameter{{Name: "Search_Path", Value: value}}}, grant{}, d, "id")
		if (err == nil) != want {
			t.Errorf("%q: %v, taken must be %t", value, err, want)
		}
		if err == nil && settings(list)["search_path"] != pinned {
			t.Errorf("%q: the backend is sent %q", value, settings(list)["search_path"])
		}
	}
	options := backend.Parameter{Name: "options", Value: `-c search_path=app,"Odd\ name","a""b"`}
	if _, err := startupParameters(&startup{user: "ana", parameters: []backend.Parameter{options}}, grant{}, d, "id"); err != nil {
		t.Errorf("in options: %v", err)
	}
	observed := grant{ConnectDecision: authz.ConnectDecision{Observe: true}}
	list, err := startupParameters(&startup{user: "dba", parameters: []backend.Parameter{{Name: "search_path", Value: "app"}}}, observed, d, "id")
	if err != nil || settings(list)["search_path"] != "app" {
		t.Errorf("who observes: %v, %v", settings(list), err)
	}
}

func TestSearchPathEmpty(t *testing.T) {
	for value, want := range map[string]bool{"": true, " ": true, "pg_temp": true, `""`: false, "app": false, ",": false} {
		if got := asPinned(value, nil); got != want {
			t.Errorf("%q: %t, want %t", value, got, want)
		}
	}
}
