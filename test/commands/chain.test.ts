import { expect, test } from 'vitest';
import type { FaultProxy } from '../support/fault-proxy.ts';
import type { RpcRequest } from '../support/faults.ts';
import { type LoneChain, openLoneChain } from '../support/lone-chain.ts';
import { waitFor } from '../support/wait.ts';
import { readAudit } from './support.ts';

type Chain = {
  cursor: { height: number } | null;
  reason: string | null;
  coverage: { gaps: { from: number; to: number }[] } | null;
};

async function chainOf({ admin }: LoneChain): Promise<Chain> {
  const { body } = await admin.get<{ data: [Chain] }>('/chains/');
  return body.data[0];
}

const heightOf = (tag: unknown) => (/^0x/.test(String(tag)) ? Number(tag) : Number.POSITIVE_INFINITY);

/** A node that keeps no block below this one. */
function prune(proxy: FaultProxy, below: number): void {
  const rewrite = (result: unknown, { params }: RpcRequest) => (heightOf(params[0]) < below ? null : result);
  proxy.inject({ kind: 'rewrite', rewrite }, { method: 'eth_getBlockByNumber' });
  const startsBelow = ({ params }: RpcRequest) =>
    heightOf((params[0] as { fromBlock?: unknown } | undefined)?.fromBlock) < below;
  const fault = { kind: 'refuse', code: -32_000, message: 'history has been pruned for this block' } as const;
  proxy.inject(fault, { method: 'eth_getLogs', matches: startsBelow });
}

test('chain accept-fork beside a running daemon lets a stopped chain go on, and takes back what it must', async () => {
  const shop = await openLoneChain({ chain: { finality: 'finalized', confirmations: 3 } });
  const { anvil, home, proxy } = shop;
  const finality = proxy.inject({ kind: 'final-is-latest' }, { method: 'eth_getBlockByNumber' });
  const payment = await shop.create();
  await shop.pay(payment);
  await anvil.mine(6);
  await shop.until(payment, 'confirmed', ({ status }) => status === 'confirmed');
  const read = await anvil.height();
  await anvil.reorg(6);
  await anvil.mine(3);
  await waitFor('the chain to stop', async () => (await chainOf(shop)).reason?.includes('final') === true);
  expect(home.logs).toContainEqual(expect.objectContaining({ level: 'fatal', msg: 'finality violated' }));
  expect(await home.run('chain', 'accept-fork', '--network', 'bsc', '--reason', ' ')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('--reason: it is empty'),
  });

  const accepted = await home.runJson<{ from: number; payments: object[] }>(
    ...['chain', 'accept-fork', '--network', 'bsc', '--reason', 'the validators went back'],
  );
  expect(accepted).toMatchObject({
    network: 'bsc',
    from: read,
    disconnected: 1,
    payments: [
      { payment_number: payment.payment_number, was: 'confirmed', status: 'failed', reason: 'reorged' },
    ],
  });
  await shop.untilRead();
  expect((await chainOf(shop)).reason).toBeNull();
  expect(await shop.eventsOf(payment)).toEqual(['payment.detected', 'payment.confirmed', 'payment.reverted']);
  expect(await readAudit(home.folder)).toContainEqual(
    expect.objectContaining({
      actor: 'cli',
      action: 'chain.fork_accepted',
      subject: 'bsc',
      detail: expect.objectContaining({ reason: 'the validators went back', from: read }),
    }),
  );
  finality.remove();
});

test('chain set-cursor beside a running daemon leaves unread what its only node has forgotten, as a gap', async () => {
  const shop = await openLoneChain();
  const { anvil, home, proxy } = shop;
  await shop.untilRead();
  const read = await anvil.height();
  await home.current().stop();
  await anvil.mine(300);
  const kept = read + 200;
  prune(proxy, kept);
  await home.start();
  await waitFor('the log to say so', async () =>
    home.logs.some(({ msg, reason }) => msg === 'chain poll failing' && String(reason).includes(`${read}`)),
  );
  expect((await chainOf(shop)).cursor?.height).toBe(read);

  const to = ['chain', 'set-cursor', '--network', 'bsc', '--reason', 'pruned', '--height'];
  expect(await home.run(...to, String(read + 100), '--skip')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`no node shows block ${read + 100}`),
  });
  expect(await home.run(...to, String(kept))).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('--skip'),
  });
  expect(await home.runJson<object>(...to, String(kept), '--skip')).toMatchObject({
    network: 'bsc',
    from: read,
    to: kept,
    skipped: kept - read,
  });
  await shop.untilRead();
  await waitFor('the gap to be shown', async () => {
    const { coverage } = await chainOf(shop);
    return coverage?.gaps.some(({ from, to: end }) => from === read + 1 && end === kept) ?? false;
  });
  const payment = await shop.create();
  await shop.pay(payment);
  await anvil.mine(15);
  await shop.until(payment, 'confirmed', ({ status }) => status === 'confirmed');
  expect(await readAudit(home.folder)).toContainEqual(
    expect.objectContaining({
      action: 'chain.cursor_set',
      detail: { reason: 'pruned', from: read, to: kept, skipped: kept - read },
    }),
  );
});
