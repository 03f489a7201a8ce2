import { db } from 'ponder:api';
import { deposit } from 'ponder:schema';
import { Hono } from 'hono';

const app = new Hono();

app.get('/deposits', async (context) => {
  const rows = await db.select({ txHash: deposit.txHash }).from(deposit);
  return context.json(rows.map(({ txHash }) => txHash));
});

export default app;
