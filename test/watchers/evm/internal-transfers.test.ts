import { describe, expect, test } from 'vitest';
import type { BlockHash, BlockRef, Transfer } from '../../../src/core/chain.ts';
import type { ChainSource, PollOutcome, Span } from '../../../src/watchers/source.ts';
import { anvilForTest, type TestAnvil, type TransactionRequest } from '../../support/anvil.ts';
import { evmSourceForTest, pollOf, testClock, watching } from '../../support/evm.ts';
import { type FaultProxy, faultProxyForTest } from '../../support/fault-proxy.ts';
import type { RpcRequest } from '../../support/faults.ts';
import { inclusionsBy } from '../../support/inclusions.ts';
import { captureLog } from '../../support/log.ts';
import { deployPayer, type Payout, placeRealPayers } from '../../support/payers.ts';
import { describeRealData } from '../../support/real-data.ts';
import { placeTokens, transferToken } from '../../support/tokens.ts';

/*
 * The chain's own coin paid by contracts: nothing of it stands in a block but the input that names the recipient.
 */

const alice = '0x1111111111111111111111111111111111111abc';
const bob = '0x2222222222222222222222222222222222222def';
const stranger = '0x3333333333333333333333333333333333333333';
/** Code that refuses whatever it is sent. */
const refusing = '0x60006000fd';

const traceMethods = ['debug_traceTransaction', 'trace_transaction'] as const;

describe.each(traceMethods)('a contract, traced by %s,', (method) => {
  test.each<[string, (chain: Chain) => TransactionRequest, [string, number, bigint][]]>([
    ['pays one', ({ payer }) => payer.batch(to(alice, 5n)), [[alice, 0, 5n]]],
    [
      'pays several, one of them twice',
      ({ payer }) => payer.batch(to(alice, 5n), to(stranger, 1n), to(bob, 6n), to(alice, 5n)),
      [
        [alice, 0, 5n],
        [bob, 0, 6n],
        [alice, 1, 5n],
      ],
    ],
    [
      'pays several by a list without gaps',
      ({ payer }) => payer.packed(to(stranger, 1n), to(alice, 5n), to(bob, 6n)),
      [
        [alice, 0, 5n],
        [bob, 0, 6n],
      ],
    ],
    ['pays by borrowed code', ({ payer }) => payer.borrowed(to(alice, 5n)), [[alice, 0, 5n]]],
    ['leaves what it has to an heir', ({ payer }) => payer.bequeath(to(alice, 5n)), [[alice, 0, 5n]]],
    ['pays in a call that is undone', ({ payer }) => payer.undone(to(alice, 5n)), []],
    ['fails', ({ payer }) => payer.overdrawn(to(alice, 5n)), []],
    ['pays nothing', ({ payer }) => payer.batch(to(alice, 0n)), []],
    ['pays others', ({ payer }) => payer.batch(to(stranger, 5n)), []],
  ])('%s', async (_, transaction, expected) => {
    const chain = await open();
    for (const other of traceMethods) if (other !== method) chain.refuse(other);
    const txHash = await chain.anvil.send(transaction(chain));
    await chain.anvil.mine(2);
    const { transfers, to: end } = await chain.read();
    expect(transfers.map(shown)).toEqual(expected);
    const block = await refAt(chain.anvil, end.height - 1);
    for (const transfer of transfers) {
      expect(transfer).toMatchObject({ txHash, token: 'native', currency: 'native', logIndex: null, block });
    }
    const looks = await inclusionsBy(chain.source, transfers);
    const head = end.height;
    expect([...looks.values()]).toEqual(
      transfers.map(({ amount }) => ({ kind: 'included', block, amount, head })),
    );
  });
});

