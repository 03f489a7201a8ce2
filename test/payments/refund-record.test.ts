import { expect, test } from 'vitest';
import { writeAddress } from '../../src/core/address.ts';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { checkRefunds } from '../../src/payments/check-refunds.ts';
import { recordRefund, removeRefundRecord } from '../../src/payments/refund-record.ts';
import { listAudit } from '../../src/storage/operators/audit.ts';
import { listDueRefundRecords, listRefundRecords } from '../../src/storage/payments/refund-records.ts';
import { createSentTransfers } from '../../src/watchers/sent-transfer.ts';
import { evmAddress, evmKey } from '../support/addresses.ts';
import { openWorld, type World } from '../support/chain-world.ts';
import { describeDecisions } from '../support/databases.ts';
import { tokenKey, txHash } from '../support/payments.ts';

const customer = evmKey(4_000);
const to = writeAddress('evm', customer);

function open(world: World) {
  const { db, clock, chainConfig: chain } = world;
  const { verify } = createSentTransfers({ db, chain, clock, source: world.chain.source });
  const { signal } = new AbortController();
  const record = (
    payment: OnchainPayment,
    tx: string,
    more: { amount?: string; to?: string; actor?: string } = {},
  ) =>
    recordRefund(
      { db, clock },
      {
        paymentNumber: payment.paymentNumber,
        words: { amount: more.amount ?? '20', to: more.to ?? to, tx_hash: tx },
        reason: 'it came twice',
        actor: more.actor ?? 'user ada',
      },
    );
  const check = () =>
    checkRefunds({ db, clock, verify: (_, transfer, aborted) => verify(transfer, aborted) }, signal);
  const send = ({ token, currency }: OnchainPayment, tenths = 20n) =>
    world.chain.send({ token, currency, recipient: customer, amount: tenths * 10n ** 18n });
  return {
    db,
    clock,
    record,
    check,
    send,
    all: (payment: OnchainPayment) => listRefundRecords(db, payment.id, 10),
  };
}

