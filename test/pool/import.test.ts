import { expect, test } from 'vitest';
import { knownCoins } from '../../src/core/assets.ts';
import { knownChains } from '../../src/core/chains/known.ts';

import type { AddressRow } from '../../src/pool/check.ts';
import { checkAndAddAddresses } from '../../src/pool/import.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { listAudit } from '../../src/storage/operators/audit.ts';
import { addMerchant } from '../../src/storage/operators/merchants.ts';
import { listAddresses } from '../../src/storage/pool/addresses.ts';
import type { Db } from '../../src/storage/schema.ts';
import { evmAddress, evmKey } from '../support/addresses.ts';
import { testChain, testConfig } from '../support/config.ts';
import { describeDatabases } from '../support/databases.ts';

const at = 1_800_000_000_000;

const row = (network: string, address: string, currency = '', label = ''): AddressRow => ({
  network,
  address,
  currency,
  label,
});

async function merchantOf(db: Db, name = 'Shop'): Promise<string> {
  return (await inTransaction(db, (trx) => addMerchant(trx, { name, at }))).id;
}

function importer(db: Db, config = testConfig()) {
  return (
    merchantId: string,
    rows: readonly AddressRow[],
    onProgress?: (done: number, total: number) => void,
  ) =>
    checkAndAddAddresses(
      { db, config, clock: () => at },
      { merchantId, rows, actor: 'cli', ...(onProgress === undefined ? {} : { onProgress }) },
    );
}

const pool = async (db: Db, merchantId: string) =>
  (await listAddresses(db, { merchantId, network: null, afterId: 0, limit: 10_000 })).map((address) => [
    address.network,
    address.address,
    address.currency,
    address.label,
  ]);