describe('a payment by a contract', () => {
  test('stands beside plain payments and tokens in the same block', async () => {
    const chain = await open();
    const { usdt } = await placeTokens(chain.anvil, 'bsc');
    chain.cursor = await refAt(chain.anvil, await chain.anvil.height());
    await chain.anvil.send({ to: alice, value: 3n });
    await chain.anvil.send(chain.payer.batch(to(alice, 5n)));
    await transferToken(chain.anvil, usdt, alice, 7n);
    await chain.anvil.send({ to: alice, value: 11n });
    await chain.anvil.mine();
    const { transfers } = await chain.read();
    expect(transfers.map(({ amount }) => amount).toSorted((a, b) => Number(a - b))).toEqual([
      3n,
      5n,
      7n,
      11n,
    ]);
    expect(new Set(transfers.map(({ txHash }) => txHash)).size).toBe(4);
    const looks = await inclusionsBy(chain.source, transfers);
    expect([...looks.values()].map(({ kind }) => kind)).toEqual(Array(4).fill('included'));
  });

  test('costs two calls in one request of its own, and the transfer of a token none', async () => {
    const chain = await open();
    const { usdt } = await placeTokens(chain.anvil, 'bsc');
    chain.cursor = await refAt(chain.anvil, await chain.anvil.height());
    await transferToken(chain.anvil, usdt, alice, 7n);
    await chain.anvil.mine();
    await chain.read();
    expect(chain.proxy.traffic().byMethod.debug_traceTransaction).toBeUndefined();
    const { requests, calls } = chain.proxy.traffic();
    await chain.anvil.send(chain.payer.batch(to(alice, 5n)));
    await chain.anvil.mine();
    chain.cursor = await refAt(chain.anvil, (await chain.anvil.height()) - 1);
    chain.proxy.resetTraffic();
    await chain.read();
    const now = chain.proxy.traffic();
    expect([now.requests, now.calls]).toEqual([requests, calls + 2 - identification]);
  });

  test('counts after what the transaction itself pays to the same address', async () => {
    const chain = await open();
    // Alice is a contract herself, which sends a part to an account that sends it back.
    await chain.anvil.rpc('anvil_setCode', [
      alice,
      await chain.anvil.rpc('eth_getCode', [chain.payer.address, 'latest']),
    ]);
    await chain.anvil.rpc('anvil_setCode', [stranger, returning]);
    await chain.anvil.send({ ...chain.payer.batch(to(stranger, 4n), to(bob, 1n)), to: alice, value: 20n });
    await chain.anvil.mine();
    const { transfers } = await chain.read();
    expect(transfers.map(shown)).toEqual([
      [alice, 0, 20n],
      [alice, 1, 4n],
      [bob, 0, 1n],
    ]);
    const looks = await inclusionsBy(chain.source, transfers);
    expect([...looks.values()].map(({ kind }) => kind)).toEqual(Array(3).fill('included'));
  });

  test('is told with its own amount, is absent with another ordinal or recipient, and once a reorg took it back', async () => {
    const chain = await open();
    await chain.anvil.send(chain.payer.batch(to(alice, 5n), to(stranger, 6n)));
    await chain.anvil.mine(2);
    const [transfer] = (await chain.read()).transfers as [Transfer];
    const more = { ...transfer, amount: 6n };
    expect((await inclusionsBy(chain.source, [more])).get(more)).toMatchObject({ amount: 5n });
    const wrong = [
      { ...transfer, ordinal: 1 },
      { ...transfer, recipient: bob.slice(2) as Transfer['recipient'] },
    ];
    const looks = await inclusionsBy(chain.source, wrong);
    expect([...looks.values()]).toEqual(wrong.map(() => ({ kind: 'absent' })));
    await chain.anvil.reorg(2);
    const after = await inclusionsBy(chain.source, [transfer]);
    expect([...after.values()]).toEqual([{ kind: 'absent' }]);
  });

  test('that is mined again in another block is the same transfer there', async () => {
    const chain = await open();
    const request = chain.payer.batch(to(alice, 5n), to(alice, 6n));
    await chain.anvil.send(request);
    await chain.anvil.mine(3);
    const before = await chain.read();
    await chain.anvil.reorg(3, [{ request, offset: 1 }]);
    const after = await chain.read();
    expect(after.transfers.map(shown)).toEqual(before.transfers.map(shown));
    expect(after.transfers.map(({ block }) => block.height)).toEqual(
      before.transfers.map(({ block }) => block.height + 1),
    );
  });
});

