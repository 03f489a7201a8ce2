import { describe, expect, test } from 'vitest';
import { anvilForTest, type TestAnvil } from './anvil.ts';
import { dice, type FaultProxy, type FaultProxyOptions, faultProxyForTest } from './fault-proxy.ts';
import type { LogFault } from './faults.ts';
import { placeTokens, transferToken } from './tokens.ts';

const customer = '0x1111111111111111111111111111111111111abc';

type Log = {
  blockNumber: string;
  blockHash: string;
  transactionHash: string;
  logIndex: string;
  removed: boolean;
};
type Answer = { id: number; result?: unknown; error?: { code: number; message: string } };

describe('a proxy without faults', () => {
  test('passes on what the node answers, singly and in a batch', async () => {
    const { anvil, proxy } = await open();
    await anvil.mine(3);
    expect(await ask(proxy, 'eth_blockNumber')).toBe('0x4');
    const answers = await batch(proxy, ['eth_chainId', []], ['eth_blockNumber', []]);
    expect(answers.map(({ id, result }) => [id, result])).toEqual([
      [0, '0x38'],
      [1, '0x4'],
    ]);
  });

  test('counts requests, calls, methods and bytes', async () => {
    const { proxy } = await open();
    const single = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'eth_chainId', params: [] });
    const answer = await (await post(proxy, single)).text();
    await batch(proxy, ['eth_chainId', []], ['eth_blockNumber', []]);
    expect(proxy.traffic()).toMatchObject({
      requests: 2,
      calls: 3,
      byMethod: { eth_chainId: 2, eth_blockNumber: 1 },
    });
    proxy.resetTraffic();
    await post(proxy, single);
    expect(proxy.traffic()).toMatchObject({ requests: 1, bytesIn: single.length, bytesOut: answer.length });
  });

  test('compresses when it should and the client can', async () => {
    const { proxy } = await open({ gzip: true });
    const response = await post(
      proxy,
      JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'eth_chainId', params: [] }),
    );
    expect(response.headers.get('content-encoding')).toBe('gzip');
    expect(await response.json()).toMatchObject({ result: '0x38' });
  });
});

describe('faults of whole requests', () => {
  test('a status with headers and body', async () => {
    const { proxy } = await open();
    proxy.inject({ kind: 'status', status: 429, headers: { 'retry-after': '7' }, body: '{}' });
    const response = await post(proxy, '{"id":1,"method":"eth_chainId","params":[]}');
    expect([response.status, response.headers.get('retry-after'), await response.text()]).toEqual([
      429,
      '7',
      '{}',
    ]);
  });

  test('a page, a cut answer and a broken connection', async () => {
    const { proxy } = await open();
    const question = '{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}';
    const whole = await (await post(proxy, question)).text();
    proxy.inject({ kind: 'html' }, { times: 1 });
    expect(await (await post(proxy, question)).text()).toMatch(/^<html>/);
    proxy.inject({ kind: 'truncate' }, { times: 1 });
    expect(await (await post(proxy, question)).text()).toBe(whole.slice(0, Math.floor(whole.length / 2)));
    proxy.inject({ kind: 'drop' }, { times: 1 });
    await expect(post(proxy, question)).rejects.toThrow();
    expect(await (await post(proxy, question)).text()).toBe(whole);
  });

  test('a hanging request is let go when the faults are cleared', async () => {
    const { proxy } = await open();
    const hang = proxy.inject({ kind: 'hang' });
    const waiting = post(proxy, '{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}');
    await expect.poll(() => hang.hits).toBe(1);
    proxy.clear();
    await expect(waiting).rejects.toThrow();
    expect(await ask(proxy, 'eth_chainId')).toBe('0x38');
  });
});

describe('faults of batches', () => {
  test('a refused and a limited batch', async () => {
    const { proxy } = await open();
    const refusal = proxy.inject({ kind: 'refuse-batch' });
    expect(await batch(proxy, ['eth_chainId', []], ['eth_chainId', []])).toMatchObject({
      id: null,
      error: {},
    });
    expect(await ask(proxy, 'eth_chainId')).toBe('0x38');
    refusal.remove();
    proxy.inject({ kind: 'limit-batch', calls: 2 });
    expect(await batch(proxy, ['eth_chainId', []], ['eth_chainId', []])).toHaveLength(2);
    expect(await batch(proxy, ['eth_chainId', []], ['eth_chainId', []], ['eth_chainId', []])).toMatchObject({
      error: { message: 'Batch of more than 2 requests is not allowed' },
    });
  });

  test('a split batch is answered by several nodes', async () => {
    const { anvil, proxy } = await open();
    const other = await anvilForTest({ chainId: 1 });
    proxy.inject({ kind: 'split-batch', urls: [anvil.url, other.url] });
    const answers = await batch(proxy, ['eth_chainId', []], ['eth_chainId', []], ['eth_chainId', []]);
    expect(answers.map(({ result }) => result)).toEqual(['0x38', '0x1', '0x38']);
  });

  test('answers in another order keep their ids', async () => {
    const { proxy } = await open();
    proxy.inject({ kind: 'reverse-batch' });
    const answers = await batch(proxy, ['eth_chainId', []], ['eth_blockNumber', []]);
    expect(answers.map(({ id, result }) => [id, result])).toEqual([
      [1, '0x1'],
      [0, '0x38'],
    ]);
  });
});

