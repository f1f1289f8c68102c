"""psycopg 3 against the gateway: what a program does, and one denial."""

import psycopg
from psycopg import errors

with psycopg.connect(autocommit=True) as conn:
    assert conn.execute("SELECT name FROM customers WHERE id = %s", (42,)).fetchone() == ("Chidi Jansen",)
    assert conn.execute("SELECT id FROM orders WHERE id = %s", (7,), prepare=True).fetchone() == (7,)

    # binary results
    with conn.cursor(binary=True) as cur:
        cur.execute("SELECT id, salary FROM customers WHERE id = %s", (1,))
        assert cur.fetchone()[0] == 1

    with conn.transaction():
        conn.execute("SELECT count(*) FROM orders")
        with conn.transaction():
            conn.execute("SELECT 1")

    with conn.cursor() as cur:
        with cur.copy("COPY (SELECT id FROM customers ORDER BY id) TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) == 2000

    # a server-side cursor
    with conn.transaction(), conn.cursor("c") as cur:
        cur.execute("SELECT id FROM customers ORDER BY id")
        assert len(cur.fetchmany(100)) == 100

    with conn.pipeline():
        results = [conn.execute("SELECT %s::int", (n,)) for n in range(20)]
    assert [r.fetchone()[0] for r in results] == list(range(20))

    try:
        conn.execute("SELECT * FROM secrets")
        raise SystemExit("not denied")
    except errors.InsufficientPrivilege:
        pass
    # in a pipeline nothing after the denial runs, and the connection is good afterwards
    try:
        with conn.pipeline():
            conn.execute("SELECT 1")
            conn.execute("SELECT * FROM secrets")
            conn.execute("SELECT 2")
        raise SystemExit("not denied in a pipeline")
    except errors.InsufficientPrivilege:
        pass
    assert conn.execute("SELECT 1").fetchone() == (1,)
    try:
        conn.execute("SELEC 1")
        raise SystemExit("no syntax error")
    except errors.SyntaxError as e:
        assert e.diag.statement_position == "1", e.diag.statement_position
print("ok")