describe('a node', () => {
  test('that offers no traces is known for it, and another one is asked', async () => {
    const chain = await open();
    for (const method of traceMethods) chain.refuse(method);
    const both = chain.sourceOver([chain.proxy.url, chain.anvil.url]);
    await chain.anvil.send(chain.payer.batch(to(alice, 5n)));
    await chain.anvil.mine(2);
    const span = await chain.read(both.source);
    expect(span.transfers.map(shown)).toEqual([[alice, 0, 5n]]);
    expect(span.host).toBe(new URL(chain.proxy.url).host);
    expect(both.source.endpoints().map(({ lacks, lastError }) => [lacks, lastError])).toMatchObject([
      [['traces'], /traces/],
      [[], null],
    ]);
    expect(both.log.filter(({ msg }) => msg === 'rpc endpoint limited')).toMatchObject([{ lacks: 'traces' }]);
    const looks = await inclusionsBy(both.source, span.transfers);
    expect([...looks.values()]).toMatchObject([{ kind: 'included' }]);
  });

  test.each([
    { kind: 'refuse', code: -32601, message: 'the method does not exist/is not available' },
    { kind: 'refuse', code: -32600, message: 'Method is not whitelisted, upgrade your plan' },
  ] as const)('without traces leaves the payment out and goes on: $message', async (fault) => {
    const chain = await open();
    for (const method of traceMethods) chain.proxy.inject(fault, { method });
    await chain.anvil.send({ to: alice, value: 3n });
    const txHash = await chain.anvil.send(chain.payer.batch(to(alice, 5n)));
    await chain.anvil.mine(2);
    const span = await chain.read();
    expect(span.transfers.map(shown)).toEqual([[alice, 0, 3n]]);
    expect(span.untraced).toEqual([txHash]);
    expect(chain.source.endpoints()).toMatchObject([{ lacks: ['traces'], backoffUntil: null }]);
    // It is not asked again for each block.
    chain.proxy.resetTraffic();
    await chain.read();
    expect(chain.proxy.traffic().byMethod.debug_traceTransaction).toBeUndefined();
  });

  test('that refuses the whole request because of traces is still read from', async () => {
    const chain = await open();
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: null,
      error: { code: -32601, message: 'Method not found' },
    });
    for (const method of traceMethods) chain.proxy.inject({ kind: 'status', status: 403, body }, { method });
    await chain.anvil.send(chain.payer.batch(to(alice, 5n)));
    await chain.anvil.mine(2);
    expect((await chain.read()).transfers).toEqual([]);
    expect(chain.source.endpoints()).toMatchObject([{ lacks: ['traces'], backoffUntil: null }]);
  });

  test.each([
    ['has no trace of it yet', { kind: 'refuse', code: -32000, message: 'transaction not found' }],
    ['takes too long', { kind: 'refuse', code: -32000, message: 'execution timeout' }],
    [
      'traces another transaction',
      { kind: 'rewrite', rewrite: (r: unknown) => ({ ...(r as object), value: '0x1' }) },
    ],
    ['traces nonsense', { kind: 'result', result: { structLogs: [] } }],
    [
      'says that what succeeded failed',
      { kind: 'rewrite', rewrite: (r: unknown) => ({ ...(r as object), error: 'x' }) },
    ],
  ] as const)('that %s: the block is not passed, until it does trace', async (_, fault) => {
    const chain = await open();
    await chain.anvil.send(chain.payer.batch(to(alice, 5n)));
    await chain.anvil.mine(2);
    const fails = chain.proxy.inject(fault, { method: 'debug_traceTransaction' });
    expect(await chain.poll()).toMatchObject({ kind: 'failed', retryAt: chain.clock() + 1000 });
    expect(chain.source.endpoints()).toMatchObject([{ backoffUntil: null, lacks: [] }]);
    fails.remove();
    expect((await chain.read()).transfers.map(shown)).toEqual([[alice, 0, 5n]]);
  });

  test.each([
    ['is missing', () => null],
    ['is of another block', (r: unknown) => ({ ...(r as object), blockHash: `0x${'f0'.repeat(32)}` })],
    [
      'is of another transaction',
      (r: unknown) => ({ ...(r as object), transactionHash: `0x${'f0'.repeat(32)}` }),
    ],
  ])('whose receipt beside the trace %s is not believed', async (_, rewrite) => {
    const chain = await open();
    await chain.anvil.send(chain.payer.batch(to(alice, 5n)));
    await chain.anvil.mine(2);
    chain.proxy.inject({ kind: 'rewrite', rewrite }, { method: 'eth_getTransactionReceipt' });
    expect(await chain.poll()).toMatchObject({ kind: 'failed' });
  });

  test('is found beside one whose trace is larger than any answer may be', async () => {
    const chain = await open();
    const endless = await chain.anvil.send(chain.payer.batch(to(alice, 5n)));
    await chain.anvil.send(chain.payer.batch(to(bob, 6n)));
    await chain.anvil.mine();
    chain.proxy.inject(
      { kind: 'status', status: 413 },
      { matches: ({ method, params }) => method === 'debug_traceTransaction' && params[0] === endless },
    );
    for (let polls = 0; polls < 2; polls++) expect(await chain.poll()).toMatchObject({ kind: 'failed' });
    const { transfers, untraced } = await chain.read();
    expect(transfers.map(shown)).toEqual([[bob, 0, 6n]]);
    expect(untraced).toEqual([endless]);
    expect(chain.source.endpoints()).toMatchObject([{ state: 'ready', failed: 0 }]);
  });

  test('is found beside two that take so long that no node may take it: they alone are named as not traced', async () => {
    const chain = await open();
    const { endless, found } = await payBesideEndless(chain);
    // As geth does: it gives up after the time that it is told, and goes on after that with the rest of the batch.
    const limited = chain.proxy.inject(
      { kind: 'refuse', code: -32000, message: 'execution timeout' },
      { matches: (call) => isTraceOf(endless, call) && timeoutOf(call) !== undefined },
    );
    const hangs = chain.proxy.inject(
      { kind: 'hang' },
      { matches: (call) => isTraceOf(endless, call) && timeoutOf(call) === undefined },
    );
    for (let polls = 0; polls < 2; polls++) expect(await chain.poll()).toMatchObject({ kind: 'failed' });
    const { transfers, untraced } = await chain.read();
    expect(transfers.map(shown)).toEqual(found);
    expect(untraced).toEqual(endless);
    expect([limited.hits > 0, hangs.hits]).toEqual([true, 0]);
    expect(chain.source.endpoints()).toMatchObject([{ state: 'ready', failed: 0 }]);
  });

  test('is found beside two that take too long for a request, where a node cannot be told to give up', async () => {
    const chain = await open({ timeoutMs: 300 });
    const { endless, found } = await payBesideEndless(chain);
    chain.proxy.inject({ kind: 'hang' }, { matches: (call) => isTraceOf(endless, call) });
    for (let polls = 0; polls < 2; polls++) expect(await chain.poll()).toMatchObject({ kind: 'failed' });
    const { transfers, untraced } = await chain.read();
    expect(transfers.map(shown)).toEqual(found);
    expect(untraced).toEqual(endless);
    expect(chain.log.filter(({ msg }) => msg === 'transaction not traced')).toMatchObject([
      { tx_hash: endless[0], reason: expect.stringContaining('no answer within 300 ms') },
      { tx_hash: endless[1] },
    ]);
    expect(chain.source.endpoints()).toMatchObject([{ state: 'ready', failed: 0 }]);
  });

  test('is found beside any number that take too long, which hold the chain up for seconds and no longer', async () => {
    const chain = await open({ timeoutMs: 1_500 });
    const { anvil, payer } = chain;
    const endless: string[] = [];
    for (let n = 0; n < 30; n++)
      endless.push(await anvil.send({ ...payer.batch(to(alice, 1n)), gas: 800_000n + BigInt(n) }));
    // It is sent last, and may run for a shorter time than any of them.
    await anvil.send({ ...payer.batch(to(bob, 6n)), gas: 300_000n });
    await anvil.mine();
    const hangs = chain.proxy.inject({ kind: 'hang' }, { matches: (call) => isTraceOf(endless, call) });
    const { transfers, untraced } = await chain.read();
    expect(transfers.map(shown)).toEqual([[bob, 0, 6n]]);
    expect(untraced?.toSorted()).toEqual(endless.toSorted());
    expect(hangs.hits).toBeLessThan(8);
    expect(chain.log.filter(({ msg }) => msg === 'transaction not traced')).toHaveLength(30);
  });

  test('is asked for together with no more than can take their time within one request', async () => {
    const chain = await open();
    const limits: number[] = [];
    const note = (result: unknown, call: RpcRequest) => {
      limits.push(Number.parseInt(timeoutOf(call) ?? 'never', 10));
      return result;
    };
    chain.proxy.inject({ kind: 'rewrite', rewrite: note }, { method: 'debug_traceTransaction' });
    const requestsFor = async (payments: bigint[]) => {
      for (const amount of payments) await chain.anvil.send(chain.payer.batch(to(alice, amount)));
      chain.cursor = await refAt(chain.anvil, await chain.anvil.height());
      await chain.anvil.mine();
      chain.proxy.resetTraffic();
      expect((await chain.read()).transfers).toHaveLength(payments.length);
      return chain.proxy.traffic().requests;
    };
    await requestsFor([1n]);
    const [limit = 0] = limits.splice(0);
    const one = await requestsFor([1n]);
    limits.length = 0;
    // So many would take all of the ten seconds that a request may take.
    const most = Math.floor(10 / limit);
    const amounts = Array.from({ length: most }, (_, n) => BigInt(n + 1));
    expect(await requestsFor(amounts)).toBe(one + 1);
    expect(limits).toEqual(Array(most).fill(limit));
  });

  test.each([
    { code: -32602, message: 'invalid argument 1: json: unknown field "timeout"' },
    { code: -32602, message: 'Invalid params' },
  ])('is traced by a node that will not be told how long: $message', async ({ code, message }) => {
    const chain = await open();
    const limited = chain.proxy.inject(
      { kind: 'refuse', code, message },
      { matches: (call) => timeoutOf(call) !== undefined },
    );
    chain.refuse('trace_transaction');
    await chain.anvil.send(chain.payer.batch(to(alice, 5n)));
    await chain.anvil.mine();
    expect((await chain.read()).transfers.map(shown)).toEqual([[alice, 0, 5n]]);
    // That is known of it then.
    expect((await chain.read()).transfers.map(shown)).toEqual([[alice, 0, 5n]]);
    expect(limited.hits).toBe(1);
  });

  test('cannot stop the chain by one transaction that nobody traces: it is named and passed', async () => {
    const chain = await open();
    const txHash = await chain.anvil.send(chain.payer.batch(to(alice, 5n)));
    await chain.anvil.mine(2);
    chain.proxy.inject(
      { kind: 'refuse', code: -32000, message: 'execution timeout' },
      { method: 'debug_traceTransaction' },
    );
    expect(await chain.poll()).toMatchObject({ kind: 'failed' });
    expect(await chain.poll()).toMatchObject({ kind: 'failed' });
    expect(await chain.poll()).toMatchObject({ kind: 'span', span: { untraced: [txHash], transfers: [] } });
    expect(chain.log.filter(({ msg }) => msg === 'transaction not traced')).toMatchObject([
      { level: 'warn', tx_hash: txHash, reason: expect.stringContaining('execution timeout') },
    ]);
  });
});

