// What the second one leaves.
import { relations } from 'drizzle-orm'
import { index, integer, jsonb, pgEnum, pgTable, primaryKey, serial, text, timestamp, varchar } from 'drizzle-orm/pg-core'

export const view = pgEnum('view', ['sea', 'yard'])

export const rooms = pgTable('rooms', {
  id: serial().primaryKey(),
  name: varchar({ length: 50 }).notNull().unique(),
  view: view().notNull().default('yard'),
})

export const guests = pgTable(
  'guests',
  {
    id: integer().primaryKey().generatedByDefaultAsIdentity(),
    name: text().notNull(),
    email: text(),
    wishes: jsonb().notNull().default({}),
  },
  (t) => [index('guest_by_email').on(t.email)],
)

export const stays = pgTable(
  'stays',
  {
    roomId: integer().notNull().references(() => rooms.id, { onDelete: 'cascade' }),
    guestId: integer().notNull().references(() => guests.id),
    arrivedAt: timestamp({ withTimezone: true }).notNull().defaultNow(),
    nights: integer().notNull().default(1),
  },
  (t) => [primaryKey({ columns: [t.roomId, t.guestId] })],
)

export const roomRelations = relations(rooms, ({ many }) => ({ stays: many(stays) }))
export const guestRelations = relations(guests, ({ many }) => ({ stays: many(stays) }))
export const stayRelations = relations(stays, ({ one }) => ({
  room: one(rooms, { fields: [stays.roomId], references: [rooms.id] }),
  guest: one(guests, { fields: [stays.guestId], references: [guests.id] }),
}))
