package statement

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// inventory is what a confined process is left with.
type inventory struct {
	Environment []string
	Inherited   []int // descriptors of a file the parent left open
	Stack, Core uint64
	Dumpable    int
}

// inspect confines the process and writes its inventory.
func inspect() int {
	if err := confine(); err != nil {
		return exitConfine
	}
	var got inventory
	got.Environment = os.Environ()
	for fd := range 1024 {
		if sameFile(fd, inheritedFile) {
			got.Inherited = append(got.Inherited, fd)
		}
	}
	var limit unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_STACK, &limit)
	got.Stack = limit.Cur
	_ = unix.Getrlimit(unix.RLIMIT_CORE, &limit)
	got.Core = limit.Cur
	got.Dumpable, _ = unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	_ = json.NewEncoder(os.Stdout).Encode(got)
	return exitOK
}

// inheritedFile is what the test leaves open; the Go runtime has files of its own open.
const inheritedFile = "/etc/passwd"

func sameFile(fd int, path string) bool {
	var open, file unix.Stat_t
	return unix.Fstat(fd, &open) == nil && unix.Stat(path, &file) == nil && open.Dev == file.Dev && open.Ino == file.Ino
}

func TestConfinedProcess(t *testing.T) {
	secret, err := os.Open(inheritedFile)
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Close()
	cmd := exec.Command(os.Args[0], "inspect")
	cmd.Env = []string{"VAULT_TOKEN=hvs.secret"}
	cmd.ExtraFiles = []*os.File{secret, secret}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got inventory
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %q", err, out)
	}
	want := inventory{Environment: []string{confinedMark}, Stack: workerStack}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWorkerMemoryIsBounded(t *testing.T) {
	pool := startPool(t, Config{Command: saboteurs, MemoryBytes: 256 << 20, Timeout: 20 * time.Second})
	var limit *LimitError
	if _, err := pool.Analyze(t.Context(), "SELECT 'hog here'"); !errors.As(err, &limit) || pool.Stats().Killed != 1 {
		t.Errorf("got %v, %+v", err, pool.Stats())
	}
}

// gateway starts a worker, writes its process id and waits to be killed.
func gateway() int {
	worker, err := startProcess(context.Background(), []string{os.Args[0], "saboteur"}, 0)
	if err != nil {
		return exitConfine
	}
	if err := writeFrame(worker.in, frameText, append([]byte("SELECT "), hangMark...)); err != nil {
		return exitFrames
	}
	fmt.Println(worker.pid)
	select {}
}

// TestWorkerDiesWithGateway kills a gateway whose worker hangs, and so would not notice the end of its input.
func TestWorkerDiesWithGateway(t *testing.T) {
	cmd := exec.Command(os.Args[0], "gateway")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 32)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(line[:n])))
	if err != nil {
		t.Fatal(err)
	}
	worker, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(worker)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	ended := []unix.PollFd{{Fd: int32(worker), Events: unix.POLLIN}}
	if n, err := unix.Poll(ended, 10_000); n != 1 || err != nil {
		t.Errorf("the worker outlived its gateway: %v", err)
	}
}
