// node-postgres against the gateway: what a program does, and one denial.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import pg from 'pg'

const config = {
  host: 'localhost',
  ssl: { ca: readFileSync(process.env.PGSSLROOTCERT) },
  enableChannelBinding: process.env.PGCHANNELBINDING === 'require', // prefers it where it can
}
delete process.env.PGSSLMODE // it would replace the object above

const client = new pg.Client(config)
let mechanism
client.connection.once('authenticationSASLContinue', () => {
  mechanism = client.saslSession.mechanism
})
await client.connect()
if (config.enableChannelBinding) assert.equal(mechanism, 'SCRAM-SHA-256-PLUS')
const one = await client.query('SELECT name FROM customers WHERE id = $1', [42])
assert.deepEqual(one.rows, [{ name: 'Chidi Jansen' }])
for (let id = 1; id <= 20; id++) {
  const named = await client.query({ name: 'by-id', text: 'SELECT id FROM orders WHERE id = $1', values: [id] })
  assert.equal(named.rows[0].id, id)
}
await client.query('BEGIN')
await client.query('SELECT count(*) FROM orders')
await client.query('COMMIT')
await assert.rejects(client.query('SELECT * FROM secrets'), { code: '42501' })
await assert.rejects(client.query('SELECT * FROM secrets WHERE id = $1', [1]), { code: '42501' })
assert.equal((await client.query('SELECT 1 AS n')).rows[0].n, 1)
await client.end()

const pool = new pg.Pool({ ...config, max: 4 })
const answers = await Promise.all(
  Array.from({ length: 40 }, (_, n) => pool.query('SELECT $1::int AS n', [n])),
)
assert.deepEqual(answers.map((a) => a.rows[0].n), Array.from({ length: 40 }, (_, n) => n))
await pool.end()
console.log('ok')
