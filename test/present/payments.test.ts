import { describe, expect, test } from 'vitest';
import type { Deposit, OnchainPayment, PaymentView } from '../../src/core/payment.ts';
import { paymentEventBody, unmatchedEventBody } from '../../src/present/event-body.ts';
import { presentPayment } from '../../src/present/payments.ts';
import { evmAddress } from '../support/addresses.ts';
import { testChain } from '../support/config.ts';
import {
  createdAt,
  expiresAt,
  testDeposit,
  testPayment,
  testView,
  tokenKey,
  txHash,
  usdt,
} from '../support/payments.ts';

const publicUrl = 'https://pay.example.com';

function view(payment: Partial<OnchainPayment> = {}, deposits: Deposit[] = [], head = 120): PaymentView {
  return testView(testPayment(payment), deposits, { bsc: head });
}

function shown(payment: Partial<OnchainPayment> = {}, deposits: Deposit[] = [], head = 120) {
  return presentPayment(view(payment, deposits, head), publicUrl);
}

function body(event: Parameters<typeof paymentEventBody>[0], of: PaymentView) {
  return JSON.parse(paymentEventBody(event, of)) as Record<string, unknown>;
}

const native = {
  currency: 'native',
  coin: 'bnb',
  token: 'native',
  expectedAmount: 83_333_340_000_000_000n,
} as const;

describe('a payment, as its merchant sees it,', () => {
  test('has the nineteen fields of the seed in their order, then what depositd adds', () => {
    expect(Object.entries(shown())).toEqual([
      ['payment_number', 'PAY-2026-ABCDEF1234'],
      ['status', 'pending'],
      ['network', 'bsc'],
      ['currency', 'usdt'],
      ['amount_usd_cents', 5000],
      ['expected_crypto_amount', '50.000000'],
      ['actual_crypto_amount', null],
      ['assigned_address', evmAddress(1)],
      ['tx_hash', ''],
      ['confirmations', 0],
      ['external_order_id', 'order-9837'],
      ['customer_email', 'jo@example.com'],
      ['redirect_url', 'https://shop.example/thanks'],
      ['metadata', { sku: 'GOLD-PLAN' }],
      ['payment_token', 'token-of-the-checkout'],
      ['checkout_url', 'https://pay.example.com/pay/token-of-the-checkout'],
      ['expires_at', '2026-05-24T12:05:00Z'],
      ['confirmed_at', null],
      ['created_at', '2026-05-24T11:35:00Z'],
      ['reason', null],
      ['deposits', []],
      ['deposits_total', 0],
      ['remaining', '50.000000'],
      ['price', { amount: '50.00', currency: 'USD' }],
      ['provider', null],
      ['required_confirmations', 15],
      ['locale', ''],
      ['checkout_session', ''],
      ['replaces', null],
      ['replaced_by', null],
      ['livemode', true],
    ]);
  });

  test('shows as many required confirmations as its tier says, and all of them once more came than that', () => {
    const tier = { confirmations: 2, upToAmount: usdt(50) };
    expect(shown({ tier }).required_confirmations).toBe(2);
    expect(shown({ tier, exceedsTier: true }).required_confirmations).toBe(15);
  });

  test('shows empty texts and an empty object where nothing was given', () => {
    const bare = shown({ externalOrderId: '', customerEmail: '', redirectUrl: '', metadata: {} });
    expect(bare).toMatchObject({ external_order_id: '', customer_email: '', redirect_url: '', metadata: {} });
  });

  test('shows times in UTC to the second', () => {
    const times = shown({ createdAt: createdAt + 999, confirmedAt: createdAt + 61_999 });
    expect(times).toMatchObject({
      created_at: '2026-05-24T11:35:00Z',
      confirmed_at: '2026-05-24T11:36:01Z',
      expires_at: '2026-05-24T12:05:00Z',
    });
  });

  test.each([
    ['a stablecoin of 18 decimals', {}, usdt(50), '50.000000'],
    ['a stablecoin of 6 decimals', { decimals: 6 }, 50_000_000n, '50.000000'],
    ['a stablecoin of 2 decimals', { decimals: 2 }, 5_000n, '50.000000'],
    ['a value with more digits than are usual', {}, usdt(50) + 1n, '50.000000000000000001'],
    ['a native coin of 18 decimals', native, 83_333_340_000_000_000n, '0.08333334'],
    ['a native coin of 6 decimals', { ...native, decimals: 6 }, 200_500_000n, '200.500000'],
    ['nothing but a base unit', {}, 1n, '0.000000000000000001'],
  ] as const)('shows the exact amount of %s', (_what, asset, expectedAmount, text) => {
    expect(shown({ ...asset, expectedAmount }).expected_crypto_amount).toBe(text);
  });

  test('shows what was seen at once, with the confirmations of its block', () => {
    const seen = shown({}, [testDeposit({ amount: usdt(20), height: 110 })], 112);
    expect(seen).toMatchObject({
      status: 'pending',
      actual_crypto_amount: '20.000000',
      tx_hash: txHash(1),
      confirmations: 3,
      deposits: [{ tx_hash: txHash(1), amount: '20.000000', confirmations: 3, status: 'seen' }],
    });
  });

  test('has one confirmation while the head is the block of its transfer, and none while it is lower', () => {
    expect(shown({}, [testDeposit({ height: 110 })], 110).confirmations).toBe(1);
    expect(shown({}, [testDeposit({ height: 110 })], 109).confirmations).toBe(0);
  });

  test('shows nothing of what the chain took back', () => {
    expect(shown({}, [testDeposit({ status: 'orphaned' })])).toMatchObject({
      actual_crypto_amount: null,
      tx_hash: '',
      confirmations: 0,
      deposits: [],
    });
  });

  test('is known by the first transfer seen, and once confirmed by the one that completed the amount', () => {
    const first = testDeposit({
      id: 1,
      txHash: txHash(1),
      height: 110,
      amount: usdt(20),
      status: 'confirmed',
    });
    const second = testDeposit({
      id: 2,
      txHash: txHash(2),
      height: 114,
      amount: usdt(30),
      status: 'confirmed',
    });
    expect(shown({}, [second, first])).toMatchObject({ tx_hash: txHash(1), confirmations: 11 });
    const confirmed = shown({ status: 'confirmed', completedBy: txHash(2) }, [first, second]);
    expect(confirmed).toMatchObject({
      tx_hash: txHash(2),
      confirmations: 7,
      actual_crypto_amount: '50.000000',
      deposits: [
        { tx_hash: txHash(2), status: 'confirmed' },
        { tx_hash: txHash(1), status: 'confirmed' },
      ],
    });
  });

  test('shows late money with the status late and within the actual amount', () => {
    const late = testDeposit({ role: 'late', status: 'confirmed', amount: usdt(7) });
    expect(shown({ status: 'expired', reason: 'late' }, [late])).toMatchObject({
      reason: 'late',
      actual_crypto_amount: '7.000000',
      deposits: [{ tx_hash: txHash(1), amount: '7.000000', confirmations: 11, status: 'late' }],
    });
  });
});

