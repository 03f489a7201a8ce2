import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { checkShops } from '../../src/doctor/shop.ts';
import { openSecrets } from '../../src/notify/secrets.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { markMerchantRemoved } from '../../src/storage/operators/merchants.ts';
import { evmAddress, evmKey } from '../support/addresses.ts';
import { testConfig } from '../support/config.ts';
import { describeDatabases, openTestSqlite, testFolder } from '../support/databases.ts';
import { openShop } from '../support/webhooks.ts';

const clock = () => 0;
const keyOf = (secretKey: string | null) => (sealed: string) =>
  openSecrets({ dataFolder: testFolder(), secretKey }, sealed);

describeDatabases('doctor', (openTestDb) => {
  test('says which merchants have no address that a payment could get, and which hear of none', async () => {
    const db = await openTestDb();
    const shop = await openShop(db, clock);
    const look = () => checkShops(db, testConfig(), keyOf(shop.key));
    expect(await look()).toMatchObject([
      { part: 'addresses', subject: 'Test shop', outcome: 'warning', found: 'there are none yet' },
      { part: 'webhooks', subject: 'Test shop', outcome: 'warning', found: 'there is no endpoint yet' },
    ]);

    await db
      .insertInto('addresses')
      .values({
        merchant_id: shop.merchantId,
        network: 'bsc',
        address: evmAddress(1),
        address_key: evmKey(1),
        currency: '',
        label: '',
        source: 'static',
        active: 1,
        released_at: 0,
        created_at: 0,
      })
      .execute();
    await shop.addEndpoint('https://shop.example/');
    const well = { part: 'sealing key', subject: 'webhooks', outcome: 'well' };
    expect(await look()).toMatchObject([well]);

    await db.updateTable('addresses').set({ active: 0 }).execute();
    await db.updateTable('webhook_endpoints').set({ active: 0 }).execute();
    expect(await look()).toMatchObject([
      well,
      {
        part: 'addresses',
        outcome: 'danger',
        found: 'all are retired',
        money: 'no payment to an address can be made',
        todo: expect.stringContaining('depositd address add'),
      },
      { part: 'webhooks', outcome: 'danger', found: 'every endpoint is off' },
    ]);

    await inTransaction(db, (trx) => markMerchantRemoved(trx, shop.merchantId, 1));
    expect(await look()).toMatchObject([well]);
  });
});

test('doctor says that the sealing key is missing, or of another database, and makes none', async () => {
  const db = await openTestSqlite();
  const shop = await openShop(db, clock);
  const found = async (secretKey: string | null) =>
    (await checkShops(db, testConfig(), keyOf(secretKey))).find(({ part }) => part === 'sealing key');
  expect(await found(null)).toBeUndefined();
  await shop.addEndpoint('https://shop.example/');
  expect(await found(null)).toMatchObject({
    outcome: 'danger',
    found: expect.stringMatching(/^the key file .* is missing/),
    money: expect.stringContaining('the daemon does not start'),
    todo: expect.stringContaining('bring it back'),
  });
  expect(await found(randomBytes(32).toString('base64'))).toMatchObject({ outcome: 'danger' });
  expect(await found(shop.key)).toMatchObject({ outcome: 'well' });
  await db.destroy();
});
