package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// bareBytes is what the program takes for each of n sessions.
func (b *bench) bareBytes(ctx context.Context, n int) (int64, error) {
	dir, err := b.newDir("bare")
	if err != nil {
		return 0, err
	}
	if err := writeEnds(dir); err != nil {
		return 0, err
	}
	ends, err := loadEnds(dir)
	if err != nil {
		return 0, err
	}
	backend, err := tls.Listen("tcp", "127.0.0.1:0", ends.server)
	if err != nil {
		return 0, err
	}
	defer backend.Close()
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = backend.Close() })
	defer stop()
	p, err := startBare(ctx, dir, backend.Addr().String())
	if err != nil {
		return 0, err
	}
	bytes, err := p.grow(ctx, n, backend, ends.client)
	return bytes, errors.Join(err, p.stop())
}

// bareProgram is the running program, seen from without.
type bareProgram struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	address string
}

func startBare(ctx context.Context, dir, backend string) (*bareProgram, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, bareCommand, dir, backend)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &bareProgram{cmd: cmd, in: in, out: bufio.NewReader(out)}
	if p.address, err = p.out.ReadString('\n'); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	p.address = strings.TrimSpace(p.address)
	return p, nil
}

func (p *bareProgram) stop() error { return errors.Join(p.in.Close(), p.cmd.Wait()) }

// atRest is its resident size once it has tidied up.
func (p *bareProgram) atRest(ctx context.Context) (int64, error) {
	if _, err := io.WriteString(p.in, "collect\n"); err != nil {
		return 0, err
	}
	if _, err := p.out.ReadString('\n'); err != nil {
		return 0, err
	}
	return settled(ctx, p.cmd.Process.Pid)
}

// grow opens n sessions, after some for warming up, and says what each takes.
func (p *bareProgram) grow(ctx context.Context, n int, backend net.Listener, config *tls.Config) (int64, error) {
	var kept []net.Conn
	defer func() {
		for _, conn := range kept {
			_ = conn.Close()
		}
	}()
	open := func(n int) error {
		for range n {
			pair, err := p.open(backend, config)
			kept = append(kept, pair...)
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := open(warmSessions); err != nil {
		return 0, err
	}
	without, err := p.atRest(ctx)
	if err != nil {
		return 0, err
	}
	if err := open(n); err != nil {
		return 0, err
	}
	with, err := p.atRest(ctx)
	return (with - without) / int64(n), err
}

// open opens one session, to its far end.
func (p *bareProgram) open(backend net.Listener, config *tls.Config) ([]net.Conn, error) {
	near, err := tls.Dial("tcp", p.address, config)
	if err != nil {
		return nil, err
	}
	if _, err := near.Write([]byte{1}); err != nil {
		return []net.Conn{near}, err
	}
	far, err := backend.Accept()
	if err != nil {
		return []net.Conn{near}, err
	}
	_, err = far.Read(make([]byte, 1)) // the handshake too
	return []net.Conn{near, far}, err
}
