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


def read_until(what, seconds=20):
    seen, end = b"", time.monotonic() + seconds
    while what not in seen.replace(b"\a", b""):
        if not select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
            sys.exit(f"no {what!r} in {seen!r}")
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
