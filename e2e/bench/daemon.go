package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// stopPatience is how long a program of ours may take to end once asked to.
const stopPatience = 10 * time.Second

// daemon is a proxy that is a process of ours.
type daemon struct {
	cmd *exec.Cmd
}

func (d daemon) pid() int                        { return d.cmd.Process.Pid }
func (daemon) settle(context.Context, int) error { return nil }

func (d daemon) stop() error {
	if err := d.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timer := time.AfterFunc(stopPatience, func() { _ = d.cmd.Process.Kill() })
	defer timer.Stop()
	var exit *exec.ExitError
	if err := d.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}

// ordinaryUser is one that a Debian machine has.
func ordinaryUser() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("find a user to run a daemon as: there is neither postgres nor nobody")
}

// handOver gives a directory and its files to a user.
func handOver(dir string, to *syscall.Credential) error {
	return filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, int(to.Uid), int(to.Gid))
	})
}

const (
	// Ports are chosen below those that the kernel gives to outgoing
	// connections: any of those could take it before the child does.
	firstPort, lastPort = 20000, 32767
	// portAttempts bounds the search.
	portAttempts = 1000
)

func freePort() (int, error) {
	for range portAttempts {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("find a free port: there is none")
}
