// Drizzle against the gateway: probe.mjs work|read, each for the account that may do it.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { and, count, desc, eq, gt, lt, sql, sum } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { union } from 'drizzle-orm/pg-core'
import pg from 'pg'
import * as office from './office.mjs'
import * as hotel from './schema.mjs'

const { guests, rooms, stays } = hotel
const ssl = { ca: readFileSync(process.env.PGSSLROOTCERT) }
delete process.env.PGSSLMODE // it would replace the object above

function open(database, schema) {
  const pool = new pg.Pool({ host: 'localhost', database, ssl, max: 3 })
  return drizzle(pool, { schema, casing: 'snake_case' })
}

async function denied(query, reason) {
  await assert.rejects(query, ({ cause }) => cause.code === '42501' && cause.detail.includes(reason))
}

async function work() {
  const db = open('scratch', hotel)
  await rowsAndRelations(db)
  await queries(db)
  await transactions(db)
  await denied(db.execute(sql`CREATE TABLE t ()`), 'CREATE TABLE is not permitted')
  await denied(db.delete(stays), 'UPDATE or DELETE of public.stays needs a WHERE')
  await db.$client.end()
  await changes()
  await read()
}

async function rowsAndRelations(db) {
  // A migration has put one guest there and moved what it had.
  assert.deepEqual(await db.select().from(guests), [{ id: 1, name: 'Basil', email: 'basil@example.net', wishes: {} }])
  const [red] = await db.insert(rooms).values([{ name: 'red' }, { name: 'blue', view: 'sea' }]).returning()
  const many = Array.from({ length: 100 }, (_, n) => ({ name: `guest ${n}`, wishes: { pillows: n } }))
  const ids = await db.insert(guests).values(many).returning({ id: guests.id })
  assert.equal(ids.length, 100)
  await db.insert(stays).values(ids.map(({ id }, n) => ({ roomId: red.id, guestId: id, nights: n })))
  const upsert = db.insert(rooms).values({ name: 'red' }).onConflictDoUpdate({ target: rooms.name, set: { view: 'sea' } })
  assert.deepEqual(await upsert.returning(), [{ ...red, view: 'sea' }])
  await db.insert(rooms).values({ name: 'red' }).onConflictDoNothing()
  const moved = db.update(stays).set({ nights: sql`${stays.nights} + 1` }).from(rooms)
  assert.equal((await moved.where(and(eq(rooms.id, stays.roomId), eq(rooms.name, 'red')))).rowCount, 100)
  assert.equal((await db.delete(stays).where(gt(stays.nights, 90))).rowCount, 10)
}

async function queries(db) {
  const found = await db.query.rooms.findMany({
    where: eq(rooms.name, 'red'),
    with: { stays: { with: { guest: { columns: { name: true } } }, orderBy: [desc(stays.nights)], limit: 2, offset: 1 } },
  })
  assert.deepEqual(found[0].stays.map((s) => [s.nights, s.guest.name]), [[89, 'guest 88'], [88, 'guest 87']])
  assert.equal((await db.query.guests.findFirst({ where: eq(guests.name, 'guest 7'), with: { stays: true } })).stays[0].nights, 8)
  const joined = db.select({ room: rooms.name, nights: sum(stays.nights).mapWith(Number), n: count() }).from(stays)
  const grouped = joined.innerJoin(rooms, eq(rooms.id, stays.roomId)).leftJoin(guests, eq(guests.id, stays.guestId))
  assert.deepEqual(await grouped.groupBy(rooms.name).having(gt(count(), 1)), [{ room: 'red', nights: 4095, n: 90 }])
  assert.equal(await db.$count(guests, gt(sql`(${guests.wishes}->>'pillows')::int`, 89)), 10)
  const long = db.$with('long').as(db.select().from(stays).where(gt(stays.nights, 80)))
  assert.equal((await db.with(long).select().from(long).limit(5).offset(5)).length, 5)
  assert.equal((await union(db.select({ name: rooms.name }).from(rooms), db.select({ name: guests.name }).from(guests))).length, 103)
  const byName = db.select().from(rooms).where(eq(rooms.name, sql.placeholder('name'))).prepare('room_by_name')
  for (const name of ['red', 'blue', 'red', 'green']) {
    assert.deepEqual((await byName.execute({ name })).map((r) => r.name), name === 'green' ? [] : [name])
  }
}

async function transactions(db) {
  const after = db.transaction(async (tx) => {
    await tx.select().from(rooms).for('update', { skipLocked: true })
    await assert.rejects(tx.transaction((inner) => inner.insert(rooms).values({ name: 'red' })), ({ cause }) => cause.code === '23505')
    await tx.insert(rooms).values({ name: 'green' }) // goes on after the savepoint
    tx.rollback()
  }, { isolationLevel: 'serializable', accessMode: 'read write' })
  await assert.rejects(after, { message: 'Rollback' })
  assert.equal(await db.$count(rooms), 2)
}

// changes are an engineer's in app, taken back.
async function changes() {
  const { orders, secrets } = office
  const db = open('app', office)
  const after = db.transaction(async (tx) => {
    const [order] = await tx.select().from(orders).where(eq(orders.id, 100)).for('update')
    await denied(tx.transaction((inner) => inner.select().from(secrets)), 'table app.secrets is not granted')
    await tx.update(orders).set({ status: order.status === 'paid' ? 'open' : 'paid' }).where(eq(orders.id, 100))
    tx.rollback()
  })
  await assert.rejects(after, { message: 'Rollback' })
  await db.$client.end()
}

// read is what an analyst can do too.
async function read() {
  const { customers, orders, secrets } = office
  const db = open('app', office)
  const customer = await db.query.customers.findFirst({ where: eq(customers.id, 42), with: { orders: true } })
  assert.equal(customer.name, 'Chidi Jansen')
  assert.ok(customer.orders.length > 0)
  await denied(db.select().from(secrets), 'table app.secrets is not granted')
  const inside = db.transaction(async (tx) => {
    await tx.select().from(orders).where(lt(orders.id, 10))
    await tx.select().from(secrets)
  })
  await denied(inside, 'table app.secrets is not granted')
  assert.ok((await db.$count(orders)) > 0)
  await db.$client.end()
}

await { work, read }[process.argv[2]]()
const version = (name) => JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url))).version
console.log(`Drizzle ${version('drizzle-orm')} with drizzle-kit ${version('drizzle-kit')} on node-postgres ${version('pg')}`)
console.log('ok')