describe('a payment by a contract that no node traces any more', () => {
  test('is confirmed by what the balance gained in its block, unless that is less', async () => {
    const chain = await open();
    await chain.anvil.send({ to: alice, value: 3n });
    await chain.anvil.send(chain.payer.batch(to(alice, 5n)));
    await chain.anvil.mine(2);
    const { transfers } = await chain.read();
    for (const method of traceMethods) chain.refuse(method);
    const again = chain.sourceOver([chain.proxy.url]).source;
    const looks = await inclusionsBy(again, transfers);
    expect([...looks.values()].map(({ kind }) => kind)).toEqual(['included', 'included']);
    const inner = transfers.find(({ amount }) => amount === 5n) as Transfer;
    const invented = [{ ...inner, ordinal: 1 }, ...transfers];
    expect((await inclusionsBy(again, invented)).get(invented[0] as Transfer)).toMatchObject({
      kind: 'doubtful',
    });
  });

  test('has the time that the node gives its block, whatever it was recorded with, and as much as came in all', async () => {
    const chain = await open();
    await chain.anvil.send({ to: alice, value: 3n });
    await chain.anvil.send(chain.payer.batch(to(alice, 5n)));
    await chain.anvil.mine(2);
    const { transfers } = await chain.read();
    for (const method of traceMethods) chain.refuse(method);
    const inner = transfers.find(({ amount }) => amount === 5n) as Transfer;
    const dated = { ...inner, block: { ...inner.block, time: inner.block.time - 600 } };
    const looks = await inclusionsBy(chain.sourceOver([chain.proxy.url]).source, [dated]);
    const told = { kind: 'included', block: inner.block, amount: 5n, gained: 8n };
    expect([...looks.values()]).toMatchObject([told]);
  });

  test('is confirmed where the node has forgotten the balance: the transaction did what it did', async () => {
    const chain = await open();
    await chain.anvil.send(chain.payer.batch(to(alice, 5n)));
    await chain.anvil.mine(2);
    const { transfers } = await chain.read();
    for (const method of traceMethods) chain.refuse(method);
    chain.proxy.inject(
      { kind: 'refuse', code: -32000, message: 'missing trie node' },
      { method: 'eth_getBalance' },
    );
    const looks = await inclusionsBy(chain.sourceOver([chain.proxy.url]).source, transfers);
    expect([...looks.values()]).toMatchObject([{ kind: 'included' }]);
  });
});

