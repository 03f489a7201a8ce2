import { beforeAll, describe, expect, test } from 'vitest';
import type { AddressKey } from '../../src/core/address.ts';
import type { TxHash } from '../../src/core/chain.ts';
import { batcher, payer, transferLog } from '../../src/demo/tron/transactions.ts';
import { sidesOf } from '../support/stubborn.ts';
import { openTronShop, startTronShop, type TronShop } from '../support/tron/shop.ts';
import { waitFor } from '../support/wait.ts';

/*
 * The real daemon on TRON, over simulated nodes: what a customer pays is confirmed, once, when it is safe.
 */

async function isPendingAfter(shop: TronShop, payment: Parameters<TronShop['retrieve']>[0], blocks: number) {
  shop.chain.mine(blocks);
  await shop.untilRead();
  expect((await shop.retrieve(payment)).status).toBe('pending');
}

describe('a daemon', () => {
  let shop: TronShop;
  beforeAll(async () => {
    shop = await startTronShop();
    return shop.stop;
  });

  test.each(['usdt', 'native'] as const)(
    '%s is confirmed at 20 blocks and not one earlier',
    async (currency) => {
      const payment = await shop.create(currency);
      expect(payment.expected_crypto_amount).toBe(currency === 'usdt' ? '50.000000' : '200.000000');
      expect(payment.assigned_address).toMatch(/^T.{33}$/);
      const txHash = shop.pay(payment);
      await isPendingAfter(shop, payment, 1);
      const seen = await shop.until(payment, 'seen', ({ tx_hash }) => tx_hash !== '');
      expect(seen).toMatchObject({ tx_hash: txHash, confirmations: 1 });
      expect(txHash).toMatch(/^[0-9a-f]{64}$/);
      await isPendingAfter(shop, payment, 18);
      shop.chain.mine();
      const confirmed = await shop.untilConfirmed(payment);
      expect(confirmed).toMatchObject({ tx_hash: txHash, confirmations: 20, reason: null });
      expect(await shop.eventsOf(payment)).toEqual(['payment.detected', 'payment.confirmed']);
      const [event] = (await shop.api.allEvents()).filter(
        ({ body }) => body.event === 'payment.confirmed' && body.payment_id === payment.payment_number,
      );
      expect(event?.body).toMatchObject({
        chain: 'TRON',
        network: 'tron',
        currency: currency === 'usdt' ? 'USDT' : 'TRX',
        tx_hash: txHash,
      });
    },
  );

  test('a fork that drops the transfer and mines it again elsewhere leaves one deposit', async () => {
    const [kept, dropped] = [await shop.create(), await shop.create('native')];
    const [keptHash, droppedHash] = [shop.pay(kept), shop.pay(dropped)];
    shop.chain.mine(6);
    await shop.until(kept, 'seen', ({ tx_hash }) => tx_hash !== '');
    await shop.until(dropped, 'seen', ({ tx_hash }) => tx_hash !== '');
    shop.chain.reorg({ depth: 6, blocks: 8, place: (tx) => (tx === keptHash ? 3 : null) });
    await shop.until(dropped, 'unseen again', ({ tx_hash }) => tx_hash === '');
    const moved = await shop.until(kept, 'seen in its new block', ({ confirmations }) => confirmations === 5);
    expect(moved.deposits).toHaveLength(1);
    shop.chain.sendAgain(droppedHash as never);
    shop.chain.mine(22);
    for (const payment of [kept, dropped]) {
      const confirmed = await shop.untilConfirmed(payment);
      expect(confirmed.deposits).toHaveLength(1);
    }
  });

  test('two equal transfers in one transaction of a batch contract are two deposits, and pay together', async () => {
    const payment = await shop.create();
    const half = shop.transferOf(payment, 2);
    shop.chain.send(half, half);
    shop.chain.mine(21);
    const confirmed = await shop.untilConfirmed(payment);
    expect(confirmed.deposits.map(({ amount }) => amount)).toEqual(['25.000000', '25.000000']);
    expect(new Set(confirmed.deposits.map(({ tx_hash }) => tx_hash)).size).toBe(1);

    // Read again by its hash, they are the same two.
    const again = await shop.home.runJson<{ deposits: unknown[]; transfers: { known: number; new: number } }>(
      ...['rescan', '--network', 'tron', '--tx', confirmed.tx_hash],
    );
    expect(again.deposits).toHaveLength(2);
    expect(again.transfers).toMatchObject({ known: 2, new: 0 });
  });

  test('a call that ran out of time pays nothing, though its log says so, and one by transferFrom does', async () => {
    const [fake, real] = [await shop.create(), await shop.create()];
    const call = (payment: typeof fake, contractRet: string) => {
      const { token, recipient, amount, currency } = shop.transferOf(payment);
      shop.chain.sendCustom(
        {
          type: 'TriggerSmartContract',
          // The word of the recipient holds a 41, as wallets write it.
          value: {
            data: `23b872dd${payer.padStart(64, '0')}${`41${recipient}`.padStart(64, '0')}`,
            owner_address: batcher,
            contract_address: `41${token}`,
          },
          contractRet,
          logs: [transferLog(token, recipient, amount)],
        },
        contractRet === 'SUCCESS' ? [{ token, recipient, amount, currency }] : [],
      );
    };
    call(fake, 'OUT_OF_TIME');
    call(real, 'SUCCESS');
    shop.chain.mine(21);
    await shop.untilConfirmed(real);
    expect(await shop.retrieve(fake)).toMatchObject({ status: 'pending', tx_hash: '', deposits: [] });
  });

  test('more than a double can hold is recorded to the last unit', async () => {
    const payment = await shop.create('native');
    const { recipient } = shop.transferOf(payment);
    shop.chain.send({ token: 'native', currency: 'native', recipient, amount: 2n ** 53n + 1n });
    shop.chain.mine(21);
    const confirmed = await shop.untilConfirmed(payment);
    expect(confirmed).toMatchObject({ reason: 'overpaid', actual_crypto_amount: '9007199254.740993' });
  });

  test('addresses are imported as base58 and as the hex of nodes; those of other chains and contracts are not', async () => {
    const [merchant] = (await shop.admin.get<{ data: { id: string }[] }>('/merchants/')).body.data;
    const key = '99'.repeat(20) as AddressKey;
    const usdt = 'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t';
    const addresses = [`41${key}`, `0x${key}`, usdt, 'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6a'];
    const answer = await shop.admin.post<{
      added: number;
      results: { status: string; reason: string | null }[];
    }>(`/merchants/${merchant?.id}/addresses/`, { network: 'tron', addresses });
    expect(answer.body.results.map(({ status, reason }) => reason ?? status)).toEqual([
      'added',
      expect.stringContaining('EVM address'),
      expect.stringContaining('usdt token contract'),
      expect.stringContaining('checksum'),
    ]);
  });
});

