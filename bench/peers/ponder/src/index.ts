import { readFileSync } from 'node:fs';
import { ponder } from 'ponder:registry';
import { deposit } from 'ponder:schema';

const watched = new Set(JSON.parse(readFileSync(process.env.BENCH_WATCHED as string, 'utf8')) as string[]);

ponder.on('Token:Transfer', async ({ event, context }) => {
  const recipient = event.args.to.slice(2).toLowerCase();
  if (!watched.has(recipient)) return;
  await context.db.insert(deposit).values({
    id: event.id,
    txHash: event.transaction.hash,
    recipient,
    amount: event.args.value,
  });
});
