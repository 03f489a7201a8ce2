import { beforeAll, describe, expect, test } from 'vitest';
import { mintCall } from '../../src/demo/token.ts';
import { type EvmNetwork, type Scenario, startScenario } from '../support/scenario.ts';
import { sendSigned, signTransaction } from '../support/wallet.ts';

let shop: Scenario;
beforeAll(async () => {
  // Finality trails the head by 24 blocks, so that a reorg of 20 contradicts nothing final.
  shop = await startScenario({ slotsInAnEpoch: 12 });
  return shop.stop;
});

const cases = (['bsc', 'ethereum'] as const).flatMap((network) =>
  [1, 5, 20].map((depth) => ({ network, depth })),
);

/** Confirmations that suffice here: on BSC those that bring finality, on Ethereum 12. */
const enough: Record<EvmNetwork, number> = { bsc: 25, ethereum: 12 };

describe.each(cases)('a reorg of $depth blocks on $network', ({ network, depth }) => {
  const confirmedBefore = depth >= enough[network];

  test('that drops the transfer takes its payment back to unseen', async () => {
    const { anvil } = shop.chain(network);
    const payment = await shop.create(network, 'usdt');
    await shop.payAndMine(payment, depth);
    await shop.until(payment, `at ${depth} confirmations`, (body) => body.confirmations === depth);
    if (confirmedBefore) await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');

    await anvil.reorg(depth);
    const dropped = await shop.until(payment, 'unseen', (body) => body.tx_hash === '');
    expect(dropped).toMatchObject({ actual_crypto_amount: null, confirmations: 0, deposits: [] });
    if (confirmedBefore) {
      expect(dropped).toMatchObject({ status: 'failed', reason: 'reorged' });
      expect(await shop.eventsOf(payment)).toEqual([
        'payment.detected',
        'payment.confirmed',
        'payment.reverted',
      ]);
      return;
    }
    expect(dropped.status).toBe('pending');

    // Whoever pays again pays.
    const txHash = await shop.payAndMine(payment, enough[network]);
    const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
    expect(confirmed).toMatchObject({ tx_hash: txHash, reason: null, actual_crypto_amount: '50.000000' });
    expect((await shop.eventsOf(payment)).filter((event) => event === 'payment.confirmed')).toHaveLength(1);
  });

  test('after which the same transaction is mined again elsewhere confirms its payment there', async () => {
    const { anvil, tokens } = shop.chain(network);
    const payment = await shop.create(network, 'usdt');
    const signed = await signTransaction(anvil, shop.paymentRequest(payment));
    const txHash = await sendSigned(anvil, signed);
    await anvil.mine(depth);
    await shop.until(payment, `at ${depth} confirmations`, (body) => body.confirmations === depth);
    if (confirmedBefore) await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');

    await anvil.reorg(depth);
    await shop.until(payment, 'unseen', (body) => body.tx_hash === '');
    // Other transfers come first this time: in its new block the log has another index.
    const other = anvil.accounts[1] as string;
    await anvil.send({ from: other, ...mintCall(tokens.usdt, other, 1n) });
    await anvil.send({ from: other, ...mintCall(tokens.usdt, other, 1n) });
    expect(await sendSigned(anvil, signed)).toBe(txHash);
    await anvil.mine(enough[network] - 1);
    await shop.untilRead(network);
    const waiting = await shop.retrieve(payment);
    expect(waiting).toMatchObject({ tx_hash: txHash, confirmations: enough[network] - 1 });
    expect(waiting.status).toBe(confirmedBefore ? 'failed' : 'pending');

    await anvil.mine(1);
    const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
    expect(confirmed).toMatchObject({ tx_hash: txHash, reason: null, actual_crypto_amount: '50.000000' });
    expect(confirmed.deposits).toHaveLength(1);
    expect(await shop.eventsOf(payment)).toEqual(
      confirmedBefore
        ? ['payment.detected', 'payment.confirmed', 'payment.reverted', 'payment.confirmed']
        : ['payment.detected', 'payment.confirmed'],
    );
  });
});

test('on BSC fifteen confirmations do not suffice before the block is final', async () => {
  const payment = await shop.create('bsc', 'usdt');
  await shop.payAndMine(payment, 24);
  await shop.untilRead('bsc');
  expect(await shop.retrieve(payment)).toMatchObject({ status: 'pending', confirmations: 24 });
  await shop.bsc.anvil.mine(1);
  const confirmed = await shop.until(payment, 'confirmed', (body) => body.status === 'confirmed');
  expect(confirmed.confirmations).toBe(25);
});

test('a head that goes backwards changes nothing', async () => {
  const { anvil } = shop.ethereum;
  const payment = await shop.create('ethereum', 'usdt');
  const txHash = await shop.payAndMine(payment, 8);
  await shop.until(payment, 'at 8 confirmations', (body) => body.confirmations === 8);
  await anvil.rollback(3);
  await shop.untilPolled('ethereum');
  expect(await shop.retrieve(payment)).toMatchObject({ status: 'pending', tx_hash: txHash });
  expect(await shop.eventsOf(payment)).toEqual(['payment.detected']);
});
