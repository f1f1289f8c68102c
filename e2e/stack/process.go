package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// killAfter is how long a process may take to end once asked to.
	killAfter = 10 * time.Second
	// logTail is how much of a log an error quotes.
	logTail = 4 << 10
)

// command describes a process to start.
type command struct {
	name   string // for errors
	path   string
	args   []string
	dir    string
	env    []string       // added to ours
	log    string         // file that receives its output, appended to
	user   *account       // nil: ours
	parent syscall.Signal // sent by the kernel when we die; 0 is SIGKILL
}

// process is a running child.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and err is set
	err  error
}

// start runs a command in a process group of its own, so that a Ctrl-C in the
// terminal reaches only us and the parts are stopped in order.
func start(c command) (*process, error) {
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	defer log.Close()
	cmd := exec.Command(c.path, c.args...) // #nosec -- the programs of this repository and of PostgreSQL
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.dir, log, log
	cmd.Env = append(os.Environ(), c.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: c.parent}
	if c.parent == 0 {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	if c.user != nil {
		cmd.SysProcAttr.Credential = c.user.credential()
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	p := &process{name: c.name, log: c.log, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// pid is its process id.
func (p *process) pid() int { return p.cmd.Process.Pid }

// ready waits until probe succeeds, the process ends or ctx does.
func (p *process) ready(ctx context.Context, probe func(context.Context) error) error {
	err := await(ctx, p.done, probe)
	if err == nil {
		return nil
	}
	select {
	case <-p.done:
		err = fmt.Errorf("it ended (%v)", p.cmd.ProcessState)
	default:
	}
	return fmt.Errorf("wait for %s: %w; its log %s ends with\n%s", p.name, err, p.log, Tail(p.log))
}

// stop asks the process to end and waits for it. One that does not end in
// time is killed, and that is an error.
func (p *process) stop(signal syscall.Signal, patience time.Duration) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	return fmt.Errorf("stop %s: killed after %v; its log %s ends with\n%s", p.name, patience, p.log, Tail(p.log))
}

// run executes a command to its end and returns its output in the error.
func run(ctx context.Context, user *account, dir, path string, args ...string) error {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if user != nil {
		cmd.SysProcAttr.Credential = user.credential()
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w\n%s", path, err, out)
	}
	return nil
}

// Tail is the end of a log file, whole lines, for the message of a failure.
func Tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if _, err := f.Seek(-logTail, io.SeekEnd); err != nil {
		_, _ = f.Seek(0, io.SeekStart) // shorter than that
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	text := string(data)
	if len(data) == logTail {
		_, text, _ = strings.Cut(text, "\n")
	}
	return strings.TrimRight(text, "\n")
}
