import { HDKey } from '@scure/bip32';
import { beforeAll, expect, test } from 'vitest';
import { webhookBody } from '../support/receiver.ts';
import { type Merchant, type Scenario, startScenario, testAddress } from '../support/scenario.ts';
import { transferToken } from '../support/tokens.ts';

let shop: Scenario;
beforeAll(async () => {
  shop = await startScenario({ addresses: 1 });
  return shop.stop;
});

const order = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' };
const lifetime = 1801;

async function create(merchant: Merchant) {
  const answer = await merchant.api.create(order);
  if (answer.status !== 201) throw new Error(`not created: ${answer.text}`);
  return answer.body;
}

/** Pays 50 USDT on BSC and makes them sure. */
async function paySurely(address: string): Promise<string> {
  const { anvil, tokens } = shop.bsc;
  const txHash = await transferToken(anvil, tokens.usdt, address, 50n * 10n ** 18n);
  await anvil.mine(20);
  await shop.untilRead('bsc');
  return txHash;
}

test('a payment that finds no free address is refused, and the pool tells it once', async () => {
  const merchant = await shop.addMerchant({ bsc: [testAddress('bsc', 500)] });
  const held = await create(merchant);
  for (let n = 0; n < 3; n++) {
    const refused = await merchant.api.create(order);
    expect(refused).toMatchObject({ status: 503, body: { code: 'all_addresses_held' } });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  }
  const told = await shop.receiver.waitForEvent('pool.exhausted');
  expect(told.map((request) => webhookBody(request))).toMatchObject([
    { network: 'bsc', pool: { currency: 'usdt', total: 1, held: 1, free: 0 } },
  ]);
  const pools = await shop.admin.get<{ data: object[] }>(`/pool/?merchant_id=${merchant.id}`);
  expect(pools.body.data).toMatchObject([
    { network: 'bsc', level: 'exhausted', total: 1, held: 1, forecast: { exhausted_in_seconds: 0 } },
  ]);
  await merchant.api.cancel(held.payment_number);
  await create(merchant);
});

test('a payment that finds no free address gets a derived one, and is paid there', async () => {
  const merchant = await shop.addMerchant({});
  const account = HDKey.fromMasterSeed(Buffer.alloc(32, 6)).derive("m/44'/60'/0'");
  const pool = await shop.admin.post<{ first_addresses: string[] }>(
    `/merchants/${merchant.id}/derived-pools/`,
    {
      network: 'bsc',
      xpub: account.publicExtendedKey,
      limit: 2,
    },
  );
  expect(pool.status).toBe(201);
  const payments = [await create(merchant), await create(merchant)];
  expect(payments.map((payment) => payment.assigned_address)).toEqual(pool.body.first_addresses.slice(0, 2));
  expect((await merchant.api.create(order)).status).toBe(503);

  const [, second] = payments;
  if (second === undefined) throw new Error('no second payment');
  await paySurely(second.assigned_address);
  await shop.receiver.waitForEvent('payment.confirmed', second.payment_number);
});

test('a retired address finishes its payment', async () => {
  const merchant = await shop.addMerchant({ bsc: [testAddress('bsc', 501)] });
  const payment = await create(merchant);
  const list = await shop.admin.get<{ data: { id: number }[] }>(`/merchants/${merchant.id}/addresses/`);
  const path = `/merchants/${merchant.id}/addresses/${list.body.data[0]?.id}`;
  expect(await shop.admin.post(`${path}/retire/`)).toMatchObject({ status: 200, body: { active: false } });
  await paySurely(payment.assigned_address);
  await shop.receiver.waitForEvent('payment.confirmed', payment.payment_number);
  expect((await merchant.api.create(order)).body).toMatchObject({ code: 'NoAddressConfiguredError' });
});

test('money for an ended payment whose address another payment holds by now counts for that one', async () => {
  const merchant = await shop.addMerchant({ bsc: [testAddress('bsc', 502)] });
  const ended = await create(merchant);
  await shop.passTime(lifetime);
  await shop.bsc.anvil.mine(1);
  await shop.receiver.waitForEvent('payment.expired', ended.payment_number);
  const holder = await create(merchant);
  expect(holder.assigned_address).toBe(ended.assigned_address);
  await paySurely(ended.assigned_address);
  await shop.receiver.waitForEvent('payment.confirmed', holder.payment_number);
  expect((await merchant.api.retrieve(ended.payment_number)).body).toMatchObject({
    status: 'expired',
    deposits: [],
  });
});