test('a node that answers {} and [] at random, and one that lags, cost nothing', async () => {
  const shop = await openTronShop();
  const [moody, lagging] = shop.nodes;
  if (moody === undefined || lagging === undefined) throw new Error('no nodes');
  let dice = 1;
  moody.fault = ({ method }, answer) => {
    dice = (dice * 16_807) % 2_147_483_647;
    if (dice % 5 > 0 || method === 'getblock' || method === 'getnodeinfo') return answer;
    return { ...answer, text: method.startsWith('gettransactioninfo') ? '[]' : '{}' };
  };
  lagging.view = { behind: 3 };
  const payments = await Promise.all([shop.create(), shop.create(), shop.create('native')]);
  for (const payment of payments) shop.pay(payment);
  for (let n = 0; n < 26; n++) {
    shop.chain.mine();
    await shop.untilRead();
  }
  for (const payment of payments) {
    const confirmed = await shop.untilConfirmed(payment);
    expect(confirmed.deposits).toHaveLength(1);
  }
});

test('L4: at 20 blocks it is not confirmed before its block is solid, and a stalled solid block is told', async () => {
  const shop = await openTronShop({ solidLag: 30 });
  const payment = await shop.create();
  shop.pay(payment);
  await isPendingAfter(shop, payment, 25);
  shop.chain.mine(5);
  // Solid at the nodes, and 30 deep: now.
  await isPendingAfter(shop, payment, 0);
  shop.chain.mine(1);
  await shop.untilConfirmed(payment);

  const { height } = shop.chain.head();
  for (const node of shop.nodes) node.solidStuckAt = height - 30;
  const late = await shop.create();
  shop.pay(late);
  await isPendingAfter(shop, late, 40);
  await shop.home.advanceClock(600);
  await isPendingAfter(shop, late, 1);
  await waitFor('the stall to be told', () => shop.home.logs.some(({ msg }) => msg === 'finality stalled'));
  for (const node of shop.nodes) node.solidStuckAt = null;
  shop.chain.mine();
  await shop.untilConfirmed(late);
  expect(await shop.eventsOf(late)).toEqual(['payment.detected', 'payment.confirmed']);
}, 60_000);