describeRealData('a contract of Ethereum mainnet', 'contracts', () => {
  type Real = Awaited<ReturnType<typeof placeRealPayers>>;

  test.each<[string, (real: Real) => TransactionRequest, [string, number, bigint][]]>([
    [
      'Disperse pays many',
      (real) => real.disperse(to(alice, 5n), to(stranger, 1n), to(bob, 6n)),
      [
        [alice, 0, 5n],
        [bob, 0, 6n],
      ],
    ],
    ['Disperse pays nobody when one refuses', (real) => real.disperse(to(alice, 5n), to(refuser, 1n)), []],
    [
      'Multicall3 pays all but those that refuse',
      (real) => real.multicall(to(alice, 5n), to(refuser, 1n), to(bob, 6n), to(alice, 7n)),
      [
        [alice, 0, 5n],
        [bob, 0, 6n],
        [alice, 1, 7n],
      ],
    ],
    ['a Safe pays', (real) => real.safe(to(alice, 5n)), [[alice, 0, 5n]]],
    [
      'a Safe has Disperse pay',
      (real) => real.safeDisperse(to(stranger, 1n), to(alice, 5n), to(bob, 6n)),
      [
        [alice, 0, 5n],
        [bob, 0, 6n],
      ],
    ],
    [
      'a deposit forwarder is paid by a contract and passes it on',
      (real) => real.multicall(to(real.forwarder, 5n)),
      [
        ['0x3383ff5fd42451f940de862be08ffe3cd9a0b296', 0, 5n],
        [bob, 0, 5n],
      ],
    ],
  ])('%s', async (_, transaction, expected) => {
    const chain = await open();
    const real = await placeRealPayers(chain.anvil, bob);
    await chain.anvil.rpc('anvil_setCode', [refuser, refusing]);
    chain.cursor = await refAt(chain.anvil, await chain.anvil.height());
    const txHash = await chain.anvil.send(transaction(real));
    await chain.anvil.mine(2);
    const watched = watching(alice, bob, real.forwarder, refuser);
    const { transfers } = await chain.read(chain.source, watched);
    expect(transfers.map(shown)).toEqual(expected);
    expect((await chain.anvil.receipt(txHash))?.status).toBe(expected.length === 0 ? '0x0' : '0x1');
    const looks = await inclusionsBy(chain.source, transfers);
    expect([...looks.values()].map(({ kind }) => kind)).toEqual(expected.map(() => 'included'));
  });

  test('a plain payment to a deposit forwarder pays the forwarder', async () => {
    const chain = await open();
    const real = await placeRealPayers(chain.anvil, stranger);
    chain.cursor = await refAt(chain.anvil, await chain.anvil.height());
    await chain.anvil.send({ to: real.forwarder, value: 5n });
    await chain.anvil.mine();
    const { transfers } = await chain.read(chain.source, watching(real.forwarder));
    expect(transfers.map(shown)).toEqual([[real.forwarder, 0, 5n]]);
    expect(BigInt((await chain.anvil.rpc('eth_getBalance', [stranger, 'latest'])) as string)).toBe(5n);
  });
});

