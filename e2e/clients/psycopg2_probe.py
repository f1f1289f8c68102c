"""psycopg 2 against the gateway: what a program does, and one denial."""

import io

import psycopg2
from psycopg2 import errors

conn = psycopg2.connect("")
with conn, conn.cursor() as cur:
    cur.execute("SELECT name FROM customers WHERE id = %s", (42,))
    assert cur.fetchone() == ("Chidi Jansen",)
    out = io.StringIO()
    cur.copy_expert("COPY (SELECT id FROM customers) TO STDOUT", out)
    assert len(out.getvalue().splitlines()) == 2000
with conn, conn.cursor("named") as cur:
    cur.execute("SELECT id FROM customers ORDER BY id")
    assert len(cur.fetchmany(10)) == 10
try:
    with conn, conn.cursor() as cur:
        cur.execute("SELECT * FROM secrets")
    raise SystemExit("not denied")
except errors.InsufficientPrivilege:
    pass
with conn, conn.cursor() as cur:
    cur.execute("SELECT 1")
    assert cur.fetchone() == (1,)
conn.close()
print("ok")
