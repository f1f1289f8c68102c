package statement

import (
	"bufio"
	"errors"
	"io"
	"os"
	"runtime/debug"

	"github.com/fxamacker/cbor/v2"
)

// Exit codes of WorkerMain.
const (
	exitOK      = 0
	exitConfine = 70 // EX_SOFTWARE: the process could not be confined, or would read trees wrongly
	exitFrames  = 76 // EX_PROTOCOL: the pool said something else than it should
)

// WorkerMain is the worker process: it reads texts from the pool and answers with facts until its input ends. It returns the exit code.
//
// A process that gives it its own standard input is confined first, which replaces the process by itself: nothing inherited stays open but
// the three standard descriptors, the stack is large, memory is bounded, and no core is dumped. It has no environment, opens nothing and
// writes nothing but answers: a text is never logged.
func WorkerMain(stdin io.Reader, stdout io.Writer) int {
	process := stdin == io.Reader(os.Stdin)
	if process {
		if err := confine(); err != nil {
			return exitConfine
		}
	}
	return serveTexts(stdin, stdout, process)
}

// serveTexts is the worker's life. process says that this is a process of its own, whose memory may be bounded.
func serveTexts(stdin io.Reader, stdout io.Writer, process bool) int {
	in := bufio.NewReader(stdin)
	kind, body, err := readFrame(in)
	var setup workerSetup
	if err != nil || kind != frameSetup || cbor.Unmarshal(body, &setup) != nil {
		return exitFrames
	}
	worker := worker{out: stdout, memory: setup.MemoryBytes, process: process}
	if err := worker.prepare(); err != nil {
		return exitConfine
	}
	for {
		kind, body, err := readFrame(in)
		switch {
		case errors.Is(err, io.EOF):
			return exitOK
		case err != nil || kind != frameText:
			return exitFrames
		}
		if worker.answer(string(body)) != nil {
			return exitOK // the pool is gone
		}
	}
}

type worker struct {
	out     io.Writer
	memory  int64
	process bool
	texts   int // answered
}

// To look at the process's memory takes longer than to parse a short text. A short one leaves next to nothing behind, so the look is for
// long ones, and for every growthInterval texts.
const (
	shortText      = 4 << 10
	growthInterval = 16
)

// grown says whether the process should be replaced after a text.
func (k *worker) grown(text string) bool {
	k.texts++
	look := len(text) > shortText || k.texts%growthInterval == 0
	return k.process && k.memory > 0 && look && resident() > k.memory/2
}

// garbagePercent is how much garbage may gather in a worker, in percent of what it keeps, which are a few megabytes. All that a text leaves
// behind is garbage, and little; to collect it every 60 texts took a tenth of a worker's time.
const garbagePercent = 400

// prepare bounds the memory, makes what the first text would wait for and checks it, and says that the worker is ready. Go's own memory gets half, soft;
// the C parser the rest.
func (k *worker) prepare() error {
	if k.process {
		debug.SetGCPercent(garbagePercent)
	}
	if k.process && k.memory > 0 {
		debug.SetMemoryLimit(k.memory / 2)
		if err := limitData(k.memory); err != nil {
			return err
		}
	}
	if err := checkLayout(messageTypes()); err != nil {
		return err
	}
	return writeFrame(k.out, frameReady, nil)
}

func (k *worker) answer(text string) error {
	sheet, constants, err := parse(text)
	var (
		syntax *SyntaxError
		limit  *LimitError
	)
	switch {
	case errors.As(err, &syntax):
		return writeValue(k.out, frameSyntax, syntax)
	case errors.As(err, &limit):
		return writeValue(k.out, frameLimit, limit)
	}
	if err := writeValue(k.out, frameFacts, sheet); err != nil {
		return err
	}
	names := textNames{Replace: k.grown(text)}
	names.Fingerprint, names.Normalized = normalize(text, constants)
	return writeValue(k.out, frameNames, names)
}
