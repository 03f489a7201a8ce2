import { setImmediate, setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { inTransaction } from '../../../src/storage/database.ts';
import { addMerchant } from '../../../src/storage/operators/merchants.ts';
import type { Db } from '../../../src/storage/schema.ts';
import { appendEvent, listEvents } from '../../../src/storage/webhooks/events.ts';
import { describeDatabases } from '../../support/databases.ts';

const writers = 8;
const transactionsEach = 12;

/** Writes events of several merchants in one transaction and commits it some time after. */
async function write(db: Db, merchants: readonly string[], name: string, lingerMs: number): Promise<void> {
  await inTransaction(db, async (trx) => {
    for (const [n, merchantId] of merchants.entries()) {
      await appendEvent(trx, {
        merchantId,
        type: 'payment.detected',
        paymentId: null,
        body: JSON.stringify({ event: 'payment.detected', name: `${name} ${n}` }),
        at: 1_800_000_000_000,
      });
    }
    await setTimeout(lingerMs);
  });
}

describeDatabases('the events feed', (openTestDb) => {
  test('shows each event once and in one order to a reader that pages while writers commit out of order', async () => {
    const db = await openTestDb();
    const add = (name: string) => inTransaction(db, (trx) => addMerchant(trx, { name, at: 0 }));
    const merchants = [(await add('Shop')).id, (await add('Rival')).id];
    const [shop, rival] = merchants as [string, string];

    let writing = true;
    // The first writers linger longest: what they wrote first they commit last, unless others wait for them.
    const written = Promise.all(
      Array.from({ length: writers }, async (_, writer) => {
        for (let n = 0; n < transactionsEach; n++) {
          const order = (writer + n) % 2 === 0 ? merchants : merchants.toReversed();
          await write(db, order, `${writer}.${n}`, (writers - writer) % 4);
        }
      }),
    ).finally(() => {
      writing = false;
    });

    const seen: string[] = [];
    let pages = 0;
    for (let after = 0, done = false; !done; ) {
      const last = !writing;
      const page = await listEvents(db, shop, after, 5);
      pages += 1;
      seen.push(...page.map((event) => event.id));
      after = page.at(-1)?.sequence ?? after;
      done = last && page.length === 0;
      // As between two requests: a loop that never lets go of the process would stop its writers.
      await setImmediate();
    }
    await written;

    const all = await listEvents(db, shop, 0, 10_000);
    expect(all).toHaveLength(writers * transactionsEach);
    expect(seen).toEqual(all.map((event) => event.id));
    expect(pages).toBeGreaterThan(seen.length / 5);
    const names = (await listEvents(db, rival, 0, 10_000)).map((event) => JSON.parse(event.body).name);
    expect(new Set(names).size).toBe(writers * transactionsEach);
  });
});
