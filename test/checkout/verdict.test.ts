import { describe, expect, test } from 'vitest';
import { createLooks, lookEveryMs } from '../../src/checkout/look.ts';
import { decideVerdict, type Finding, type Verdict } from '../../src/checkout/verdict.ts';
import type { Network } from '../../src/core/networks.ts';
import type { Deposit } from '../../src/core/payment.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { insertPayment } from '../../src/storage/payments/insert.ts';
import { lockAddress } from '../../src/storage/pool/locks.ts';
import { evmKey } from '../support/addresses.ts';
import { testConfig } from '../support/config.ts';
import { openTestSqlite } from '../support/databases.ts';
import {
  addTestAddresses,
  addTestMerchant,
  createdAt,
  testDeposit,
  testPayment,
  testView,
  tokenKey,
  txHash,
  usdt,
} from '../support/payments.ts';

const usdc = { token: tokenKey('bsc', 'usdc'), currency: 'usdc' as Deposit['currency'] };
const unmatched = { role: 'unmatched', paymentId: null } as const;
const onEthereum = {
  ...unmatched,
  network: 'ethereum' as Network,
  unmatchedReason: 'wrong_network',
} as const;

type Shown = Partial<Record<'bsc' | 'ethereum', Partial<Deposit>[] | Exclude<Finding['kind'], 'read'>>>;

function verdict(shown: Shown): Verdict {
  const findings = Object.entries(shown).map(([network, found]): [Network, Finding] => [
    network as Network,
    typeof found === 'string'
      ? { kind: found }
      : { kind: 'read', deposits: found.map((changes) => testDeposit(changes)), head: 112 },
  ]);
  const own = findings.flatMap(([, one]) => (one.kind === 'read' ? one.deposits : []));
  const view = testView(
    testPayment(),
    own.filter(({ paymentId }) => paymentId === 1),
  );
  return decideVerdict(view, 'evm', new Map(findings));
}

describe('the verdict on what a payer says he paid', () => {
  test.each<[string, Shown, Verdict]>([
    [
      'right, and 3 of 15 confirmed',
      { bsc: [{}], ethereum: 'unknown' },
      { kind: 'right', confirmations: 3, required: 15 },
    ],
    [
      'right, among transfers to others',
      { bsc: [{ recipient: evmKey(7), paymentId: 9 }, {}] },
      { kind: 'right', confirmations: 3, required: 15 },
    ],
    ['too little', { bsc: [{ amount: usdt(49) }] }, { kind: 'too_little' }],
    ['in no block yet', { bsc: 'unmined', ethereum: 'unknown' }, { kind: 'unmined' }],
    [
      'to another recipient',
      { bsc: [{ recipient: evmKey(7), paymentId: 9 }] },
      { kind: 'another_recipient' },
    ],
    ['to nobody of ours', { bsc: [], ethereum: 'unknown' }, { kind: 'another_recipient' }],
    ['in another token', { bsc: [{ ...usdc, ...unmatched }] }, { kind: 'another_token' }],
    [
      'on another network',
      { bsc: 'unknown', ethereum: [onEthereum] },
      { kind: 'another_network', network: 'ethereum' as Network },
    ],
    ['failed', { bsc: 'failed', ethereum: 'unclear' }, { kind: 'failed' }],
    ['before this payment, and not read', { bsc: 'before' }, { kind: 'before' }],
    [
      'before this payment, and recorded',
      { bsc: [{ ...unmatched, blockTime: createdAt / 1000 - 60 }] },
      { kind: 'before' },
    ],
    ['too late', { bsc: [{ role: 'late' }] }, { kind: 'late' }],
    [
      'of the payment that had the address before',
      { bsc: [{ paymentId: 9, blockTime: createdAt / 1000 - 60 }] },
      { kind: 'before' },
    ],
    ['of the payment that has the address now', { bsc: [{ paymentId: 9 }] }, { kind: 'late' }],
    ['not found', { bsc: 'unknown', ethereum: 'unclear' }, { kind: 'not_found' }],
  ])('%s', (_what, shown, expected) => expect(verdict(shown)).toEqual(expected));
});

describe('looks of payers', () => {
  async function open(lookUp: () => Promise<Finding>) {
    const db = await openTestSqlite();
    const merchantId = await addTestMerchant(db);
    const ids = await addTestAddresses(db, merchantId, { count: 6 });
    let now = createdAt;
    const looks = createLooks({ db, config: testConfig(), clock: () => now, lookUp });
    const views = await inTransaction(db, async (trx) => {
      const made = [];
      for (const [i, addressId] of ids.entries()) {
        const number = `PAY-2026-ABCDEF${i}`;
        const payment = testPayment({ merchantId, addressId, paymentNumber: number, paymentToken: number });
        const inserted = await insertPayment(trx, payment);
        await lockAddress(trx, addressId, inserted.id);
        made.push(testView(inserted));
      }
      return made;
    });
    return { looks, views, pass: (ms: number) => (now += ms), close: () => db.destroy() };
  }

  test('are one for a payment in 20 seconds, and say when the next is possible', async () => {
    let looked = 0;
    const { looks, views, pass, close } = await open(async () => {
      looked += 1;
      return { kind: 'unknown' };
    });
    const [view, other] = views;
    if (view === undefined || other === undefined) throw new Error('no payment');
    const nextAt = createdAt + lookEveryMs;
    expect(await looks.look(view, txHash(1))).toEqual({
      outcome: 'looked',
      verdict: { kind: 'not_found' },
      nextAt,
    });
    const perLook = looked;
    expect(await looks.look(view, txHash(2))).toEqual({ outcome: 'too_soon', nextAt });
    expect(looked).toBe(perLook);
    expect(await looks.look(other, txHash(2))).toMatchObject({ outcome: 'looked' });
    pass(lookEveryMs);
    expect(await looks.look(view, txHash(2))).toMatchObject({ outcome: 'looked' });
    await close();
  });

  test('are a few at once, whoever asks', async () => {
    const answer = Promise.withResolvers<Finding>();
    const { looks, views, close } = await open(() => answer.promise);
    const all = views.map((view) => looks.look(view, txHash(1)));
    expect(await Promise.all(all.slice(4))).toMatchObject([{ outcome: 'too_soon' }, { outcome: 'too_soon' }]);
    answer.resolve({ kind: 'unknown' });
    expect((await Promise.all(all.slice(0, 4))).map(({ outcome }) => outcome)).toEqual(
      Array(4).fill('looked'),
    );
    await close();
  });
});