test('a payment made in time is confirmed although the daemon was down for longer than it lived', async () => {
  const shop = await openTronShop();
  const payment = await shop.create();
  await shop.home.current().stop();
  shop.pay(payment);
  shop.chain.mine();
  await shop.home.advanceClock(3600);
  shop.chain.mine(60);
  await shop.home.start();
  const confirmed = await shop.untilConfirmed(payment);
  expect(confirmed.reason).toBeNull();
  expect(await shop.eventsOf(payment)).toEqual(['payment.detected', 'payment.confirmed']);
});

test('what contracts pay is found where the configuration asks for it', async () => {
  const shop = await openTronShop({ chain: { internalTransfers: true } });
  const payment = await shop.create('native');
  const half = shop.transferOf(payment, 2);
  shop.chain.send(half, half);
  shop.chain.mine(21);
  expect((await shop.untilConfirmed(payment)).deposits).toHaveLength(2);
  expect(shop.home.logs.some(({ msg }) => msg === 'internal transfers depend on nodes')).toBe(true);
});

test('where it does not, the balance shows it at the end of the payment', async () => {
  const shop = await openTronShop({ payments: { lifetimeSeconds: 5 } });
  const payment = await shop.create('native');
  shop.chain.mine();
  // What the address holds is noted at the head, before anything comes.
  await waitFor('the balance to be noted', () =>
    shop.nodes.some(
      ({ calls }) =>
        calls.at(-1)?.method !== 'getaccount' && calls.some(({ method }) => method === 'getaccount'),
    ),
  );
  const half = shop.transferOf(payment, 2);
  shop.chain.send(half, half);
  shop.chain.mine();
  await shop.untilRead();
  await shop.home.advanceClock(60);
  shop.chain.mine();
  await shop.until(payment, 'expired', ({ status }) => status === 'expired');
  await waitFor('the surplus to be told', () =>
    shop.home.logs.some(({ msg }) => msg === 'unexplained balance'),
  );
});

test('killed before or after any commit of TRON blocks, those of a fork among them, it loses nothing and doubles nothing', async () => {
  const shop = await openTronShop();
  await shop.home.current().stop();
  let [kills, over] = [0, false];
  // It is started again whenever it dies, and dies of nothing but what is asked of it.
  const run = async (): Promise<void> => {
    const { daemon, ready } = shop.home.launch({ commit: 0, side: 'before' });
    await ready;
    void daemon.ended.then(() => {
      if (over) return;
      kills += 1;
      again = run();
    });
  };
  let again = run();
  const insist = <T>(what: string, ask: () => Promise<T>) =>
    waitFor(what, async () => {
      await again;
      return ask().catch(() => null);
    });
  for (let [commit, last] = [1, -1]; kills > last; commit++) {
    last = kills;
    for (const side of sidesOf(commit)) {
      const payment = await insist('a payment', () => shop.create(side === 'before' ? 'usdt' : 'native'));
      await shop.home.killAt({ commit, side });
      const txHash = shop.pay(payment);
      shop.chain.mine(2);
      await shop.until(payment, 'seen', ({ tx_hash }) => tx_hash === txHash);
      shop.chain.reorg({ depth: 2, blocks: 3, place: () => null });
      await shop.until(payment, 'unseen again', ({ tx_hash }) => tx_hash === '');
      shop.chain.sendAgain(txHash as TxHash);
      shop.chain.mine(21);
      const confirmed = await shop.untilConfirmed(payment);
      expect(confirmed).toMatchObject({ tx_hash: txHash, reason: null });
      expect(confirmed.deposits).toHaveLength(1);
      const events = await insist('its events', () => shop.eventsOf(payment));
      expect(events).toEqual(['payment.detected', 'payment.confirmed']);
    }
  }
  over = true;
  // Seen, taken back, seen again, confirmed.
  expect(kills).toBeGreaterThanOrEqual(sidesOf(1).length * 4);
}, 180_000);
