// What the first migration makes.
import { integer, pgTable, serial, text, varchar } from 'drizzle-orm/pg-core'

export const rooms = pgTable('rooms', {
  id: serial().primaryKey(),
  name: varchar({ length: 50 }).notNull().unique(),
})

export const guests = pgTable('guests', {
  id: integer().primaryKey().generatedByDefaultAsIdentity(),
  name: text().notNull(),
})
