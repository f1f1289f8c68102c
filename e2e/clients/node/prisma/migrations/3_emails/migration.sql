-- Everybody gets an address.
UPDATE "customers" SET "email" = lower("name") || '@example.net';

-- AlterTable
ALTER TABLE "customers" ALTER COLUMN "email" SET NOT NULL;

-- CreateIndex
CREATE UNIQUE INDEX "customers_email_key" ON "customers"("email");
