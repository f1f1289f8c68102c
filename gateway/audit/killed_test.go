package audit

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	killedWriters = 4
	// The process that TestKilledAtAnyMoment kills is told by these what to do.
	killedDir   = "SALLYPORT_TEST_DIR"
	killedMode  = "SALLYPORT_TEST_MODE"
	killedRound = "SALLYPORT_TEST_ROUND"
)

func killedConfig(dir, mode string) Config {
	cfg := Config{Path: filepath.Join(dir, "audit.log")}
	switch mode {
	case "journal":
		cfg.Journal = shm
	case "rotation":
		cfg.Journal, cfg.Rotation = shm, Rotation{Size: 1}
	case "strict":
		cfg.Strict = true
	}
	return cfg
}

// TestKilledAtAnyMoment kills processes that write a log, again and again over the same log. Every event that one of them was told to be
// accepted is in the log once it was opened again, exactly once, in its order; and the log is proved.
func TestKilledAtAnyMoment(t *testing.T) {
	for mode, rounds := range map[string]int{"journal": 12, "rotation": 12, "strict": 4, "writes": 4} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cfg := killedConfig(dir, mode)
			t.Cleanup(func() { _ = os.Remove(journalName(shm, cfg.Path)) }) // if it has failed
			recovered := 0
			for round := range rounds {
				before := logged(t, dir)
				accepted := runAndKill(t, dir, mode, round)
				killed := logged(t, dir)
				l, err := Open(cfg)
				if err != nil {
					t.Fatal(err)
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				after := logged(t, dir)
				if !bytes.HasPrefix(after, killed) || !bytes.HasPrefix(killed, before) {
					t.Fatal("what was in the log was changed")
				}
				wantAccepted(t, after[len(before):], round, accepted)
				recovered += len(after) - len(killed)
			}
			files := byAge(t, dir)
			if r := verifyAll(t, nil, dir, files...); len(r.Findings) > 0 || r.Unsealed > 0 {
				t.Errorf("%+v", r)
			}
			t.Logf("%d files, %d bytes written after kills", len(files), recovered)
		})
	}
}

// logged is all that is in a log's files.
func logged(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	for _, name := range byAge(t, dir) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if len(all) > 0 && !bytes.HasSuffix(all, []byte{'\n'}) {
			all = append(all, '\n') // a line that is torn ends with its file
		}
		all = append(all, data...)
	}
	return all
}

// byAge are a log's files, the oldest first.
func byAge(t *testing.T, dir string) []string {
	t.Helper()
	files := names(t, dir)
	if len(files) > 0 && files[0] == "audit.log" {
		files = append(files[1:], files[0])
	}
	return files
}

// runAndKill runs a writer and kills it some milliseconds after its first event. It returns how many events each of its goroutines was
// told to be accepted.
func runAndKill(t *testing.T, dir, mode string, round int) [killedWriters]uint64 {
	t.Helper()
	memory, err := os.CreateTemp(shm, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = memory.Close(), os.Remove(memory.Name()) }()
	counts, err := mapCounts(memory)
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledWriter$")
	child.Env = append(os.Environ(), killedDir+"="+dir, killedMode+"="+mode, killedRound+"="+strconv.Itoa(round))
	child.Stderr, child.ExtraFiles = os.Stderr, []*os.File{memory}
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(out)
	if line, err := said.ReadString('\n'); err != nil || line != "running\n" {
		rest, _ := io.ReadAll(said)
		t.Errorf("the writer says %s%s, %v", line, rest, err)
	}
	time.Sleep(rand.N(8 * time.Millisecond)) // nothing is waited for: any moment will do
	_ = child.Process.Kill()
	if err := child.Wait(); err == nil || child.ProcessState.Exited() {
		t.Fatalf("the writer ended by itself: %v", err)
	}
	return *counts
}

// mapCounts maps numbers that outlive the process that counts.
func mapCounts(file *os.File) (*[killedWriters]uint64, error) {
	const size = 8 * killedWriters
	if err := file.Truncate(size); err != nil {
		return nil, err
	}
	memory, err := unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return (*[killedWriters]uint64)(unsafe.Pointer(&memory[0])), nil
}

// TestKilledWriter is the process that is killed. By itself it is no test.
func TestKilledWriter(t *testing.T) {
	dir, mode := os.Getenv(killedDir), os.Getenv(killedMode)
	if dir == "" {
		return
	}
	round, err := strconv.Atoi(os.Getenv(killedRound))
	if err != nil {
		t.Fatal(err)
	}
	counts, err := mapCounts(os.NewFile(3, "counts"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(killedConfig(dir, mode))
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = l.Run(context.Background()) }()
	if mode == "rotation" {
		go rotateUntilKilled(l, round)
	}
	failed := make(chan error)
	for writer := range killedWriters {
		go func() { failed <- writeUntilKilled(l, round, writer, &counts[writer]) }()
	}
	for atomic.LoadUint64(&counts[0]) == 0 && len(failed) == 0 {
		time.Sleep(100 * time.Microsecond)
	}
	if _, err := os.Stdout.WriteString("running\n"); err != nil {
		t.Fatal(err)
	}
	t.Fatal(<-failed)
}

// rotateUntilKilled rotates as often as it can, by hours that go on from round to round.
func rotateUntilKilled(l *Log, round int) {
	const hours = 10_000
	for hour := round * hours; ; hour++ {
		l.tick(time.Now().Add(time.Duration(hour) * time.Hour))
		time.Sleep(time.Millisecond)
	}
}

// writeUntilKilled appends numbered events of different lengths, and counts those that were accepted.
func writeUntilKilled(l *Log, round, writer int, accepted *uint64) error {
	padding := strings.Repeat("x", 3000)
	for n := uint64(1); ; n++ {
		event := Outcome{Session: fmt.Sprintf("killed-%d-%d-%d", round, writer, n), SQLSTATE: padding[:rand.N(1000)]}
		if n%50 == 0 {
			event.Command = padding
			time.Sleep(rand.N(time.Millisecond)) // the journal is not always full
		}
		if err := l.Append(&event); err != nil {
			return err
		}
		atomic.StoreUint64(accepted, n)
	}
}

// wantAccepted wants the events of every writer of a round in a log once and in their order. The last of each may have been accepted
// without its writer having come to count it.
func wantAccepted(t *testing.T, data []byte, round int, accepted [killedWriters]uint64) {
	t.Helper()
	var got [killedWriters]uint64
	for line := range bytes.Lines(data) {
		_, rest, ok := bytes.Cut(line, []byte(`"session":"killed-`+strconv.Itoa(round)+"-"))
		if !ok || !bytes.HasSuffix(line, []byte("}\n")) { // a line that was torn
			continue
		}
		var writer int
		var n uint64
		if _, err := fmt.Sscanf(string(rest), "%d-%d\"", &writer, &n); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if n != got[writer]+1 {
			t.Fatalf("writer %d: %d comes behind %d", writer, n, got[writer])
		}
		got[writer] = n
	}
	for writer, n := range accepted {
		if got[writer] != n && got[writer] != n+1 {
			t.Errorf("writer %d: %d events are in the log, %d were accepted", writer, got[writer], n)
		}
	}
}
