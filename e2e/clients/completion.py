"""Types into psql at a terminal and presses the tab key."""

import os
import pty
import select
import sys
import time

cases = [
    (b"SELECT * FROM cust\t", b"customers"),
    (b"SELECT * FROM app.ord\t", b"app.order"),
    (b"\\d app.pay\t", b"app.payments"),
    (b"SELE\t", b"SELECT"),
]

pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(TERM="dumb", INPUTRC="/dev/null", PSQL_HISTORY="/dev/null")
    os.execvp("psql", ["psql", "-X", "-v", "PROMPT1=ready> "])


def doing():
    """What psql does: its program, its state, where in the kernel it waits, and its connections."""
    process = f"/proc/{pid}/"
    files = ["cmdline", "wchan", "syscall"]
    told = {name: open(process + name, "rb").read() for name in files}
    told["state"] = open(process + "stat").read().split()[2]
    sockets = {os.readlink(f"{process}fd/{fd}") for fd in os.listdir(process + "fd")}
    for table in "tcp", "tcp6":
        for line in open(f"{process}net/{table}").read().splitlines()[1:]:
            local, remote, state, queues = line.split()[1:5]
            if f"socket:[{line.split()[9]}]" in sockets:
                told[table] = f"{local} to {remote}, state {state}, queues {queues}"
    return told


def read_until(what, seconds=20):
    seen, end = b"", time.monotonic() + seconds
    while what not in seen.replace(b"\a", b""):
        if not select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
            sys.exit(f"no {what!r} in {seen!r}, psql: {doing()}")
        seen += os.read(terminal, 4096)


read_until(b"ready> ")
for typed, want in cases:
    os.write(terminal, typed)
    read_until(want)
    os.write(terminal, b"\x03")  # throws the line away
    read_until(b"ready> ")
os.write(terminal, b"\\q\n")
os.waitpid(pid, 0)
print("ok")
