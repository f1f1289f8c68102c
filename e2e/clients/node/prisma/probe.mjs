// Prisma's client against the gateway: probe.mjs work|read, each for the account that may do it. PRISMA_CLIENT is where it was generated.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { PrismaPg } from '@prisma/adapter-pg'

const { Prisma, PrismaClient } = createRequire(import.meta.url)(process.env.PRISMA_CLIENT)
const ssl = { ca: readFileSync(process.env.PGSSLROOTCERT) }
delete process.env.PGSSLMODE // it would replace the object above

function open(database) {
  return new PrismaClient({ adapter: new PrismaPg({ host: 'localhost', database, ssl, max: 3 }, { schema: 'app' }) })
}

async function denied(query) {
  await assert.rejects(query, ({ name, cause, meta }) => {
    const found = cause ?? meta.driverAdapterError.cause // a raw query wraps it
    return ['DriverAdapterError', 'PrismaClientKnownRequestError'].includes(name) && found.code === '42501'
  })
}

async function work() {
  const db = open('scratch')
  await rowsAndRelations(db)
  await queries(db)
  await transactions(db)
  await denials(db)
  await db.$disconnect()
  await read()
}

async function rowsAndRelations(db) {
  assert.deepEqual(await db.customer.findFirst(), { id: 1, name: 'Basil', email: 'basil@example.net' })
  const orders = [{ product: 'bell', quantity: 1, amount: '9.50' }, { product: 'anchor', quantity: 2, amount: 80 }]
  const made = await db.customer.create({
    data: { name: 'Ada', email: 'ada', orders: { create: orders }, labels: { create: { name: 'new', words: ['a', 'b'], facts: { since: 2020 } } } },
    include: { orders: true, labels: true },
  })
  assert.equal(made.orders[0].amount.toFixed(2), '9.50')
  const many = Array.from({ length: 100 }, (_, n) => ({ name: `customer ${n}`, email: `c${n}` }))
  assert.deepEqual(await db.customer.createMany({ data: [...many, many[0]], skipDuplicates: true }), { count: 100 })
  assert.equal((await db.label.createManyAndReturn({ data: [{ name: 'vip', kind: 'URGENT' }, { name: 'old' }] })).length, 2)
  const upsert = { where: { name: 'old' }, create: { name: 'old' }, update: { kind: 'URGENT', words: { push: 'c' } } }
  assert.equal((await db.label.upsert(upsert)).kind, 'URGENT')
  const changed = await db.customer.update({
    where: { email: 'ada' },
    data: {
      labels: { set: [], connectOrCreate: { where: { name: 'vip' }, create: { name: 'vip' } } },
      orders: { updateMany: { where: { quantity: { gt: 0 } }, data: { quantity: { increment: 1 } } }, deleteMany: { product: 'bell' } },
    },
    include: { orders: true, labels: true },
  })
  assert.deepEqual([changed.orders.map((o) => o.quantity), changed.labels.map((l) => l.name)], [[3], ['vip']])
  assert.deepEqual(await db.customer.deleteMany({ where: { email: { startsWith: 'c9' } } }), { count: 11 })
}

async function queries(db) {
  const some = { orders: { some: { product: { contains: 'ANCH', mode: 'insensitive' } } } }
  const [ada] = await db.customer.findMany({ where: some, include: { orders: { take: 1 }, _count: { select: { labels: true } } } })
  assert.deepEqual([ada.name, ada.orders.length, ada._count.labels], ['Ada', 1, 1])
  const page = await db.customer.findMany({ cursor: { email: 'c10' }, skip: 1, take: 5, orderBy: { id: 'asc' }, select: { email: true } })
  assert.deepEqual(page.map((c) => c.email), ['c11', 'c12', 'c13', 'c14', 'c15'])
  assert.equal((await db.label.findMany({ where: { facts: { path: ['since'], gte: 2000 }, words: { has: 'a' }, kind: 'PLAIN' } })).length, 1)
  assert.equal((await db.order.aggregate({ _sum: { amount: true }, _count: true, _max: { orderedAt: true } }))._count, 1)
  const groups = await db.order.groupBy({ by: ['product'], _sum: { quantity: true }, having: { quantity: { _sum: { gt: 1 } } } })
  assert.deepEqual(groups, [{ product: 'anchor', _sum: { quantity: 3 } }])
  assert.equal(await db.customer.count({ where: { orders: { none: {} } } }), 90)
  assert.deepEqual(await Promise.all([1, 2].map((id) => db.customer.findUnique({ where: { id }, select: { id: true } }))), [{ id: 1 }, { id: 2 }])
  assert.deepEqual(await db.$queryRaw`SELECT name FROM app.customers WHERE id = ${1}`, [{ name: 'Basil' }])
  assert.equal(await db.$executeRaw`UPDATE app.customers SET name = name WHERE id = ANY (${[1, 2]})`, 2)
}

async function transactions(db) {
  const [n, label] = await db.$transaction([db.customer.count(), db.label.create({ data: { name: 'both' } })])
  assert.deepEqual([n, label.name], [91, 'both'])
  const undone = db.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT id FROM app.customers WHERE id = 1 FOR UPDATE`
    await tx.label.create({ data: { name: 'undone' } })
    throw new Error('back')
  }, { isolationLevel: 'Serializable' })
  await assert.rejects(undone, { message: 'back' })
  await assert.rejects(db.label.create({ data: { name: 'both' } }), { code: 'P2002' })
  assert.equal(await db.label.count({ where: { name: 'undone' } }), 0)
}

async function denials(db) {
  await denied(db.secret.findMany())
  await denied(db.$queryRaw`SELECT * FROM app.secrets`)
  await denied(db.$executeRaw`CREATE TABLE app.t ()`)
  await denied(db.order.deleteMany()) // WHERE 1=1
  await denied(db.$transaction(async (tx) => {
    await tx.label.create({ data: { name: 'never' } })
    await tx.secret.findFirst()
  }))
  assert.equal(await db.label.count({ where: { name: 'never' } }), 0)
}

// read is what an analyst can do too, in app.
async function read() {
  const db = open('app')
  const customer = await db.customer.findUnique({ where: { id: 42 }, include: { orders: { orderBy: { amount: 'desc' } } } })
  assert.equal(customer.name, 'Chidi Jansen')
  assert.ok(customer.orders.length > 0)
  await denied(db.secret.findUnique({ where: { id: 1 } }))
  await denied(db.$transaction([db.order.count(), db.secret.count()]))
  assert.ok((await db.order.count()) > 0)
  await db.$disconnect()
}

await { work, read }[process.argv[2]]()
console.log(`Prisma ${Prisma.prismaVersion.client} on @prisma/adapter-pg`)
console.log('ok')