const refuser = '0x4444444444444444444444444444444444444444';

/** The question for the chain id, before the first use. */
const identification = 1;

/** Code that sends what it is sent back to whoever called. */
const returning = '0x600060006000600034335af100';

const to = (address: string, amount: bigint): Payout => ({ to: address, amount });

function shown({ recipient, ordinal, amount }: Transfer): [string, number, bigint] {
  return [`0x${recipient}`, ordinal, amount];
}

type Chain = {
  anvil: TestAnvil;
  proxy: FaultProxy;
  payer: Awaited<ReturnType<typeof deployPayer>>;
  source: ChainSource;
  log: ReturnType<typeof captureLog>['lines'];
  clock: ReturnType<typeof testClock>;
  /** Where reading begins. */
  cursor: BlockRef;
  refuse(method: string): void;
  sourceOver(urls: string[]): { source: ChainSource; log: Chain['log'] };
  /** One poll of whole blocks to the head. */
  poll(source?: ChainSource, watch?: ReturnType<typeof watching>): Promise<PollOutcome>;
  read(source?: ChainSource, watch?: ReturnType<typeof watching>): Promise<Span>;
};

/** Four payments by contracts in one block, of which the first and the third are not to be traced by anybody. */
async function payBesideEndless({ anvil, payer }: Chain) {
  const first = await anvil.send(payer.batch(to(alice, 5n)));
  await anvil.send(payer.batch(to(bob, 6n)));
  const third = await anvil.send(payer.batch(to(alice, 7n)));
  await anvil.send(payer.batch(to(alice, 8n)));
  await anvil.mine();
  const found: [string, number, bigint][] = [
    [bob, 0, 6n],
    [alice, 0, 8n],
  ];
  return { endless: [first, third], found };
}

