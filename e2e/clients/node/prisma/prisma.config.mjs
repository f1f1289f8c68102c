// For prisma: its schema engine is the one in WebAssembly, which goes through an adapter as the client does. The other is a binary that npm
// does not have.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { defineConfig } from 'prisma/config'

// The adapter does not know PostgreSQL's types name and "char", which the schema engine reads in catalogs. They are given the places of two
// that are read like text too, and that nobody has here.
Object.assign(pg.types.builtins, { XML: 19, CIDR: 18 })

// The engine leaves the timeout of its advisory lock behind: ten seconds in which nothing is waited for.
const { setTimeout } = globalThis
globalThis.setTimeout = (callback, delay, ...args) => {
  const timer = setTimeout(callback, delay, ...args)
  return delay === 10_000 ? timer.unref() : timer
}

const ssl = { ca: readFileSync(process.env.PGSSLROOTCERT) }
delete process.env.PGSSLMODE // it would replace the object above

export default defineConfig({
  experimental: { adapter: true },
  engine: 'js',
  schema: path.join(import.meta.dirname, 'schema.prisma'),
  migrations: { path: path.join(import.meta.dirname, 'migrations') },
  adapter: async () => new PrismaPg({ host: 'localhost', ssl, idleTimeoutMillis: 10 }, { schema: 'app' }),
})
