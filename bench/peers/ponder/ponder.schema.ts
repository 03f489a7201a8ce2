import { onchainTable } from 'ponder';

export const deposit = onchainTable('deposit', (t) => ({
  id: t.text().primaryKey(),
  txHash: t.text().notNull(),
  recipient: t.text().notNull(),
  amount: t.bigint().notNull(),
}));
