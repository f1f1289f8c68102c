package statement

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// startTimeout is when a worker that is not ready is given up; it takes 50 ms on an idle machine.
const startTimeout = 10 * time.Second

// process is a worker process and the pool's ends of its pipes.
type process struct {
	in   *os.File      // to the worker
	out  *os.File      // from it
	read *bufio.Reader // on out
	pid  int
	kill func()
	done chan struct{} // closed when it has ended and was waited for
}

// startProcess starts a worker and waits until it is ready, or the context ends. Whoever starts it stops it.
func startProcess(ctx context.Context, command []string, memory int64) (*process, error) {
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make pipe: %w", err), childIn.Close(), in.Close())
	}
	cmd := exec.Command(command[0], command[1:]...) // #nosec -- the operator's own configuration
	cmd.Stdin, cmd.Stdout = childIn, childOut       // standard error is the null device: a crash report could quote the text
	cmd.Env = []string{}                            // nil would hand down ours
	dieWithUs(cmd)

	p := &process{in: in, out: out, read: bufio.NewReader(out), done: make(chan struct{})}
	started := make(chan error)
	go p.keep(cmd, started)
	err = <-started
	_ = childIn.Close()
	_ = childOut.Close()
	if err != nil {
		p.closePipes()
		return nil, fmt.Errorf("start statement worker: %w", err)
	}
	p.pid = cmd.Process.Pid
	p.kill = func() { _ = cmd.Process.Kill() }
	giveUp := context.AfterFunc(ctx, p.kill)
	defer giveUp()
	if err := p.setup(memory); err != nil {
		p.stop()
		return nil, fmt.Errorf("set up statement worker: %w", err)
	}
	return p, nil
}

// keep starts the process and waits for its end on a thread that lives as long: the kernel kills the worker when the thread that started
// it goes away.
func (p *process) keep(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	err := cmd.Start()
	started <- err
	if err == nil {
		_ = cmd.Wait() // how it ended does not matter: that it did is an incident either way
	}
}

func (p *process) setup(memory int64) error {
	p.deadline(startTimeout)
	if err := writeValue(p.in, frameSetup, workerSetup{MemoryBytes: memory}); err != nil {
		return err
	}
	kind, _, err := readFrame(p.read)
	if err == nil && kind != frameReady {
		err = errors.New("worker is not ready")
	}
	return err
}

func (p *process) deadline(d time.Duration) {
	at := time.Now().Add(d)
	_ = p.in.SetDeadline(at)
	_ = p.out.SetDeadline(at)
}

// errBeforeText says that the worker was gone before it had the text: the text is not to blame.
var errBeforeText = errors.New("worker ended before it took the text")

// analyze has the worker turn a text into facts. An error that is neither a SyntaxError nor a LimitError means that the worker is not to
// be used again; a sheet may come with one, when the worker died over naming the text. read is given the sheet before it has names.
func (p *process) analyze(text string, timeout time.Duration, sheets *interned, read func(*Sheet)) (*Sheet, int, error) {
	p.deadline(timeout)
	if err := writeFrame(p.in, frameText, []byte(text)); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, 0, err
		}
		return nil, 0, fmt.Errorf("%w: %w", errBeforeText, err)
	}
	kind, body, err := readFrame(p.read)
	if err != nil {
		return nil, 0, err
	}
	switch kind {
	case frameSyntax:
		return nil, 0, decode(body, &SyntaxError{})
	case frameLimit:
		return nil, 0, decode(body, &LimitError{})
	case frameFacts:
		facts, err := sheets.facts(body)
		if err != nil {
			return nil, 0, err
		}
		read(facts)
		return p.named(facts, body, sheets)
	}
	return nil, 0, errors.New("worker sent an unknown frame")
}

// errReplace says that the worker has done its work and wants to be replaced.
var errReplace = errors.New("worker has grown")

// named takes the names that follow the facts. It returns a sheet of both and their encoded size.
func (p *process) named(facts *Sheet, encoded []byte, sheets *interned) (*Sheet, int, error) {
	kind, names, lost := readFrame(p.read)
	if lost == nil && kind != frameNames {
		names, lost = nil, errors.New("worker sent no names")
	}
	if lost != nil {
		return facts, len(encoded), lost // the facts hold all the same
	}
	var decoded textNames
	if err := cbor.Unmarshal(names, &decoded); err != nil {
		return nil, 0, fmt.Errorf("decode names: %w", err)
	}
	sheet := facts.Called(&Sheet{Fingerprint: decoded.Fingerprint, Normalized: decoded.Normalized})
	size := len(encoded) + len(names)
	if decoded.Replace {
		return sheet, size, errReplace // and not remembered by these names: the next worker with them would be told to go too
	}
	return sheets.sheet(encoded, facts, names, sheet), size, nil
}

// decode decodes a refusal and returns it as the error.
func decode[T error](body []byte, refusal T) error {
	if err := cbor.Unmarshal(body, &refusal); err != nil {
		return fmt.Errorf("decode refusal: %w", err)
	}
	return refusal
}

// stop ends the worker at once, since it holds nothing that is worth waiting for. It returns when the process is gone.
func (p *process) stop() {
	p.kill()
	<-p.done
	p.closePipes()
}

func (p *process) closePipes() {
	_ = p.in.Close()
	_ = p.out.Close()
}
