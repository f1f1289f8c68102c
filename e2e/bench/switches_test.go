package main

import (
	"os"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func threadStatus(switches string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("Name:\tsallyport\nvoluntary_ctxt_switches:\t" + switches + "\nnonvoluntary_ctxt_switches:\t900\n")}
}

func TestSwitchesOf(t *testing.T) {
	proc := procOf(
		statLine(50, "sallyport", 1, 0, 0, 0, 0, 1), statLine(51, "worker", 50, 0, 0, 0, 0, 1), statLine(60, "other", 1, 0, 0, 0, 0, 1),
	)
	proc["50/task/50/status"], proc["50/task/57/status"] = threadStatus("10"), threadStatus("20")
	proc["51/task/51/status"], proc["60/task/60/status"] = threadStatus("5"), threadStatus("77")
	got, err := switchesOf(proc, 50)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{"50/task/50/status": 10, "50/task/57/status": 20, "51/task/51/status": 5}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, file := range map[string]*fstest.MapFile{"not a number": threadStatus("x"), "no such line": {Data: []byte("Name:\tx\n")}} {
		t.Run(name, func(t *testing.T) {
			proc["50/task/57/status"] = file
			if got, err := switchesOf(proc, 50); err == nil {
				t.Errorf("got %v", got)
			}
		})
	}
	if got, err := switchesOf(procOf(statLine(50, "x", 1, 0, 0, 0, 0, 1)), 50); err == nil {
		t.Errorf("a process without threads has slept %v", got)
	}
}

func TestSwitchesOfReal(t *testing.T) {
	got, err := switchesOf(os.DirFS("/proc"), os.Getpid())
	if err != nil || len(got) == 0 {
		t.Errorf("%d threads, error %v", len(got), err)
	}
}

func TestMore(t *testing.T) {
	before := map[string]int64{"a": 10, "b": 20, "ended": 500}
	after := map[string]int64{"a": 13, "b": 20, "began": 4}
	if got := more(before, after); got != 7 {
		t.Errorf("got %d", got)
	}
}
