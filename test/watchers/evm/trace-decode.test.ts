import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readTrace, type TraceMethod } from '../../../src/watchers/evm/trace-decode.ts';

/*
 * What nodes say about how a transaction ran, made by hand: what real nodes say is in contract-payments.test.ts.
 */

const [payer, contract, alice, bob] = ['a0', 'c0', 'a1', 'b1'].map((byte) => byte.repeat(20)) as [
  string,
  string,
  string,
  string,
];

/** A call in neither notation; `to` null for a creation that failed. */
type Ran = {
  type: 'CALL' | 'CALLCODE' | 'DELEGATECALL' | 'STATICCALL' | 'CREATE' | 'CREATE2' | 'SELFDESTRUCT';
  from: string;
  to: string | null;
  value: number;
  failed?: boolean;
  calls?: Ran[];
};

const call = (more: Partial<Ran> = {}): Ran => ({
  type: 'CALL',
  from: contract,
  to: alice,
  value: 5,
  ...more,
});
const root = (...calls: Ran[]): Ran => call({ from: payer, to: contract, value: 100, calls });

const methods: TraceMethod[] = ['debug_traceTransaction', 'trace_transaction'];

describe.each(methods)('%s', (method) => {
  test.each<[string, Ran[], [string, number][]]>([
    ['a payment', [call()], [[alice, 5]]],
    [
      'several payments, in their order',
      [call(), call({ to: bob }), call({ value: 7 })],
      [
        [alice, 5],
        [bob, 5],
        [alice, 7],
      ],
    ],
    ['a payment by a call within a call', [call({ to: bob, value: 0, calls: [call()] })], [[alice, 5]]],
    [
      'payments before those that they cause',
      [call({ to: bob, value: 9, calls: [call({ from: bob, value: 3 })] }), call({ value: 4 })],
      [
        [bob, 9],
        [alice, 3],
        [alice, 4],
      ],
    ],
    ['a new contract that is given coins', [call({ type: 'CREATE' })], [[alice, 5]]],
    ['the same at an address known before', [call({ type: 'CREATE2' })], [[alice, 5]]],
    ['what a contract leaves behind', [call({ type: 'SELFDESTRUCT' })], [[alice, 5]]],
    ['a payment by borrowed code', [call({ type: 'DELEGATECALL', to: bob, calls: [call()] })], [[alice, 5]]],
  ])('%s counts', (_, calls, expected) => {
    expect(internalOf(method, root(...calls))).toEqual(expected);
  });

  test.each<[string, Ran[]]>([
    ['a call without coins', [call({ value: 0 })]],
    ['a call that failed', [call({ failed: true })]],
    ['a payment in a call that failed after it', [call({ to: bob, failed: true, calls: [call()] })]],
    [
      'the same further down',
      [call({ to: bob, failed: true, calls: [call({ to: bob, value: 0, calls: [call()] })] })],
    ],
    ['a creation that failed', [call({ type: 'CREATE', to: null, failed: true, calls: [call()] })]],
    ['the value that borrowed code sees', [call({ type: 'DELEGATECALL' })]],
    ['the value of an old way of borrowing code', [call({ type: 'CALLCODE' })]],
    ['a call that may change nothing', [call({ type: 'STATICCALL' })]],
    ['a payment to oneself', [call({ from: alice })]],
    ['a contract that leaves its coins to itself', [call({ type: 'SELFDESTRUCT', from: alice })]],
  ])('%s does not', (_, calls) => {
    expect(internalOf(method, root(...calls))).toEqual([]);
  });

  test('a transaction that failed moved nothing', () => {
    const trace = readTrace(method, write(method, { ...root(call()), failed: true }));
    expect(trace).toEqual({ to: contract, value: 100n, failed: true, internal: [] });
  });

  test('the transaction itself is told apart from what happened in it', () => {
    const trace = readTrace(method, write(method, root(call())));
    expect(trace).toEqual({
      to: contract,
      value: 100n,
      failed: false,
      internal: [{ to: alice, amount: 5n }],
    });
  });

  test('whatever is written somewhat differently is no trace', () => {
    const good = write(method, root(call({ calls: [call()] }), call({ type: 'CREATE' })));
    const text = JSON.stringify(good);
    for (const [from, to] of [
      ['"0x5"', '"5"'],
      [`0x${alice}`, '0x12'],
      [`0x${contract}`, ''],
      ['CALL', 'EXOTIC'],
      ['"call"', '"exotic"'],
      ['"traceAddress":[0]', '"traceAddress":["0"]'],
      ['"traceAddress":[1]', '"traceAddress":[2]'],
      ['"traceAddress":[0,0]', '"traceAddress":[0,1]'],
      ['"traceAddress":[0,0]', '"traceAddress":[5,0]'],
      ['"traceAddress":[0]', '"traceAddress":[]'],
      ['"calls":[', '"calls":0,"was":['],
    ] as const) {
      const spoiled = text.replace(from, to);
      const answer = parse(spoiled);
      if (spoiled !== text && answer !== undefined) expect(readTrace(method, answer), spoiled).toBeNull();
    }
  });

  test.each([
    [1024, [{ to: alice, amount: 5n }]],
    [1025, null],
    [method === 'trace_transaction' ? 3_000 : 100_000, null],
  ])('a payment %i calls deep is none where the chain allows no call to be so deep', (depth, paid) => {
    const answer = method === 'trace_transaction' ? deepList(depth) : deepFrame(depth);
    expect(readTrace(method, answer)?.internal ?? null).toEqual(paid);
  });

  test('nothing that a node may say throws', () => {
    const good = write(method, root(call()));
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (any, other) => {
        readTrace(method, any);
        readTrace(method, [any, other]);
        if (Array.isArray(good)) readTrace(method, [...(good as unknown[]), any]);
        else readTrace(method, { ...(good as object), calls: [any, other] });
      }),
    );
    expect(readTrace(method, null)).toBeNull();
    expect(readTrace(method, [])).toBeNull();
    expect(readTrace(method, { failed: false, gas: 0, returnValue: '0x', structLogs: [] })).toBeNull();
  });
});

