import { expect, test } from 'vitest';
import type { Address } from '../../src/core/address.ts';
import type { Network } from '../../src/core/networks.ts';
import type { CodeLook } from '../../src/pool/contracts.ts';
import { checkAndAddAddresses } from '../../src/pool/import.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { addMerchant } from '../../src/storage/operators/merchants.ts';
import type { Db } from '../../src/storage/schema.ts';
import { evmAddress } from '../support/addresses.ts';
import { openApiServer } from '../support/api-server.ts';
import { testConfig } from '../support/config.ts';
import { describeDecisions } from '../support/databases.ts';

const row = (network: string, address: string, label = '') => ({ network, address, currency: '', label });

/** A chain on which these addresses have code. */
function chainWith(...contracts: Address[]) {
  const asked: [Network, number][] = [];
  const codeLook: CodeLook = async (network, addresses) => {
    asked.push([network, addresses.length]);
    return { withCode: new Set(contracts.filter((address) => addresses.includes(address))) };
  };
  return { asked, codeLook };
}

async function importer(db: Db, codeLook: CodeLook) {
  const { id } = await inTransaction(db, (trx) => addMerchant(trx, { name: 'Shop', at: 0 }));
  return (rows: ReturnType<typeof row>[], allowContract = false) =>
    checkAndAddAddresses(
      { db, config: testConfig(), clock: () => 0, codeLook },
      { merchantId: id, rows, actor: 'cli', allowContract },
    );
}

describeDecisions('importing a contract', (openTestDb) => {
  test('is refused, and the addresses beside it are added', async () => {
    const { codeLook, asked } = chainWith(evmAddress(2));
    const add = await importer(await openTestDb(), codeLook);
    const summary = await add([row('bsc', evmAddress(1)), row('bsc', evmAddress(2)), row('bsc', 'nonsense')]);
    expect(summary.results.map(({ reason }) => reason)).toEqual([
      null,
      expect.stringMatching(/^a contract on bsc: money sent to it may be lost/),
      expect.stringMatching(/^not an address/),
    ]);
    // What is refused anyway is not asked about.
    expect(asked).toEqual([['bsc', 2]]);
    expect(summary.warnings).toEqual([]);
  });

  test('is added with a warning by whoever allows it', async () => {
    const { codeLook } = chainWith(evmAddress(2));
    const add = await importer(await openTestDb(), codeLook);
    const summary = await add([row('bsc', evmAddress(2)), row('ethereum', evmAddress(3))], true);
    expect(summary).toMatchObject({
      added: 2,
      warnings: ['bsc: 1 address is a contract; make sure that you can spend from it'],
    });
  });

  test('is not noticed where no node answers: that is said, and asked only once', async () => {
    let asked = 0;
    const add = await importer(await openTestDb(), async () => {
      asked += 1;
      return { unchecked: 'node.example: no answer' };
    });
    const summary = await add(Array.from({ length: 1_100 }, (_, n) => row('bsc', evmAddress(n))));
    expect(summary).toMatchObject({
      added: 1_100,
      warnings: ['bsc: whether any of 1100 addresses is a contract was not checked: node.example: no answer'],
    });
    expect(asked).toBe(1);
  });
});

describeDecisions('a private key or a seed phrase', (openTestDb) => {
  const words = 'radar blur cabbage chef fix engine embark joy scheme fiction master release';
  const key = `0x${'c0ffee'.repeat(11).slice(0, 64)}`;

  test('given as an address or a label is refused, not repeated, not asked about and not stored', async () => {
    const db = await openTestDb();
    const { codeLook, asked } = chainWith();
    const add = await importer(db, codeLook);
    const summary = await add([
      row('bsc', key),
      row('bsc', words),
      row('bsc', evmAddress(1), `till 1, key ${key}`),
      row(words, evmAddress(2)),
    ]);
    expect(summary).toMatchObject({ added: 0, refused: 4 });
    for (const { reason } of summary.results) expect(reason).toMatch(/^this looks like a (private|seed)/);
    expect(asked).toEqual([]);
    const stored = [
      await db.selectFrom('addresses').selectAll().execute(),
      await db.selectFrom('audit_log').selectAll().execute(),
    ];
    expect(JSON.stringify([summary, stored])).not.toMatch(/c0ffee|radar blur/);
  });
});

describeDecisions('the operator’s API', (openTestDb) => {
  test('takes no private key for a name, an address or a description, and repeats none', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    const key = `0x${'c0ffee'.repeat(11).slice(0, 64)}`;
    const url = 'https://shop.example/hooks';
    for (const [path, json] of [
      ['/merchants/', { name: key }],
      [`/merchants/${shop.id}/addresses/`, { network: 'bsc', addresses: [key] }],
      [`/merchants/${shop.id}/webhooks/`, { url, description: `of ${key}` }],
    ] as const) {
      const { text } = await api.send('POST', `/admin/v1${path}`, { admin: true, json });
      expect(text).toContain('this looks like a private key');
      expect(text + JSON.stringify(api.logs)).not.toContain('c0ffee');
    }
  });
});
