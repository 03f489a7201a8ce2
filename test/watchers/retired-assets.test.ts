import { expect, test } from 'vitest';
import type { AddressKey } from '../../src/core/address.ts';
import { ConfigError } from '../../src/errors.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { listAssetsInUse } from '../../src/storage/payments/assets-in-use.ts';
import { insertPayment } from '../../src/storage/payments/insert.ts';
import type { Db } from '../../src/storage/schema.ts';
import { chainsToWatch } from '../../src/watchers/retired-assets.ts';
import { testChain, testConfig } from '../support/config.ts';
import { describeDatabases, describeDecisions } from '../support/databases.ts';
import { captureLog } from '../support/log.ts';
import { addTestAddresses, addTestMerchant, createdAt, testPayment, usdtOnBsc } from '../support/payments.ts';

const day = 24 * 60 * 60 * 1000;
const bsc = testChain('bsc');
const ethereum = testChain('ethereum');
const usdtOff = { ...bsc, assets: bsc.assets.filter(({ currency }) => currency !== 'usdt') };
const usdtMoved = {
  ...bsc,
  assets: bsc.assets.map((one) =>
    one.currency === 'usdt' ? { ...one, token: 'a'.repeat(40) as AddressKey } : one,
  ),
};

/** Two payments in USDT on BSC; they are open, or ended. */
async function setUp(db: Db, endedAt: number | null = null): Promise<void> {
  const merchantId = await addTestMerchant(db);
  await addTestAddresses(db, merchantId, { count: 2 });
  const status = endedAt === null ? 'pending' : 'expired';
  await inTransaction(db, async (trx) => {
    for (const n of [1, 2]) {
      const own = { paymentNumber: `PAY-${n}`, paymentToken: `${n}`, addressId: n };
      await insertPayment(trx, testPayment({ ...own, merchantId, status, endedAt }));
    }
  });
}

async function watched(db: Db, chains: readonly (typeof bsc)[], now = createdAt) {
  const { log, lines } = captureLog();
  const config = testConfig({ chains: Object.fromEntries(chains.map((chain) => [chain.network, chain])) });
  try {
    const all = await chainsToWatch(db, config, { now, log });
    const [first] = all;
    return { tokens: first?.assets.map(({ token }) => token) ?? [], lines, faults: [] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { tokens: [], lines, faults: error.faults };
  }
}

describeDatabases('what payments were in', (openTestDb) => {
  test('is the same in however small portions they are read', async () => {
    const db = await openTestDb();
    const merchantId = await addTestMerchant(db);
    await addTestAddresses(db, merchantId, { count: 1 });
    const other = { currency: 'usdc', token: 'b'.repeat(40) as AddressKey, decimals: 18 } as const;
    await inTransaction(db, async (trx) => {
      for (let n = 0; n < 9; n++) {
        const own = {
          paymentNumber: `PAY-${n}`,
          paymentToken: `${n}`,
          addressId: 1,
          createdAt: createdAt + 1_000 * (n >> 1),
        };
        const asset = n === 8 ? other : {};
        await insertPayment(
          trx,
          testPayment({ ...own, ...asset, merchantId, status: 'expired', endedAt: createdAt + day }),
        );
      }
    });
    const found = async (limit?: number) =>
      (await listAssetsInUse(db, createdAt, limit))
        .map(({ currency, open }) => `${currency} ${open}`)
        .toSorted();
    expect(await found()).toEqual(['usdc 0', 'usdt 0']);
    for (let limit = 1; limit <= 10; limit++) expect(await found(limit)).toEqual(await found());
    expect(await listAssetsInUse(db, createdAt + day, 1)).toEqual([]);
  });
});

describeDecisions('what must be watched', (openTestDb) => {
  test('is what can be paid, where nothing has changed', async () => {
    const db = await openTestDb();
    await setUp(db);
    const { tokens, lines } = await watched(db, [bsc, ethereum]);
    expect(tokens).toEqual(bsc.assets.map(({ token }) => token));
    expect(lines).toEqual([]);
  });

  test('is a token that was turned off while payments in it are open, and the start says so', async () => {
    const db = await openTestDb();
    await setUp(db);
    const { tokens, lines } = await watched(db, [usdtOff]);
    expect(tokens).toContain(usdtOnBsc);
    expect(lines).toMatchObject([
      { level: 'warn', msg: 'token still watched', network: 'bsc', currency: 'usdt', open_payments: 2 },
    ]);
  });

  test('is that token for watchRetiredDays after its last payment ended, and no longer', async () => {
    const db = await openTestDb();
    await setUp(db, createdAt);
    expect((await watched(db, [usdtOff], createdAt + 30 * day - 1)).tokens).toContain(usdtOnBsc);
    expect((await watched(db, [usdtOff], createdAt + 30 * day)).tokens).not.toContain(usdtOnBsc);
  });

  test('cannot be told where a token with open payments is another contract now: a fault names how many', async () => {
    const db = await openTestDb();
    await setUp(db);
    expect((await watched(db, [usdtMoved])).faults).toEqual([
      'chains.bsc.tokens.usdt: another contract, though 2 payments are open in 0x55d398326f99059fF775485246999027B3197955 (18 decimals); keep that, or turn it off, until they have ended',
    ]);
  });

  test('is the old contract as well as the new one once they have ended', async () => {
    const db = await openTestDb();
    await setUp(db, createdAt);
    const { tokens, faults } = await watched(db, [usdtMoved]);
    expect(faults).toEqual([]);
    expect(tokens).toEqual(expect.arrayContaining([usdtOnBsc, 'a'.repeat(40)]));
  });

  test('cannot be told where a chain with open payments was removed: a fault names how many', async () => {
    const db = await openTestDb();
    await setUp(db);
    expect((await watched(db, [ethereum])).faults).toEqual([
      'chains.bsc: missing, though 2 payments are open on it; keep it with "enabled": false until they have ended',
    ]);
  });

  test('is no removed chain whose payments have ended', async () => {
    const db = await openTestDb();
    await setUp(db, createdAt);
    expect((await watched(db, [ethereum])).faults).toEqual([]);
  });
});
