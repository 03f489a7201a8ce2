import { expect, onTestFinished, test } from 'vitest';
import type { AddressKey } from '../../src/core/address.ts';
import type { Transfer } from '../../src/core/chain.ts';
import { startSimulatedTron } from '../../src/demo/tron/chain.ts';
import { pollOf, watching } from '../support/evm.ts';
import { tokenKey } from '../support/payments.ts';
import { openSimulatedSource } from '../support/tron/source.ts';
import { waitFor } from '../support/wait.ts';

/*
 * The simulated TRON of the demo, read by the source of the daemon, which checks every hash.
 */

const recipient = '11'.repeat(20) as AddressKey;
const usdt = tokenKey('tron', 'usdt') as AddressKey;
const signal = new AbortController().signal;

async function ask(url: string, body: object): Promise<Record<string, unknown>> {
  const answer = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  return (await answer.json()) as Record<string, unknown>;
}

test('what is sent to the simulated TRON is read once, and a reorg takes it off again', async () => {
  const chain = await startSimulatedTron({ blockSeconds: 0.05 });
  onTestFinished(() => chain.stop());
  const source = openSimulatedSource(chain, { clock: Date.now });
  await source.verify(signal);
  // Below what a reorg can take off.
  const { cursor } = await source.start(20, signal);
  const read = async () => {
    const { head } = await source.start('latest', signal);
    const found: Transfer[] = [];
    for (let at = cursor; at.height < head.height; ) {
      const outcome = await source.poll(
        pollOf({ cursor: at, head, watch: watching(recipient), native: true }),
      );
      if (outcome.kind !== 'span') throw new Error(outcome.kind);
      found.push(...outcome.span.transfers);
      at = outcome.span.to;
    }
    return found;
  };

  const address = { to: `41${recipient}` };
  const paid = await ask(`${chain.url}/simulated/send`, {
    ...address,
    token: `41${usdt}`,
    amount: '5000000',
  });
  const coins = await ask(`${chain.url}/simulated/send`, { ...address, token: 'native', amount: '7' });
  const found = await waitFor('both to be mined', async () => {
    const transfers = await read();
    return transfers.length > 1 && transfers;
  });
  expect(found.map(({ txHash, token, amount }) => [txHash, token, amount])).toEqual([
    [paid.txID, usdt, 5_000_000n],
    [coins.txID, 'native', 7n],
  ]);

  expect(await ask(`${chain.url}/simulated/reorg`, { height: found[0]?.block.height })).toEqual({});
  expect(await read()).toEqual([]);
  const { height: solid } = await ask(`${chain.url}/simulated/solid`, {});
  expect(await ask(`${chain.url}/simulated/reorg`, { height: solid })).toEqual({
    Error: 'the block is solid',
  });
});

test('what is no transfer is refused, and changes nothing', async () => {
  const chain = await startSimulatedTron({ blockSeconds: 60 });
  onTestFinished(() => chain.stop());
  const right = { token: 'native', to: `41${recipient}`, amount: '1' };
  for (const wrong of [{ token: 'usdt' }, { to: 'T' }, { amount: 1 }, { amount: '-1' }, { amount: '1.5' }])
    expect(await ask(`${chain.url}/simulated/send`, { ...right, ...wrong })).toEqual({
      Error: 'not a transfer',
    });
});
