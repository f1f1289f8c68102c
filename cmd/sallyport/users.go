package main

import (
	"context"
	"sync"

	"github.com/sallyport/sallyport/authn/userlist"
	"github.com/sallyport/sallyport/gateway/audit"
)

// users is the userlist in force. A reload of the configuration can put another in its place.
type users struct {
	mu   sync.Mutex
	file *userlist.File     // nil: nobody has a password
	stop context.CancelFunc // ends the watch on file; nil: none has begun
}

// use puts a userlist in force; Run watches it from now on, and not the one before.
func (u *users) use(file *userlist.File) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.file = file
	if u.stop != nil {
		u.stop()
	}
}

// current is nil when nobody has a password.
func (u *users) current() *userlist.File {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.file
}

// Run has the userlist in force read again when it changes, until ctx ends; it then returns nil.
func (u *users) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		watch, stop := context.WithCancel(ctx)
		if file := u.begin(stop); file != nil {
			_ = file.Run(watch) // ends with watch, without an error
		} else {
			<-watch.Done()
		}
		stop()
	}
	return nil
}

func (u *users) begin(stop context.CancelFunc) *userlist.File {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stop = stop
	return u.file
}

// Err is why the userlist's last change is not in use, or nil.
func (u *users) Err() error {
	if file := u.current(); file != nil {
		return file.Err()
	}
	return nil
}

// warnings are those of the userlist in force.
func (u *users) warnings() []string {
	if file := u.current(); file != nil {
		return file.Warnings()
	}
	return nil
}

// usersReloaded records a userlist that was read again because it has changed, or that was refused. Its digest is not recorded: who has that
// and the names could try passwords against it, where they are in the clear or MD5.
func (p *process) usersReloaded(file string, err error) {
	change := audit.ConfigurationChange{Action: "userlist", File: file}
	if err != nil {
		change.Error = err.Error()
	}
	p.record(&change)
	if err != nil {
		p.metrics.UserlistReloadFailures.Inc()
		p.logger.Error("userlist not reloaded, the one before it stays in use", "error", err)
		return
	}
	p.logger.Info("userlist reloaded")
	p.warn(p.users.warnings())
}

// reconsider ends the sessions of those who have been taken off the userlist.
func (p *process) reconsider() { p.server.Reconsider() }

func (p *process) warn(warnings []string) {
	for _, warning := range warnings {
		p.logger.Warn("authentication", "warning", warning)
	}
}