describe('faults of single calls', () => {
  test('befall only the calls they are meant for', async () => {
    const { proxy } = await open();
    proxy.inject({ kind: 'refuse', code: -32005, message: 'limit exceeded' }, { method: 'eth_getLogs' });
    proxy.inject({ kind: 'result', result: null }, { matches: ({ params }) => params[0] === '0x1' });
    const logs = [{ fromBlock: '0x0', toBlock: '0x1' }];
    const answers = await batch(
      proxy,
      ['eth_getLogs', logs],
      ['eth_getBlockByNumber', ['0x1', false]],
      ['eth_getBlockByNumber', ['0x0', false]],
    );
    expect(answers).toMatchObject([
      { error: { code: -32005, message: 'limit exceeded' } },
      { result: null },
      { result: { number: '0x0' } },
    ]);
  });

  test('are skipped, counted and ended as told', async () => {
    const { proxy } = await open();
    const fault = proxy.inject(
      { kind: 'result', result: '0xbad' },
      { method: 'eth_chainId', skip: 1, times: 2 },
    );
    const seen = [];
    for (let i = 0; i < 5; i++) seen.push(await ask(proxy, 'eth_chainId'));
    expect(seen).toEqual(['0x38', '0xbad', '0xbad', '0x38', '0x38']);
    expect(fault.hits).toBe(2);
  });

  test('strike by chance, the same with the same seed', async () => {
    const runs = [];
    for (const seed of [7, 7, 8]) {
      const { proxy } = await open({ seed });
      proxy.inject({ kind: 'result', result: 'x' }, { chance: 0.5 });
      const seen = [];
      for (let i = 0; i < 20; i++) seen.push(await ask(proxy, 'eth_chainId'));
      expect(new Set(seen)).toEqual(new Set(['0x38', 'x']));
      runs.push(seen.join());
    }
    expect(runs[0]).toBe(runs[1]);
    expect(runs[0]).not.toBe(runs[2]);
    expect(dice(1)()).toBeLessThan(1);
  });

  test('an answer is lost, repeated, or carries another id', async () => {
    const { proxy } = await open();
    const calls: [string, unknown[]][] = [
      ['eth_chainId', []],
      ['eth_blockNumber', []],
    ];
    const when = { method: 'eth_chainId', times: 1 };
    proxy.inject({ kind: 'lose-answer' }, when);
    expect((await batch(proxy, ...calls)).map(({ id }) => id)).toEqual([1]);
    proxy.inject({ kind: 'repeat-answer' }, when);
    expect((await batch(proxy, ...calls)).map(({ id }) => id)).toEqual([0, 0, 1]);
    proxy.inject({ kind: 'wrong-id' }, when);
    expect((await batch(proxy, ...calls)).map(({ id }) => id)).toEqual(['not-yours', 1]);
  });

  test('a log query over too many blocks is refused', async () => {
    const { anvil, proxy } = await open();
    await anvil.mine(10);
    proxy.inject({ kind: 'refuse-range', blocks: 5, message: 'limited to a N blocks range' });
    const asks = (from: number, to: number) =>
      batch(proxy, ['eth_getLogs', [{ fromBlock: hex(from), toBlock: hex(to) }]], ['eth_chainId', []]);
    expect((await asks(1, 5))[0]).toMatchObject({ result: expect.any(Array) });
    expect((await asks(1, 6))[0]).toMatchObject({ error: { message: 'limited to a 5 blocks range' } });
  });

  test('tags lag behind, and everything else with them when the node is behind', async () => {
    const { anvil, proxy } = await open();
    await pay(anvil, 4);
    const head = await anvil.height();
    const stale = proxy.inject({ kind: 'stale-tags', by: 2 });
    expect(await ask(proxy, 'eth_getBlockByNumber', ['latest', false])).toMatchObject({
      number: hex(head - 2),
    });
    expect(await ask(proxy, 'eth_getBlockByNumber', ['finalized', false])).toMatchObject({
      number: hex(head - 4),
    });
    expect(await ask(proxy, 'eth_getBlockByNumber', [hex(head), false])).toMatchObject({ number: hex(head) });
    stale.remove();
    proxy.inject({ kind: 'lag', by: 2 });
    expect(await ask(proxy, 'eth_blockNumber')).toBe(hex(head - 2));
    expect(await ask(proxy, 'eth_getBlockByNumber', [hex(head - 1), false])).toBeNull();
    expect(await ask(proxy, 'eth_getBlockByNumber', [hex(head - 2), false])).not.toBeNull();
    expect((await logs(proxy, anvil)).map(({ blockNumber }) => Number(blockNumber))).toEqual([
      head - 3,
      head - 2,
    ]);
  });

  test('another node answers', async () => {
    const { proxy } = await open();
    const other = await anvilForTest({ chainId: 1 });
    proxy.inject({ kind: 'divert', url: other.url }, { method: 'eth_chainId' });
    expect(await ask(proxy, 'eth_chainId')).toBe('0x1');
    expect(await ask(proxy, 'eth_blockNumber')).toBe('0x1');
  });

  test('a result is rewritten', async () => {
    const { proxy } = await open();
    proxy.inject({ kind: 'rewrite', rewrite: (result, { method }) => `${method} ${result as string}` });
    expect(await ask(proxy, 'eth_chainId')).toBe('eth_chainId 0x38');
  });
});

