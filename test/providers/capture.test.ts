import { expect, test } from 'vitest';
import type { Db } from '../../src/storage/schema.ts';
import { describeDatabases } from '../support/databases.ts';
import { testSettings } from '../support/providers/accounts.ts';
import { openProviderShop, type ProviderShop } from '../support/providers/shop.ts';
import { forhoppSubject } from '../support/providers/subjects.ts';

/*
 * Where the configuration says so, what a provider has only authorized is captured by itself, as soon as it is known.
 */

async function open(db: Db): Promise<ProviderShop> {
  const settings = { ...testSettings.forhopp, captureMode: 'automatic' };
  return openProviderShop(db, forhoppSubject, { settings });
}

const captures = ({ standIn }: ProviderShop) => standIn.asked.filter(({ path }) => path.endsWith('/capture'));
const ofCapture = ({ path }: { path: string }) => path.endsWith('/capture');

describeDatabases('with captureMode "automatic"', (openTestDb) => {
  test('what is authorized is captured once, in full, without the app', async () => {
    const shop = await open(await openTestDb());
    const { payment, charge } = await shop.begin();
    charge.status = 'authorized';
    await shop.deliver(forhoppSubject.webhook(charge));
    await shop.pass(1, 15, 30, 60);
    expect(charge).toMatchObject({ status: 'captured', captured: 5000 });
    expect(captures(shop)).toHaveLength(1);
    expect(await shop.view(payment)).toMatchObject({ status: 'confirmed', provider: { status: 'captured' } });
    expect(await shop.events()).toEqual(['provider.authorized', 'payment.confirmed']);
  });

  test('a capture whose answer was lost is asked about, and not made again', async () => {
    const shop = await open(await openTestDb());
    const { payment, charge } = await shop.begin();
    charge.status = 'authorized';
    shop.standIn.failNext({ kind: 'lost' }, ofCapture);
    await shop.pass(15);
    expect(charge.status).toBe('captured');
    await shop.pass(30, 60, 120);
    expect(captures(shop)).toHaveLength(1);
    expect(await shop.view(payment)).toMatchObject({ status: 'confirmed' });
  });

  test('a capture that never arrived is made later, once', async () => {
    const shop = await open(await openTestDb());
    const { payment, charge } = await shop.begin();
    charge.status = 'authorized';
    shop.standIn.failNext({ kind: 'reset' }, ofCapture);
    await shop.pass(15);
    expect([charge.status, (await shop.view(payment)).status]).toEqual(['authorized', 'pending']);
    await shop.pass(30, 60, 120, 300);
    expect(charge).toMatchObject({ status: 'captured', captured: 5000 });
    expect((await shop.view(payment)).status).toBe('confirmed');
  });

  test('what was voided meanwhile is not captured, and fails', async () => {
    const shop = await open(await openTestDb());
    const { payment, charge } = await shop.begin();
    charge.status = 'voided';
    await shop.pass(15, 30);
    expect(captures(shop)).toEqual([]);
    expect(await shop.view(payment)).toMatchObject({ status: 'failed', reason: 'voided' });
  });
});
