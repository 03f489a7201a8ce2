import { expect, test } from 'vitest';
import { openLoneChain } from '../support/lone-chain.ts';
import { waitFor } from '../support/wait.ts';

type ShownNode = { host: string; state: string; lacks: string[]; head: number | null; lag: number | null };
type Chains = { data: { nodes: ShownNode[] }[] };
type Status = { chains: { nodes: ShownNode[] }[] };

test('a node that refuses eth_getLogs is named in the log and in status, and payments are confirmed by others', async () => {
  const shop = await openLoneChain({ others: 1 });
  // As the official nodes of BSC do.
  const refused = { kind: 'refuse', code: -32005, message: 'limit exceeded' } as const;
  shop.proxy.inject(refused, { method: 'eth_getLogs' });
  const payment = await shop.create();
  await shop.pay(payment);
  await shop.anvil.mine(20);
  await shop.until(payment, 'confirmed', ({ status }) => status === 'confirmed');

  const { host } = new URL(shop.proxy.url);
  const limited = { host, state: 'limited', lacks: ['logs'] };
  expect(shop.home.logs).toContainEqual(
    expect.objectContaining({
      level: 'warn',
      msg: 'rpc endpoint limited',
      network: 'bsc',
      host,
      lacks: 'logs',
    }),
  );
  const { body } = await shop.admin.get<Chains>('/chains/');
  expect(body.data[0]?.nodes).toMatchObject([limited, { state: 'ready', lacks: [], lag: 0 }]);

  const noted = await waitFor('the other node to be noted', async () => {
    const status = await shop.home.runJson<Status>('status');
    const nodes = status.chains[0]?.nodes ?? [];
    return nodes[1]?.head !== null && nodes;
  });
  expect(noted).toMatchObject([limited, { state: 'ready', lacks: [], lag: 0 }]);
  const { stdout } = await shop.home.run('status');
  expect(stdout).toMatch(new RegExp(`bsc +${host} .* serves no logs\n`));
});
