// For drizzle-kit, which writes migrations into the working directory.
import { readFileSync } from 'node:fs'
import { defineConfig } from 'drizzle-kit'

const { env } = process
export default defineConfig({
  dialect: 'postgresql',
  schema: env.DRIZZLE_SCHEMA,
  out: 'migrations',
  casing: 'snake_case',
  dbCredentials: {
    host: env.PGHOST,
    port: Number(env.PGPORT),
    user: env.PGUSER,
    password: env.PGPASSWORD,
    database: env.PGDATABASE,
    ssl: { ca: readFileSync(env.PGSSLROOTCERT) },
  },
})