describe('faults of logs', () => {
  test.each<[LogFault['kind'], (logs: Log[]) => unknown]>([
    ['empty-logs', () => []],
    ['short-logs', (all) => all.slice(0, 2)],
    ['drop-middle-log', (all) => [all[0], all[1], all[3]]],
    ['drop-last-block', (all) => all.slice(0, 3)],
    ['repeat-logs', (all) => all.flatMap((log) => [log, log])],
    ['reverse-logs', (all) => all.toReversed()],
    [
      'foreign-log',
      (all) => all.map((log, i) => (i === 2 ? { ...gone(log), blockHash: `0x${'f0'.repeat(32)}` } : log)),
    ],
    ['removed-log', (all) => all.map((log, i) => (i === 2 ? { ...gone(log), removed: true } : log))],
  ])('%s', async (kind, expected) => {
    const { anvil, proxy } = await open();
    await pay(anvil, 4);
    const all = await logs(proxy, anvil);
    expect(all).toHaveLength(4);
    proxy.inject({ kind }, { method: 'eth_getLogs' });
    expect(await logs(proxy, anvil)).toEqual(expected(all));
  });
});

/** The same of a transaction that is not on the chain. */
function gone(log: Log): Log {
  return { ...log, transactionHash: `0xf0f0f0f0${log.transactionHash.slice(10)}` };
}

/** A chain with tokens, and a proxy before it. */
async function open(options: FaultProxyOptions = {}): Promise<{ anvil: TestAnvil; proxy: FaultProxy }> {
  const anvil = await anvilForTest();
  await placeTokens(anvil, 'bsc');
  return { anvil, proxy: await faultProxyForTest(anvil.url, options) };
}

/** One payment in each of the next blocks. */
async function pay(anvil: TestAnvil, blocks: number): Promise<void> {
  const usdt = '0x55d398326f99059fF775485246999027B3197955';
  for (let i = 0; i < blocks; i++) {
    await transferToken(anvil, usdt, customer, 1n);
    await anvil.mine();
  }
}

async function logs(proxy: FaultProxy, anvil: TestAnvil): Promise<Log[]> {
  const toBlock = hex(await anvil.height());
  return (await ask(proxy, 'eth_getLogs', [{ fromBlock: '0x2', toBlock }])) as Log[];
}

async function ask(proxy: FaultProxy, method: string, params: unknown[] = []): Promise<unknown> {
  const response = await post(proxy, JSON.stringify({ jsonrpc: '2.0', id: 0, method, params }));
  return ((await response.json()) as Answer).result;
}

async function batch(proxy: FaultProxy, ...calls: [string, unknown[]][]): Promise<Answer[]> {
  const requests = calls.map(([method, params], id) => ({ jsonrpc: '2.0', id, method, params }));
  return (await (await post(proxy, JSON.stringify(requests))).json()) as Answer[];
}

function post(proxy: FaultProxy, body: string): Promise<Response> {
  return fetch(proxy.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
