import { expect, test } from 'vitest';
import { transferCall } from '../../src/demo/token.ts';
import { evmAddress } from '../support/addresses.ts';
import { openLoneChain } from '../support/lone-chain.ts';
import { placeTokens } from '../support/tokens.ts';
import { waitFor } from '../support/wait.ts';

type List = { data: Record<string, unknown>[] };
type Shown = Record<string, unknown>;

test('the operator’s API and the commands show each thing in the same words', async () => {
  const { home, admin, anvil, ...shop } = await openLoneChain();
  const payment = await shop.create();
  await shop.pay(payment);
  const { usdt } = await placeTokens(anvil, 'bsc');
  await anvil.send(transferCall(usdt, evmAddress(5), 7n * 10n ** 18n));
  await anvil.mine(20);
  await shop.until(payment, 'confirmed', ({ status }) => status === 'confirmed');
  await waitFor('the stray deposit', async () => {
    const { body } = await admin.get<List>('/deposits/?status=unmatched');
    return body.data.length === 1;
  });
  const [merchant] = (await admin.get<List>('/merchants/')).body.data;
  const id = String(merchant?.id);
  await home.runJson('webhook', 'add', '--merchant', id, 'https://shop.example/hook', '--events', 'pool.low');

  const lists: [path: string, command: string[]][] = [
    ['/merchants/', ['merchant', 'list']],
    [`/merchants/${id}/api-keys/`, ['key', 'list', '--merchant', id]],
    [`/merchants/${id}/addresses/`, ['address', 'list', '--merchant', id]],
    [`/merchants/${id}/derived-pools/`, ['address', 'pools', '--merchant', id]],
    [`/merchants/${id}/webhooks/`, ['webhook', 'list', '--merchant', id]],
    ['/payments/', ['payment', 'list']],
    ['/deposits/', ['deposit', 'list']],
    ['/deliveries/', ['delivery', 'list']],
  ];
  for (const [path, command] of lists) {
    const { data } = (await admin.get<List>(path)).body;
    expect(await home.runJson<List>(...command), path).toEqual({ data });
  }

  type Status = { chains: Shown[]; pools: Shown[] };
  const { chains, pools } = await home.runJson<Status>('status');
  expect(pools).toEqual((await admin.get<List>('/pool/')).body.data);
  const [chain] = (await admin.get<List>('/chains/')).body.data;
  const { pending_payments, ...shown } = chains[0] ?? {};
  expect(pending_payments).toBe(0);
  // What changes from moment to moment has the same names at least.
  expect(namesIn(shown)).toEqual(namesIn(chain));
});

/** The names of all that is in a value, whatever it is now. */
function namesIn(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(namesIn);
  if (value === null || typeof value !== 'object') return null;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, namesIn(inner)]));
}