describeDatabases('importing addresses', (openTestDb) => {
  test('an address without a checksum is added with a warning, or refused where one is required', async () => {
    const db = await openTestDb();
    const merchantId = await merchantOf(db);
    const rows = [row('bsc', evmAddress(1).toLowerCase()), row('bsc', evmAddress(2))];
    const add = (requireChecksum: boolean) =>
      checkAndAddAddresses(
        { db, config: testConfig(), clock: () => at },
        { merchantId, rows, actor: 'cli', requireChecksum },
      );
    const strict = await add(true);
    expect(strict.results.map(({ status }) => status)).toEqual(['refused', 'added']);
    expect(strict.results[0]?.reason).toContain(`compare ${evmAddress(1)} with your wallet`);
    expect(strict.warnings).toEqual([]);
    expect(await add(false)).toMatchObject({
      added: 1,
      warnings: [expect.stringContaining(`compare with your wallet: ${evmAddress(1)}`)],
    });
  });

  test('a dry run answers what an import would, and changes nothing', async () => {
    const db = await openTestDb();
    const merchantId = await merchantOf(db);
    const rows = [
      row('bsc', evmAddress(1).toLowerCase()),
      row('bsc', evmAddress(1)),
      row('bsc', 'shop.eth'),
      row('ethereum', evmAddress(2)),
    ];
    const add = (dryRun: boolean) =>
      checkAndAddAddresses(
        { db, config: testConfig(), clock: () => at },
        { merchantId, rows, actor: 'cli', dryRun },
      );
    const dry = await add(true);
    expect(dry).toMatchObject({ added: 0, valid: 2, refused: 2 });
    expect(dry.results.map(({ status, id }) => [status, id])).toEqual([
      ['valid', null],
      ['refused', null],
      ['refused', null],
      ['valid', null],
    ]);
    expect(await pool(db, merchantId)).toEqual([]);
    expect(await listAudit(db, { beforeId: null, limit: 10 })).toEqual([]);
    const real = await add(false);
    expect(real).toMatchObject({ added: 2, valid: 0, refused: 2, warnings: dry.warnings });
    expect(real.results.map(({ reason }) => reason)).toEqual(dry.results.map(({ reason }) => reason));
  });

  test('good rows are added checksummed, with their currency and label, and answered with their ids', async () => {
    const db = await openTestDb();
    const merchant = await merchantOf(db);
    const summary = await importer(db)(merchant, [
      row('bsc', evmAddress(1).toLowerCase(), 'usdt', 'till 1'),
      row('ethereum', evmAddress(2)),
    ]);
    expect(summary).toMatchObject({ added: 2, refused: 0 });
    expect(await pool(db, merchant)).toEqual([
      ['bsc', evmAddress(1), 'usdt', 'till 1'],
      ['ethereum', evmAddress(2), null, ''],
    ]);
    const listed = await listAddresses(db, { merchantId: merchant, network: null, afterId: 0, limit: 10 });
    expect(summary.results.map((result) => result.id)).toEqual(listed.map((address) => address.id));
  });

  test('each bad row is refused with its own reason and the good rows beside it are kept', async () => {
    const db = await openTestDb();
    const merchant = await merchantOf(db);
    const mistyped = evmAddress(1).replace(/[a-f]/, (letter) => letter.toUpperCase());
    const wrongChecksum = mistyped === evmAddress(1) ? evmAddress(1).replace('D', 'd') : mistyped;
    const summary = await importer(db)(merchant, [
      row('bsc', evmAddress(9)),
      row('bsc', wrongChecksum),
      row('bsc', 'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t'),
      row('bsc', `0x${'0'.repeat(40)}`),
      row('bsc', 'somewhere'),
      row('bsc', knownChains.bsc.tokens.usdt?.address ?? ''),
      row('bsc', knownChains.ethereum.tokens.usdc?.address ?? ''),
      row('solana', evmAddress(3)),
      row('tron', 'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t'),
      row('bsc', evmAddress(4), 'doge'),
      row('bsc', evmAddress(5), '', 'two\nlines'),
      row('ethereum', evmAddress(9)),
    ]);
    expect(summary.results.map((result) => result.reason)).toEqual([
      null,
      'wrong checksum (EIP-55): a character is mistyped',
      'this is a TRON address; expected 0x and 40 hex digits',
      'the zero address cannot receive payments',
      'not an address: expected 0x and 40 hex digits',
      'this is the usdt token contract, not an address of yours',
      'this is the usdc token contract, not an address of yours',
      'unknown network "solana"; expected bsc, ethereum',
      'tron is off: the configuration has no chains.tron',
      '"doge" cannot be paid on bsc; expected usdt, usdc, busd, native, or none for all',
      'label: line breaks and control characters are not allowed',
      null,
    ]);
    expect(summary).toMatchObject({ added: 2, refused: 10 });
    expect(await pool(db, merchant)).toHaveLength(2);
  });

  test('a token contract that only this configuration names is refused on every network of its family', async () => {
    const db = await openTestDb();
    const merchant = await merchantOf(db);
    const usdt = {
      network: 'bsc',
      currency: 'usdt',
      coin: 'usdt',
      rate: knownCoins.usdt,
      token: evmKey(7),
      decimals: 18,
    } as const;
    const config = testConfig({
      chains: { bsc: testChain('bsc', { assets: [usdt] }), ethereum: testChain('ethereum') },
    });
    const { results } = await importer(db, config)(merchant, [row('ethereum', evmAddress(7).toLowerCase())]);
    expect(results[0]?.reason).toBe('this is the usdt token contract, not an address of yours');
  });

  test('the same address in another letter case is a duplicate, within the request and against the pool', async () => {
    const db = await openTestDb();
    const merchant = await merchantOf(db);
    const lower = evmAddress(1).toLowerCase();
    const upper = `0x${lower.slice(2).toUpperCase()}`;
    const first = await importer(db)(merchant, [row('bsc', evmAddress(1), 'usdt'), row('bsc', lower)]);
    expect(first.results.map((result) => result.reason)).toEqual([
      null,
      'the same address stands earlier in this list',
    ]);
    const second = await importer(db)(merchant, [row('bsc', upper)]);
    expect(second.results.map((result) => result.reason)).toEqual(['already in the pool, for usdt']);
    expect(await pool(db, merchant)).toHaveLength(1);
  });

  test('one merchant may use an address on both EVM networks, another merchant on none', async () => {
    const db = await openTestDb();
    const [shop, rival] = [await merchantOf(db, 'Shop'), await merchantOf(db, 'Rival')];
    const both = await importer(db)(shop, [row('bsc', evmAddress(1)), row('ethereum', evmAddress(1))]);
    expect(both.added).toBe(2);
    const others = await importer(db)(rival, [
      row('bsc', evmAddress(1)),
      row('ethereum', evmAddress(1).toLowerCase()),
      row('ethereum', evmAddress(2)),
    ]);
    expect(others.results.map((result) => result.reason)).toEqual([
      'another merchant has this address',
      'another merchant has this address',
      null,
    ]);
    expect(await pool(db, rival)).toEqual([['ethereum', evmAddress(2), null, '']]);
  });

  test('two merchants who import one address at the same moment: exactly one has it', async () => {
    const db = await openTestDb();
    const merchants = await Promise.all([1, 2, 3, 4].map((n) => merchantOf(db, `Shop ${n}`)));
    const summaries = await Promise.all(
      merchants.map((merchant, n) =>
        importer(db)(merchant, [row(n % 2 === 0 ? 'bsc' : 'ethereum', evmAddress(1))]),
      ),
    );
    expect(summaries.map((summary) => summary.added).sort()).toEqual([0, 0, 0, 1]);
  });

  test('thousands of rows are added with progress, and repeating the import adds nothing twice', async () => {
    const db = await openTestDb();
    const merchant = await merchantOf(db);
    const rows = Array.from({ length: 2_100 }, (_, n) => row('bsc', evmAddress(n)));
    const progress: number[] = [];
    const first = await importer(db)(merchant, rows, (done, total) => {
      expect(total).toBe(2_100);
      progress.push(done);
    });
    expect(first).toMatchObject({ added: 2_100, refused: 0 });
    expect(progress).toEqual([500, 1_000, 1_500, 2_000, 2_100]);
    const second = await importer(db)(merchant, rows);
    expect(second).toMatchObject({ added: 0, refused: 2_100 });
    expect(await pool(db, merchant)).toHaveLength(2_100);
  });

  test('what was added stands in the audit log, and a request that added nothing does not', async () => {
    const db = await openTestDb();
    const merchant = await merchantOf(db);
    await importer(db)(merchant, [row('bsc', evmAddress(1))]);
    await importer(db)(merchant, [row('bsc', evmAddress(1))]);
    expect(await listAudit(db, { beforeId: null, limit: 10 })).toEqual([
      {
        id: expect.any(Number),
        at,
        actor: 'cli',
        action: 'addresses.added',
        subject: merchant,
        detail: { addresses: [{ network: 'bsc', address: evmAddress(1) }] },
      },
    ]);
  });
});