function isTraceOf(txHashes: readonly string[], { method, params }: RpcRequest): boolean {
  return traceMethods.some((one) => one === method) && txHashes.includes(params[0] as string);
}

/** How long the node is told to work at a trace. */
function timeoutOf({ method, params }: RpcRequest): string | undefined {
  return method === 'debug_traceTransaction' ? (params[1] as { timeout?: string }).timeout : undefined;
}

async function open(options: { timeoutMs?: number } = {}): Promise<Chain> {
  const anvil = await anvilForTest();
  const payer = await deployPayer(anvil);
  const proxy = await faultProxyForTest(anvil.url);
  const clock = testClock();
  const sourceOver = (urls: string[]) => {
    const { log, lines } = captureLog();
    return { source: evmSourceForTest(urls, { clock, log, ...options }), log: lines };
  };
  const chain: Chain = {
    anvil,
    proxy,
    payer,
    clock,
    ...sourceOver([proxy.url]),
    cursor: await refAt(anvil, await anvil.height()),
    sourceOver,
    refuse: (method) =>
      void proxy.inject(
        { kind: 'refuse', code: -32601, message: `the method ${method} does not exist/is not available` },
        { method },
      ),
    poll: async (source = chain.source, watch = watching(alice, bob)) => {
      const head = await refAt(anvil, await anvil.height());
      return source.poll(pollOf({ cursor: chain.cursor, head, watch, native: true }));
    },
    read: async (source, watch) => {
      const outcome = await chain.poll(source, watch);
      if (outcome.kind !== 'span') throw new Error(`no span: ${JSON.stringify(outcome)}`);
      return outcome.span;
    },
  };
  return chain;
}

async function refAt(anvil: TestAnvil, height: number): Promise<BlockRef> {
  const { hash, timestamp } = await anvil.block(height);
  return { height, hash: hash as BlockHash, time: timestamp };
}
