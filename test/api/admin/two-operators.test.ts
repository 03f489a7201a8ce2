import { expect, test } from 'vitest';
import type { TxHash } from '../../../src/core/chain.ts';
import type { Deposit } from '../../../src/core/payment.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { insertDeposit } from '../../../src/storage/deposits/deposits.ts';
import { findPaymentId } from '../../../src/storage/payments/numbers.ts';
import { evmAddress } from '../../support/addresses.ts';
import {
  type ApiServer,
  openApiServer,
  type TestAnswer,
  type TestMerchant,
} from '../../support/api-server.ts';
import { describeDatabases, openTestSqlite } from '../../support/databases.ts';
import { testDeposit, txHash, usdt } from '../../support/payments.ts';
import { addPerson, firstOperator, type Person } from '../../support/people.ts';

/*
 * Two operators who act on one thing at the same moment: it happens once, and the second is told what the first did.
 */

type Open = { api: ApiServer; shop: TestMerchant; ada: Person; bob: Person };

async function open(api: ApiServer): Promise<Open> {
  const ada = await firstOperator(api);
  const bob = await addPerson(api, { name: 'bob', role: 'operator' });
  const shop = await api.addMerchant();
  await api.addAddresses(shop, 'bsc', 4);
  return { api, shop, ada, bob };
}

