package openid

import (
	"context"
	"html/template"
	"net/http"
)

const (
	loginPath  = "/login"
	devicePath = "/device"
)

// pages are where a person logs in. Requests are not protected against
// forgery beyond the unguessable id: the users are not real.
type pages struct {
	store    *store
	callback func(context.Context, string) string
}

// form is the one template; Hidden carries the request's id or asks for the user code.
var form = template.Must(template.New("form").Parse(`<!doctype html>
<title>Log in</title>
<h1>{{.Title}}</h1>
{{with .Error}}<p role="alert">{{.}}</p>{{end}}
<form method="post">
{{if .Device}}<p><label>Code <input name="user_code" value="{{.ID}}" required></label></p>
{{else}}<input type="hidden" name="id" value="{{.ID}}">{{end}}
<p><label>Address <input name="email" type="email" autocomplete="username" required autofocus></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
<button name="action" value="allow">Log in</button>
{{if .Device}}<button name="action" value="deny">Deny</button>{{end}}
</form>
`))

type formData struct {
	Title, ID, Error string
	Device           bool
}

func render(w http.ResponseWriter, status int, data formData) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = form.Execute(w, data) // the browser is gone: nobody to tell
}

func (p *pages) showLogin(w http.ResponseWriter, r *http.Request) {
	render(w, http.StatusOK, formData{Title: "Log in", ID: r.FormValue("id")})
}

func (p *pages) login(w http.ResponseWriter, r *http.Request) {
	id := r.PostFormValue("id")
	user, err := p.store.check(r.PostFormValue("email"), r.PostFormValue("password"))
	if err == nil {
		err = p.store.finish(id, user)
	}
	if err != nil {
		render(w, http.StatusUnauthorized, formData{Title: "Log in", ID: id, Error: err.Error()})
		return
	}
	http.Redirect(w, r, p.callback(r.Context(), id), http.StatusFound)
}

func (p *pages) showDevice(w http.ResponseWriter, r *http.Request) {
	render(w, http.StatusOK, formData{Title: "Connect a device", ID: r.FormValue("user_code"), Device: true})
}

func (p *pages) device(w http.ResponseWriter, r *http.Request) {
	code := r.PostFormValue("user_code")
	user, err := p.store.check(r.PostFormValue("email"), r.PostFormValue("password"))
	if err == nil {
		err = p.store.decide(code, user, r.PostFormValue("action") == "allow")
	}
	if err != nil {
		render(w, http.StatusUnauthorized, formData{Title: "Connect a device", ID: code, Error: err.Error(), Device: true})
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("Done. Go back to the device.\n"))
}
