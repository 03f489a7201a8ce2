import { beforeAll, describe, expect, test } from 'vitest';
import type { PaymentBody } from '../support/api.ts';
import { webhookBody } from '../support/receiver.ts';
import { type Currency, type EvmNetwork, type Scenario, startScenario } from '../support/scenario.ts';

let shop: Scenario;
beforeAll(async () => {
  shop = await startScenario();
  return shop.stop;
});

const assets: { network: EvmNetwork; currency: Currency; symbol: string; expected: string }[] = [
  { network: 'bsc', currency: 'usdt', symbol: 'USDT', expected: '50.000000' },
  { network: 'bsc', currency: 'usdc', symbol: 'USDC', expected: '50.000000' },
  { network: 'bsc', currency: 'busd', symbol: 'BUSD', expected: '50.000000' },
  { network: 'bsc', currency: 'native', symbol: 'BNB', expected: '0.08163266' },
  { network: 'ethereum', currency: 'usdt', symbol: 'USDT', expected: '50.000000' },
  { network: 'ethereum', currency: 'usdc', symbol: 'USDC', expected: '50.000000' },
  { network: 'ethereum', currency: 'busd', symbol: 'BUSD', expected: '50.000000' },
  { network: 'ethereum', currency: 'native', symbol: 'ETH', expected: '0.01666667' },
];

describe.each(assets)('$symbol on $network', ({ network, currency, symbol, expected }) => {
  test('is confirmed at exactly its confirmations and not one block earlier', async () => {
    const required = network === 'bsc' ? 15 : 12;
    const { anvil } = shop.chain(network);
    const order = { external_order_id: `order of ${symbol}`, metadata: { sku: 'GOLD-PLAN' } };
    const payment = await shop.create(network, currency, order);
    expect(payment).toMatchObject({ status: 'pending', expected_crypto_amount: expected, tx_hash: '' });

    const txHash = await shop.payAndMine(payment, 1);
    const seen = await shop.until(payment, 'seen', (body) => body.confirmations === 1);
    expect(seen).toMatchObject({ status: 'pending', tx_hash: txHash, actual_crypto_amount: expected });

    await anvil.mine(required - 2);
    await shop.untilRead(network);
    const almost = await shop.retrieve(payment);
    expect(almost).toMatchObject({ status: 'pending', confirmations: required - 1, confirmed_at: null });

    await anvil.mine(1);
    const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
    expect(confirmed).toMatchObject({ confirmations: required, tx_hash: txHash, reason: null });

    const [webhook] = await shop.receiver.waitForEvent('payment.confirmed', payment.payment_number);
    expect(webhook?.verified).toBe(true);
    expect(webhook?.headers['x-payhook-event']).toBe('payment.confirmed');
    expect(webhook && webhookBody(webhook)).toEqual({
      event: 'payment.confirmed',
      payment_id: payment.payment_number,
      external_order_id: `order of ${symbol}`,
      amount: expected,
      currency: symbol,
      chain: network === 'bsc' ? 'BNB Smart Chain' : 'Ethereum',
      tx_hash: txHash,
      confirmed_at: confirmed.confirmed_at?.replace('Z', '+00:00'),
      status: 'confirmed',
      network,
      livemode: true,
      checkout_session: '',
      metadata: { sku: 'GOLD-PLAN' },
      created_at: payment.created_at,
      payment: withoutCredentials(confirmed),
    });
    expect(await shop.eventsOf(payment)).toEqual(['payment.detected', 'payment.confirmed']);
  });
});

function withoutCredentials({ payment_token, checkout_url, ...rest }: PaymentBody): Partial<PaymentBody> {
  return rest;
}