function internalOf(method: TraceMethod, ran: Ran): [string, number][] | undefined {
  const trace = readTrace(method, write(method, ran));
  return trace?.internal.map(({ to, amount }): [string, number] => [to, Number(amount)]);
}

/** As a node writes it. */
function write(method: TraceMethod, ran: Ran): unknown {
  return method === 'debug_traceTransaction' ? asFrame(ran) : asList(ran, []);
}

function asFrame({ type, from, to, value, failed, calls }: Ran): object {
  return {
    type,
    from: `0x${from}`,
    ...(to === null ? {} : { to: `0x${to}` }),
    gas: '0x5208',
    gasUsed: '0x5208',
    input: '0x',
    ...(type === 'STATICCALL' ? {} : { value: hex(value) }),
    ...(failed ? { error: 'execution reverted' } : {}),
    ...(calls === undefined ? {} : { calls: calls.map(asFrame) }),
  };
}

const passed = call({ to: bob, value: 0 });

/** Without recursion, which would end sooner than what is tested. */
function deepFrame(depth: number): object {
  let frame = asFrame(call());
  for (let above = 1; above < depth; above++) frame = { ...asFrame(passed), calls: [frame] };
  return { ...asFrame(root()), calls: [frame] };
}

function deepList(depth: number): object[] {
  const place = (at: number) => Array<number>(at).fill(0);
  const between = Array.from({ length: depth - 1 }, (_, at) => asList(passed, place(at + 1))[0] as object);
  return [...asList(root(), []), ...between, ...asList(call(), place(depth))];
}

function asList(ran: Ran, traceAddress: number[]): object[] {
  const { type, from, to, value, failed, calls = [] } = ran;
  const created = type === 'CREATE' || type === 'CREATE2';
  const ends = {
    traceAddress,
    subtraces: calls.length,
    ...(failed ? { error: 'Reverted' } : {}),
    result: failed ? null : { gasUsed: '0x0', ...(created ? { address: `0x${to}`, code: '0x' } : {}) },
  };
  const own = created
    ? { type: 'create', action: { from: `0x${from}`, value: hex(value), init: '0x' }, ...ends }
    : type === 'SELFDESTRUCT'
      ? {
          type: 'suicide',
          action: { address: `0x${from}`, refundAddress: `0x${to}`, balance: hex(value) },
          ...ends,
        }
      : {
          type: 'call',
          action: {
            callType: type.toLowerCase(),
            from: `0x${from}`,
            to: `0x${to}`,
            value: hex(value),
            input: '0x',
          },
          ...ends,
        };
  return [own, ...calls.flatMap((inner, i) => asList(inner, [...traceAddress, i]))];
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
