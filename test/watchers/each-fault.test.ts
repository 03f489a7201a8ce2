import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestAnvil, type TestAnvil } from '../support/anvil.ts';
import { openTestSqlite } from '../support/databases.ts';
import { openFaultShop, type Survival } from '../support/fault-shop.ts';
import { type Illness, illnesses } from '../support/illnesses.ts';
import { createdAt } from '../support/payments.ts';
import { placeTokens, type TestTokens } from '../support/tokens.ts';

/*
 * Every kind of fault alone, all the way: a real node, a fault proxy, the source, the watcher, the recheck, a
 * database. While the node is ill it is paid for; once it is over everything must be as if it had never been.
 */

let anvil: TestAnvil;
let tokens: TestTokens;

beforeAll(async () => {
  // What is final trails by 64 blocks: no fork here takes back what was.
  anvil = await startTestAnvil({ slotsInAnEpoch: 32, genesisTime: createdAt / 1000 - 1_000 });
  tokens = await placeTokens(anvil, 'bsc');
  await anvil.mine(100);
});

afterAll(async () => {
  await anvil.stop();
});

/** Of the kinds that come in many ways so many, spread over all of them; all with `DEPOSITD_FAULTS=all`. */
const mostWays = process.env.DEPOSITD_FAULTS === 'all' ? Number.POSITIVE_INFINITY : 3;

const kinds = Object.entries(illnesses).map(([kind, ills]): [string, Illness[]] => {
  const every = Math.max(1, ills.length / mostWays);
  return [kind, ills.filter((_, at) => Math.floor(at / every) !== Math.floor((at - 1) / every))];
});

/** Nothing here is paid by a contract, and who read a transfer is not asked for its transaction where another is. */
const isAsked = ({ when }: Illness) => when?.method !== 'debug_traceTransaction';
const isAskedFirst = (ill: Illness) => isAsked(ill) && ill.when?.method !== 'eth_getTransactionByHash';

async function surviveAll(ills: readonly Illness[], honest: boolean): Promise<Survival[]> {
  const db = await openTestSqlite();
  const shop = await openFaultShop(db, { anvil, tokens, honest });
  try {
    const survivals: Survival[] = [];
    for (const ill of ills) survivals.push(await shop.survive(ill));
    return survivals;
  } finally {
    await shop.close();
    await db.destroy();
  }
}

describe('with an honest node beside it', () => {
  test.each(kinds)('%s: nothing is lost, nothing doubled, every payment confirmed', async (_, ills) => {
    for (const { hits } of await surviveAll(ills.filter(isAskedFirst), true)) expect(hits).toBeGreaterThan(0);
  });
});

describe('with no other node', () => {
  const recoverable = kinds
    .map(([kind, ills]) => [kind, ills.filter((ill) => ill.lies !== true && isAsked(ill))] as const)
    .filter(([, ills]) => ills.length > 0);

  test.each(recoverable)('%s: nothing is lost, nothing doubled, once it is over', async (_, ills) => {
    for (const { hits } of await surviveAll(ills, false)) expect(hits).toBeGreaterThan(0);
  });
});
