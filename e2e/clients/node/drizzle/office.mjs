// What is there already in app, see stack/sql/app.sql.
import { relations } from 'drizzle-orm'
import { integer, numeric, pgTable, text } from 'drizzle-orm/pg-core'

export const customers = pgTable('customers', { id: integer().primaryKey(), name: text().notNull() })
export const orders = pgTable('orders', {
  id: integer().primaryKey(),
  customerId: integer().notNull(),
  amount: numeric().notNull(),
  status: text().notNull(),
})
export const secrets = pgTable('secrets', { id: integer().primaryKey(), value: text().notNull() })

export const customerRelations = relations(customers, ({ many }) => ({ orders: many(orders) }))
export const orderRelations = relations(orders, ({ one }) => ({
  customer: one(customers, { fields: [orders.customerId], references: [customers.id] }),
}))
