//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package userlist

import (
	"io/fs"
	"syscall"
	"testing"
)

func ownerOf(t *testing.T, info fs.FileInfo) (uid, gid int) {
	t.Helper()
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no owner")
	}
	return int(stat.Uid), int(stat.Gid)
}
