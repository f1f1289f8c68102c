package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"time"
)

// tick is the unit of CPU time in /proc: USER_HZ is 100 wherever Linux has an ABI.
const tick = 10 * time.Millisecond

// usage is what processes have used so far.
type usage struct {
	user, system time.Duration
	resident     int64 // bytes; pages that two processes share count twice
}

func (u usage) plus(v usage) usage {
	return usage{u.user + v.user, u.system + v.system, u.resident + v.resident}
}

// procStat is a process in /proc/<pid>/stat. Its usage includes that of the
// children it has waited for.
type procStat struct {
	pid, parent int
	usage       usage
}

// The fields of /proc/<pid>/stat that we read, as proc_pid_stat(5) counts them.
const (
	fieldParent         = 4
	fieldUser           = 14
	fieldSystem         = 15
	fieldChildrenUser   = 16
	fieldChildrenSystem = 17
	fieldResident       = 24 // pages
)

// parseStat reads a line of /proc/<pid>/stat.
func parseStat(line []byte) (procStat, error) {
	// The second field is the program's name in parentheses, with whatever
	// the name holds: spaces, newlines, parentheses.
	end := bytes.LastIndexByte(line, ')')
	pid, _, found := bytes.Cut(line, []byte(" ("))
	if !found || end < 0 {
		return procStat{}, errors.New("parse stat: there is no name")
	}
	fields := bytes.Fields(line[end+1:])
	if len(fields) < fieldResident-2 {
		return procStat{}, fmt.Errorf("parse stat: %d fields behind the name", len(fields))
	}
	var err error
	number := func(text []byte) int64 {
		n, parseErr := strconv.ParseInt(string(text), 10, 64)
		if parseErr != nil && err == nil {
			err = fmt.Errorf("parse stat: %w", parseErr)
		}
		return n
	}
	field := func(n int) int64 { return number(fields[n-3]) } // the first behind the name is the third
	s := procStat{pid: int(number(pid)), parent: int(field(fieldParent)), usage: usage{
		user:     time.Duration(field(fieldUser)+field(fieldChildrenUser)) * tick,
		system:   time.Duration(field(fieldSystem)+field(fieldChildrenSystem)) * tick,
		resident: field(fieldResident) * int64(os.Getpagesize()),
	}}
	return s, err
}

// usageOf adds up a process and all its descendants. proc is /proc.
func usageOf(proc fs.FS, root int) (usage, error) {
	family, err := familyOf(proc, root)
	if err != nil {
		return usage{}, err
	}
	var sum usage
	for _, p := range family {
		sum = sum.plus(p.usage)
	}
	return sum, nil
}

// familyOf is a process with all its descendants.
func familyOf(proc fs.FS, root int) ([]procStat, error) {
	all, err := processes(proc)
	if err != nil {
		return nil, fmt.Errorf("read processes: %w", err)
	}
	children := make(map[int][]procStat)
	for _, p := range all {
		children[p.parent] = append(children[p.parent], p)
	}
	top, found := all[root]
	if !found {
		return nil, fmt.Errorf("read processes: there is no process %d", root)
	}
	family := []procStat{top}
	for i := 0; i < len(family); i++ {
		family = append(family, children[family[i].pid]...)
	}
	return family, nil
}

// processes reads all that there are. One that ends meanwhile is left out.
func processes(proc fs.FS) (map[int]procStat, error) {
	names, err := fs.Glob(proc, "[0-9]*")
	if err != nil {
		return nil, err
	}
	all := make(map[int]procStat, len(names))
	for _, name := range names {
		line, err := fs.ReadFile(proc, name+"/stat")
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue
		}
		if err != nil {
			return nil, err
		}
		s, err := parseStat(line)
		if err != nil {
			return nil, fmt.Errorf("process %s: %w", name, err)
		}
		all[s.pid] = s
	}
	return all, nil
}