describe('the body of a payment event', () => {
  const paid = view(
    { status: 'confirmed', confirmedAt: Date.UTC(2026, 4, 24, 11, 37, 56), completedBy: txHash(1) },
    [testDeposit({ status: 'confirmed' })],
  );

  test("begins with the seed's eight keys in their order, then status, network, metadata, created_at, payment", () => {
    expect(Object.entries(body('payment.confirmed', paid)).slice(0, 12)).toEqual([
      ['event', 'payment.confirmed'],
      ['payment_id', 'PAY-2026-ABCDEF1234'],
      ['external_order_id', 'order-9837'],
      ['amount', '50.000000'],
      ['currency', 'USDT'],
      ['chain', 'BNB Smart Chain'],
      ['tx_hash', txHash(1)],
      ['confirmed_at', '2026-05-24T11:37:56+00:00'],
      ['status', 'confirmed'],
      ['network', 'bsc'],
      ['metadata', { sku: 'GOLD-PLAN' }],
      ['created_at', '2026-05-24T11:35:00Z'],
    ]);
    expect(Object.keys(body('payment.confirmed', paid)).slice(12)).toEqual([
      'payment',
      'checkout_session',
      'livemode',
    ]);
  });

  test('holds the payment as it is retrieved, without what opens the checkout', () => {
    const { payment_token, checkout_url, ...retrieved } = presentPayment(paid, publicUrl);
    expect(body('payment.confirmed', paid).payment).toEqual(retrieved);
    expect(paymentEventBody('payment.confirmed', paid)).not.toContain(payment_token);
  });

  test('names the expected amount, no transaction and no time where nothing was received', () => {
    expect(body('payment.expired', view({ status: 'expired' }))).toMatchObject({
      event: 'payment.expired',
      amount: '50.000000',
      tx_hash: '',
      confirmed_at: null,
      status: 'expired',
    });
  });

  test('names the received amount where it differs from the expected one', () => {
    const little = view({ status: 'failed', reason: 'underpaid' }, [testDeposit({ amount: usdt(49) })]);
    expect(body('payment.failed', little)).toMatchObject({ amount: '49.000000', status: 'failed' });
  });

  test.each([
    ['bsc', 'bnb', 'BNB', 'BNB Smart Chain'],
    ['ethereum', 'eth', 'ETH', 'Ethereum'],
    ['tron', 'trx', 'TRX', 'TRON'],
  ] as const)('names the native coin of %s and its chain', (network, coin, symbol, chain) => {
    const of = view({ ...native, network, coin, chain });
    expect(body('payment.expired', of)).toMatchObject({ currency: symbol, chain });
  });
});

describe('the body of deposit.unmatched', () => {
  test('begins with the same eight keys and tells what came, where and why nobody has it', () => {
    const deposit = testDeposit({
      role: 'unmatched',
      unmatchedReason: 'wrong_token',
      paymentId: null,
      token: tokenKey('bsc', 'usdc'),
      currency: 'usdc',
      amount: usdt(7),
    });
    const text = unmatchedEventBody([[deposit, evmAddress(1)]], 1, testChain('bsc'), null);
    expect(Object.entries(JSON.parse(text)).slice(0, 8)).toEqual([
      ['event', 'deposit.unmatched'],
      ['payment_id', null],
      ['external_order_id', ''],
      ['amount', '7.000000'],
      ['currency', 'USDC'],
      ['chain', 'BNB Smart Chain'],
      ['tx_hash', txHash(1)],
      ['confirmed_at', null],
    ]);
    expect(JSON.parse(text)).toMatchObject({
      status: 'unmatched',
      network: 'bsc',
      metadata: {},
      deposit: { id: 1, address: evmAddress(1), block_height: 110, reason: 'wrong_token' },
    });
  });

  test('shows a native coin with at least 8 decimals', () => {
    const deposit = testDeposit({ currency: 'native', token: 'native', amount: usdt(7), paymentId: null });
    const text = unmatchedEventBody([[deposit, evmAddress(1)]], 1, testChain('bsc'), null);
    expect(JSON.parse(text)).toMatchObject({ amount: '7.00000000', currency: 'BNB' });
  });
});

test('what is shown of an expiry is the very second that counts', () => {
  expect(new Date(shown().expires_at).getTime()).toBe(expiresAt);
});
