"""asyncpg against the gateway: what a program does, and one denial."""

import asyncio
import os
import ssl

import asyncpg


async def main():
    context = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    conn = await asyncpg.connect(ssl=context, host="localhost")
    assert await conn.fetchval("SELECT name FROM customers WHERE id = $1", 42) == "Chidi Jansen"
    statement = await conn.prepare("SELECT id FROM orders WHERE id = $1")
    assert [await statement.fetchval(n) for n in range(1, 20)] == list(range(1, 20))
    async with conn.transaction():
        rows = [r async for r in conn.cursor("SELECT id FROM customers ORDER BY id", prefetch=50)]
        assert len(rows) == 2000
    # types that asyncpg asks pg_catalog about
    assert await conn.fetchval("SELECT ARRAY[1.5, 2.5]::numeric[]")
    sink = open(os.devnull, "wb")
    assert await conn.copy_from_query("SELECT id FROM customers", output=sink) == "COPY 2000"
    try:
        await conn.fetch("SELECT * FROM secrets")
        raise SystemExit("not denied")
    except asyncpg.InsufficientPrivilegeError:
        pass
    try:
        async with conn.transaction():
            await conn.fetch("SELECT * FROM secrets")
        raise SystemExit("not denied")
    except asyncpg.InsufficientPrivilegeError:
        pass
    assert await conn.fetchval("SELECT 1") == 1
    try:
        await asyncio.wait_for(conn.execute("SELECT count(*) FROM orders a, orders b, orders c"), 0.2)
        raise SystemExit("not cancelled")
    except asyncio.TimeoutError:
        pass
    assert await conn.fetchval("SELECT 2") == 2
    await conn.close()


asyncio.run(main())
print("ok")