describeDecisions('a refund that an operator records', (openTestDb) => {
  test('is looked for until the chain shows it, and changes nothing about the payment', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const { record, check, send, all } = open(world);
    const payment = await world.create();
    world.pay(payment, 14);
    world.mine(4);
    await world.read();
    const before = await world.view(payment);
    expect(before.payment).toMatchObject({ status: 'confirmed', reason: 'overpaid' });

    const tx = send(payment);
    expect(await record(payment, `https://bscscan.com/tx/${tx}`)).toMatchObject({
      outcome: 'recorded',
      repeated: false,
    });
    expect(await check()).toBe(1);
    expect(await all(payment)).toMatchObject([
      { status: 'not_found', detail: 'the transaction is in no block yet', usdCents: 2_000, txHash: tx },
    ]);
    expect(await check()).toBe(0);
    world.mine(4);
    await world.read();
    expect(await check()).toBe(1);
    const [found] = await all(payment);
    expect(found).toMatchObject({ status: 'verified', detail: '', block: { height: expect.any(Number) } });
    world.pass(3_600);
    expect(await check()).toBe(0);
    const { heads: _, ...after } = await world.view(payment);
    const { heads: __, ...unchanged } = before;
    expect(after).toEqual(unchanged);
    expect(await world.events(payment)).toEqual(['payment.detected', 'payment.confirmed']);
    const [entry] = await listAudit(world.db, { subject: payment.paymentNumber, beforeId: null, limit: 9 });
    expect(entry).toMatchObject({
      action: 'refund.recorded',
      actor: 'user ada',
      detail: { reason: 'it came twice' },
    });
  });

  test('of another amount than the chain shows does not match, and is taken back and recorded right', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const { db, clock, record, check, send, all } = open(world);
    const payment = await world.create();
    const tx = send(payment);
    world.mine(4);
    await world.read();
    await record(payment, tx, { amount: '2.0' });
    await check();
    const [wrong] = await all(payment);
    expect(wrong).toMatchObject({ status: 'mismatch', nextCheckAt: null });
    expect(await record(payment, tx)).toMatchObject({ outcome: 'not_recordable' });
    const remove = { paymentNumber: payment.paymentNumber, id: wrong?.id ?? 0, actor: 'user ada' };
    expect(await removeRefundRecord({ db, clock }, remove)).toMatchObject({ outcome: 'removed' });
    expect(await removeRefundRecord({ db, clock }, remove)).toEqual({ outcome: 'not_found' });
    await record(payment, tx);
    await check();
    const [right] = await all(payment);
    expect(right).toMatchObject({ status: 'verified' });
    expect(await removeRefundRecord({ db, clock }, { ...remove, id: right?.id ?? 0 })).toMatchObject({
      outcome: 'not_removable',
    });
  });

  test('was sent after the payment was made: what is older does not match', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const { record, check, all } = open(world);
    const token = tokenKey(world.network, 'usdt');
    const amount = 20n * 10n ** 18n;
    const tx = world.chain.send({ token, currency: 'usdt', recipient: customer, amount });
    world.mine();
    world.pass(3_600);
    world.mine(4);
    await world.read();
    const payment = await world.create();
    await record(payment, tx);
    await check();
    expect(await all(payment)).toMatchObject([
      { status: 'mismatch', detail: 'the transaction is older than the payment' },
    ]);
  });

  test('is one refund of one payment, whoever records its transfer again, also at the same moment', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const { db, record, all } = open(world);
    const [payment, other] = [await world.create(), await world.create()];
    const outcomes = await Promise.all([
      record(payment, txHash(5)),
      record(payment, txHash(5), { actor: 'user bob' }),
      record(other, txHash(5), { actor: 'user eve' }),
    ]);
    expect(outcomes.map(({ outcome }) => outcome).toSorted()).not.toEqual([
      'recorded',
      'recorded',
      'recorded',
    ]);
    const rows = await db.selectFrom('refund_records').select(['payment_id']).execute();
    expect(rows).toHaveLength(1);
    expect([...(await all(payment)), ...(await all(other))]).toHaveLength(1);
    const entries = await listAudit(db, { beforeId: null, limit: 50 });
    expect(entries.filter(({ action }) => action === 'refund.recorded')).toHaveLength(1);
  });

  test.each([
    ['amount', { amount: '0' }],
    ['amount', { amount: '-1' }],
    ['amount', { amount: '1e9' }],
    ['amount', { amount: `${'9'.repeat(60)}` }],
    ['amount', { amount: '0.0000000000000000001' }],
    ['to', { to: '0xnone' }],
    ['to', { to: 'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t' }],
    ['to', { to: evmAddress(1) }],
  ] as const)('with a wrong %s is refused: %o', async (field, more) => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const { record } = open(world);
    const payment = await world.create();
    expect(await record(payment, txHash(5), more)).toMatchObject({ outcome: 'wrong', field });
    expect(await record(payment, `${txHash(5)} ${txHash(6)}`)).toMatchObject({
      outcome: 'wrong',
      field: 'tx_hash',
    });
  });

  test('and that never shows is looked for ever more seldom, and not any more after two weeks', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const { db, record, check, all } = open(world);
    const payment = await world.create();
    await record(payment, txHash(5));
    const pauses: number[] = [];
    for (let n = 0; n < 12; n++) {
      await check();
      const [one] = await all(payment);
      pauses.push(((one?.nextCheckAt ?? 0) - world.clock()) / 1000);
      world.pass(pauses.at(-1) ?? 0);
    }
    expect(pauses).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
    world.pass(14 * 24 * 3_600);
    await check();
    expect(await all(payment)).toMatchObject([{ status: 'not_found', nextCheckAt: null }]);
    expect(await listDueRefundRecords(db, Number.MAX_SAFE_INTEGER, 10)).toEqual([]);
  });
});