async function create({ api, shop }: Open): Promise<string> {
  const json = { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' };
  const made = await api.send<{ payment_number: string }>('POST', '/api/v1/payments/', {
    key: shop.key,
    json,
  });
  return made.body.payment_number;
}

async function add(
  { api, shop }: Open,
  number: string | null,
  changes: Partial<Deposit> = {},
): Promise<number> {
  const paymentId = number === null ? null : await findPaymentId(api.db, number);
  const deposit = {
    ...testDeposit({ amount: usdt(20), status: 'confirmed' }),
    merchantId: shop.id,
    addressId: 1,
  };
  const made = await inTransaction(api.db, (trx) =>
    insertDeposit(trx, { ...deposit, paymentId, ...changes }),
  );
  return made.id;
}

const unmatched = { role: 'unmatched', unmatchedReason: 'no_payment' } as const;

/** Both at once, and what was done then: audit entries and events. */
async function both(open: Open, path: string, [first, second]: readonly [object, object], other = path) {
  const { api, ada, bob } = open;
  const before = await done(api);
  const answers = await Promise.all([
    ada.send<{ error?: string }>('POST', `/admin/v1${path}`, { reason: 'ada knows why', ...first }),
    bob.send<{ error?: string }>('POST', `/admin/v1${other}`, { reason: 'bob knows why', ...second }),
  ]);
  const after = await done(api);
  return {
    answers: answers as readonly TestAnswer<{ error?: string }>[],
    actions: after.actions.slice(before.actions.length),
    events: after.events.slice(before.events.length),
  };
}

async function done({ db }: ApiServer) {
  const actions = await db.selectFrom('audit_log').select(['action', 'actor']).orderBy('id').execute();
  const events = await db.selectFrom('events').select('type').orderBy('sequence').execute();
  return { actions, events: events.map(({ type }) => type) };
}

const statuses = (answers: readonly TestAnswer[]) => answers.map(({ status }) => status).toSorted();

describeDatabases('two operators at once', (openTestDb) => {
  test('accept one payment: it is confirmed once', async () => {
    const one = await open(await openApiServer(await openTestDb()));
    const number = await create(one);
    await add(one, number);
    const path = `/payments/${number}/accept/`;
    const { answers, actions, events } = await both(one, path, [{}, {}]);
    expect(statuses(answers)).toEqual([200, 200]);
    expect(actions.map(({ action }) => action)).toEqual(['payment.accepted']);
    expect(events).toEqual(['payment.confirmed']);
  });

  test('cancel one payment, or cancel and accept it: one of them happens, and the other is told', async () => {
    const one = await open(await openApiServer(await openTestDb()));
    const number = await create(one);
    const cancel = `/payments/${number}/cancel/`;
    const twice = await both(one, cancel, [{}, {}]);
    expect(statuses(twice.answers)).toEqual([200, 409]);
    const [{ actor = '' } = {}] = twice.actions;
    expect(twice).toMatchObject({
      actions: [{ action: 'payment.cancelled' }],
      events: ['payment.cancelled'],
    });
    const told = twice.answers.find(({ status }) => status === 409)?.body.error;
    expect(told).toContain('The payment cannot be cancelled: it is cancelled.');
    expect(told).toContain(`Last, ${actor}: payment.cancelled, `);

    const paid = await create(one);
    await add(one, paid, { txHash: txHash(2) });
    const accept = `/payments/${paid}/accept/`;
    const mixed = await both(one, `/payments/${paid}/cancel/`, [{}, {}], accept);
    expect(statuses(mixed.answers)).toEqual([200, 409]);
    expect(mixed.actions).toEqual([{ action: 'payment.accepted', actor: 'user bob' }]);
  });

  test('attach one deposit to two payments, or attach and ignore it: it is one payment’s', async () => {
    const one = await open(await openApiServer(await openTestDb()));
    const [first, second] = [await create(one), await create(one)];
    const deposit = await add(one, null, unmatched);
    const numbers = [{ payment_number: first }, { payment_number: second }] as const;
    const { answers, actions } = await both(one, `/deposits/${deposit}/attach/`, numbers);
    expect(statuses(answers)).toEqual([200, 409]);
    expect(actions).toHaveLength(1);
    const told = answers.find(({ status }) => status === 409)?.body.error;
    expect(told).toContain(`Last, ${actions[0]?.actor}: deposit.attached, `);

    const other = await add(one, null, { ...unmatched, txHash: txHash(3) });
    const path = `/deposits/${other}`;
    const mixed = await both(one, `${path}/attach/`, [{ payment_number: second }, {}], `${path}/ignore/`);
    // Ignored first it is attached all the same, and is ignored no more; attached first it cannot be ignored.
    expect(mixed.answers[0]?.status).toBe(200);
    const rows = await one.api.db
      .selectFrom('deposits')
      .select(['role', 'ignored_at'])
      .where('id', '=', other)
      .execute();
    expect(rows).toEqual([{ role: 'accepted', ignored_at: null }]);
  });

  test('record one refund: it is recorded once, and for another payment not at all', async () => {
    const one = await open(await openApiServer(await openTestDb()));
    const [first, second] = [await create(one), await create(one)];
    const refund = { amount: '20', to: evmAddress(4_000), tx_hash: txHash(9) };
    const same = await both(one, `/payments/${first}/refunds/`, [refund, refund]);
    expect(statuses(same.answers)).toEqual([200, 201]);
    expect(same.actions.map(({ action }) => action)).toEqual(['refund.recorded']);
    const recorder = same.actions[0]?.actor;
    expect(same.answers.map(({ body }) => body)).toEqual([
      expect.objectContaining({ actor: recorder, status: 'not_found' }),
      expect.objectContaining({ actor: recorder, status: 'not_found' }),
    ]);
    const elsewhere = await one.bob.send<{ error: string; code: string }>(
      'POST',
      `/admin/v1/payments/${second}/refunds/`,
      { ...refund, reason: 'bob knows why' },
    );
    expect(elsewhere).toMatchObject({ status: 409, body: { code: 'not_recordable' } });
    expect(elsewhere.body.error).toContain(`a refund of 20 for ${first} by ${recorder}`);
  });
});

test('an unmatched deposit that is ignored waits for nobody, stays in the books, and is put back', async () => {
  const one = await open(await openApiServer(await openTestSqlite()));
  const { api, ada } = one;
  const deposit = await add(one, null, { ...unmatched, txHash: `0x${'7'.repeat(64)}` as TxHash });
  const listed = async (status: string) => {
    const { body } = await ada.send<{ data: { id: number; status: string }[] }>(
      'GET',
      `/admin/v1/deposits/?status=${status}`,
    );
    return body.data.map(({ id, status }) => [id, status]);
  };
  const path = `/admin/v1/deposits/${deposit}`;
  expect((await ada.send('POST', `${path}/ignore/`, {})).status).toBe(400);
  for (let n = 0; n < 2; n++) {
    const answer = await ada.send('POST', `${path}/ignore/`, { reason: 'dust of a spammer' });
    expect(answer).toMatchObject({ status: 200, body: { id: deposit, status: 'ignored' } });
  }
  expect([await listed('unmatched'), await listed('ignored')]).toEqual([[], [[deposit, 'ignored']]]);
  const answer = await ada.send('POST', `${path}/unignore/`, { reason: 'the customer called' });
  expect(answer).toMatchObject({ status: 200, body: { status: 'unmatched' } });
  expect([await listed('unmatched'), await listed('ignored')]).toEqual([[[deposit, 'unmatched']], []]);
  const { actions } = await done(api);
  expect(actions.slice(-2)).toEqual([
    { action: 'deposit.ignored', actor: 'user ada' },
    { action: 'deposit.unignored', actor: 'user ada' },
  ]);
  expect((await ada.send('POST', '/admin/v1/deposits/999/ignore/', { reason: 'x' })).status).toBe(404);
});
