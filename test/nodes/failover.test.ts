import { describe, expect, test } from 'vitest';
import type { Capability, NodeAnswer } from '../../src/core/node.ts';
import { InvariantError } from '../../src/errors.ts';
import { createEndpoints, type Endpoints, NoNodeError } from '../../src/nodes/failover.ts';
import {
  behind,
  contradiction,
  lacks,
  NodeError,
  type NodeFault,
  unavailable,
} from '../../src/nodes/fault.ts';
import { type TestClock, testClock } from '../support/evm.ts';
import { captureLog, type LogLine } from '../support/log.ts';
import { waitFor } from '../support/wait.ts';

const never = new AbortController().signal;
const minute = 60_000;

type FakeNode = {
  name: string;
  latencyMs: () => number | null;
  limits: () => null;
  close: () => Promise<void>;
};

test('the preferred node is asked, and only that one', async () => {
  const { ask, visits } = pool('a', 'b', 'c');
  expect(await ask({})).toBe('a');
  expect(visits).toEqual(['a']);
});

test('a failing node is followed by the next in the order of preference, which begins anew', async () => {
  const { ask, visits } = pool('a', 'b', 'c');
  expect(await ask({ a: unavailable('down'), b: unavailable('down too') })).toBe('c');
  expect(visits).toEqual(['a', 'b', 'c']);
});

test('when no node does it, it says why and when one may be asked again', async () => {
  const { ask, clock } = pool('a', 'b');
  const failure = await ask({ a: unavailable('down'), b: limited(5000) }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(NoNodeError);
  expect((failure as NoNodeError).message).toBe('a: down; b: slow down');
  expect((failure as NoNodeError).retryAt).toBe(clock() + 1000);
});

test('a failing node backs off twice as long each time, up to a minute, and not at all after a success', async () => {
  const { ask, clock, endpoints } = pool('a', 'b');
  const backoffs: number[] = [];
  for (let i = 0; i < 9; i++) {
    await ask({ a: unavailable('down') }).catch(() => {});
    const until = endpoints.status()[0]?.backoffUntil ?? 0;
    backoffs.push(until - clock());
    clock.advance(until - clock());
  }
  expect(backoffs).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  await ask({});
  await ask({ a: unavailable('down') }).catch(() => {});
  expect((endpoints.status()[0]?.backoffUntil ?? 0) - clock()).toBe(1000);
});

test('where no other node can be asked, one that fails backs off for fifteen seconds at most: its return is noticed soon', async () => {
  for (const names of [['a'], ['a', 'b', 'c']]) {
    const { ask, clock } = pool(...names);
    const down = Object.fromEntries(names.map((name) => [name, unavailable('down')]));
    const waits: number[] = [];
    for (let i = 0; i < 9; i++) {
      const failure = await ask(down).catch((error: unknown) => error as NoNodeError);
      waits.push((failure as NoNodeError).retryAt - clock());
      clock.advance((failure as NoNodeError).retryAt - clock());
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, ...Array(5).fill(15_000)]);
  }
});

test('that is so too for nodes that had backed off while another one answered', async () => {
  const { ask, clock, visits } = pool('a', 'b');
  for (let i = 0; i < 9; i++) {
    await ask({ a: unavailable('down') });
    clock.advance(60_000);
  }
  await ask({ a: unavailable('down') });
  await ask({ b: unavailable('down too') }).catch(() => {});
  visits.length = 0;
  clock.advance(15_000);
  expect(await ask({ b: unavailable('down too') })).toBe('a');
});

test('a node that asked for patience gets it, also where no other can be asked', async () => {
  const { ask, clock } = pool('a');
  const failure = await ask({ a: limited(40_000) }).catch((error: unknown) => error);
  expect((failure as NoNodeError).retryAt).toBe(clock() + 40_000);
});

test('where no node serves logs each is asked again within fifteen seconds, and traces only every ten minutes', async () => {
  for (const [need, longest] of [
    ['logs', 15_000],
    ['traces', 10 * minute],
  ] as const) {
    const { askFor, clock } = pool('a', 'b');
    const refusal = lacks(need, new NodeError({ kind: 'unsupported' }, 'switched off'));
    const waits: number[] = [];
    for (let i = 0; i < 12; i++) {
      const failure = await askFor([need], { a: refusal, b: refusal }).catch((error: unknown) => error);
      waits.push((failure as NoNodeError).retryAt - clock());
      clock.advance((failure as NoNodeError).retryAt - clock());
    }
    expect(waits.slice(0, 4)).toEqual([1000, 2000, 4000, 8000]);
    expect(waits.at(-1)).toBe(longest);
  }
});

test.each<[NodeFault, number]>([
  [{ kind: 'unavailable', retryAfterMs: 7000 }, 7000],
  [{ kind: 'unavailable', retryAfterMs: 24 * 60 * minute }, 60 * minute],
  [{ kind: 'behind' }, 500],
  [{ kind: 'unsupported' }, 5000],
  [{ kind: 'filter-too-long' }, 5000],
  [{ kind: 'wrong-chain' }, 5000],
  [{ kind: 'contradiction' }, 1000],
  [{ kind: 'too-much' }, 1000],
])('after %j it backs off for %i ms', async (fault, ms) => {
  const { ask, clock, visits } = pool('a');
  await ask({ a: new NodeError(fault, 'no') }).catch(() => {});
  visits.length = 0;
  clock.advance(ms - 1);
  await expect(ask({})).rejects.toThrow(NoNodeError);
  expect(visits).toEqual([]);
  clock.advance(1);
  expect(await ask({})).toBe('a');
});

test('a node that backs off is not asked before its time, whatever happens to the others', async () => {
  const { ask, clock, visits } = pool('a', 'b');
  await ask({ a: limited(10_000) });
  visits.length = 0;
  for (let i = 0; i < 9; i++) {
    clock.advance(1000);
    await ask({ b: unavailable('down') }).catch(() => {});
  }
  expect(visits).not.toContain('a');
});

test('a clock that is set back lets nobody back off longer', async () => {
  const { ask, askFor, clock, endpoints } = pool('a');
  await ask({ a: unavailable('down') }).catch(() => {});
  clock.advance(-60 * minute);
  await expect(ask({})).rejects.toThrow(NoNodeError);
  clock.advance(1000);
  expect(await ask({})).toBe('a');
  await ask({ a: contradiction('two blocks at one height') }).catch(() => {});
  clock.advance(-60 * minute);
  await askFor(['logs'], {}).catch(() => {});
  clock.advance(6 * minute);
  expect(endpoints.status()).toMatchObject([{ state: 'ready' }]);
  const refusal = lacks('logs', new NodeError({ kind: 'unsupported' }, 'switched off'));
  await askFor(['logs'], { a: refusal }).catch(() => {});
  clock.advance(-60 * minute);
  await askFor(['logs'], {}).catch(() => {});
  clock.advance(5000);
  expect(await askFor(['logs'], {})).toBe('a');
});

test('the preferred node is returned to when it has backed off', async () => {
  const { ask, clock } = pool('a', 'b');
  expect(await ask({ a: unavailable('down') })).toBe('b');
  expect(await ask({})).toBe('b');
  clock.advance(1000);
  expect(await ask({})).toBe('a');
});

test('a node that contradicted itself is asked only when nobody else can be', async () => {
  const { ask, clock } = pool('a', 'b');
  await ask({ a: contradiction('two blocks at one height') });
  clock.advance(2 * minute);
  expect(await ask({})).toBe('b');
  expect(await ask({ b: unavailable('down') })).toBe('a');
  clock.advance(4 * minute);
  expect(await ask({})).toBe('a');
});

test('who is distrusted for what it said before is asked last, and still has its vote', async () => {
  const { endpoints, ask, visits, clock, lines } = pool('a', 'b');
  expect(await ask({})).toBe('a');
  for (let times = 0; times < 3; times++) endpoints.distrust('a', 'b showed otherwise');
  expect(await ask({})).toBe('b');
  expect(visits).toEqual(['a', 'b']);
  expect(await askEach(endpoints, {})).toMatchObject([{ kind: 'answered' }, { kind: 'answered' }]);
  const told = () => lines.filter(({ level }) => level !== 'debug').map(({ msg, reason }) => [msg, reason]);
  const failed = ['rpc endpoint failed', 'b showed otherwise'];
  const switched = ['rpc endpoint switched', 'b showed otherwise'];
  expect(told()).toEqual([failed, switched]);
  // What it is distrusted for is known as long as it is, whatever else it answers.
  const status = { state: 'distrusted', lastError: 'b showed otherwise', backoffUntil: null };
  expect(endpoints.status()[0]).toMatchObject(status);
  clock.advance(5 * minute);
  expect(await ask({})).toBe('a');
  expect(endpoints.status()[0]).toMatchObject({ state: 'ready', lastError: null });
  expect(told()).toEqual([
    failed,
    switched,
    ['rpc endpoint switched', 'the preferred node can be asked again'],
  ]);
});

test('what a node said can turn out to be a fault later', async () => {
  const { endpoints, ask, visits, nodes } = pool('a', 'b');
  expect(await ask({})).toBe('a');
  endpoints.fault(nodes[0] as FakeNode, behind('its latest block stays 5'));
  expect(await ask({})).toBe('b');
  expect(visits).toEqual(['a', 'b']);
});

test('a second opinion comes from another node', async () => {
  const { endpoints, nodes } = pool('a', 'b');
  const second = await endpoints.ask(async ({ name }) => name, never, {
    except: (node) => node === nodes[0],
  });
  expect(second).toBe('b');
  const alone = pool('a');
  await expect(
    alone.endpoints.ask(async ({ name }) => name, never, { except: (node) => node === alone.nodes[0] }),
  ).rejects.toThrow(NoNodeError);
});

describe('asking each node', () => {
  test('gives one answer for each, whatever the others say', async () => {
    const { endpoints, refuseIdentity } = pool('a', 'dead', 'malformed', 'other-chain', 'b');
    refuseIdentity.add('other-chain');
    const failures: Failures = { dead: unavailable('down'), malformed: contradiction('no block') };
    expect(await askEach(endpoints, failures)).toEqual([
      { host: 'a', kind: 'answered', value: 'a' },
      { host: 'dead', kind: 'silent', reason: 'down' },
      { host: 'malformed', kind: 'silent', reason: 'no block' },
      { host: 'other-chain', kind: 'silent', reason: 'it belongs to chain 1, not 56' },
      { host: 'b', kind: 'answered', value: 'b' },
    ]);
    expect(endpoints.status().map(({ state, failed }) => [state, failed])).toEqual([
      ['ready', 0],
      ['backoff', 1],
      ['backoff', 1],
      ['wrong chain', 1],
      ['ready', 0],
    ]);
  });

  test('asks all at once: a slow node holds up nobody else', async () => {
    const { endpoints, visits } = pool('a', 'slow', 'b');
    const slow = Promise.withResolvers<void>();
    const answers = endpoints.askEach(async ({ name }) => {
      visits.push(name);
      if (name === 'slow') await slow.promise;
      else if (visits.length === 3) slow.resolve();
      return name;
    }, never);
    expect((await answers).map(({ kind }) => kind)).toEqual(['answered', 'answered', 'answered']);
    expect(visits).toEqual(['a', 'slow', 'b']);
  });

  test('waits for nobody else once the answers so far are enough, and says who was late', async () => {
    const { endpoints } = pool('slow', 'a', 'b');
    const slow = Promise.withResolvers<void>();
    const work = async ({ name }: FakeNode) => {
      if (name === 'slow') await slow.promise;
      return name;
    };
    const bothOthers = (answers: readonly NodeAnswer<string>[]) => answers.length === 2;
    expect(await endpoints.askEach(work, never, { enough: bothOthers })).toEqual([
      { host: 'slow', kind: 'silent', reason: 'not waited for', late: true },
      { host: 'a', kind: 'answered', value: 'a' },
      { host: 'b', kind: 'answered', value: 'b' },
    ]);
    slow.resolve();
    const all = await endpoints.askEach(work, never, { enough: () => false });
    expect(all.map(({ kind }) => kind)).toEqual(['answered', 'answered', 'answered']);
  });

  test('notes of who was late what became of it, and lets nobody outlive the end', async () => {
    const { endpoints, visits } = pool('slow', 'a');
    const slow = Promise.withResolvers<void>();
    const work = async ({ name }: FakeNode) => {
      visits.push(name);
      if (name !== 'slow') return name;
      await slow.promise;
      throw unavailable('no answer within 10000 ms');
    };
    const one = (answers: readonly NodeAnswer<string>[]) => answers.length === 1;
    await endpoints.askEach(work, never, { enough: one });
    expect(endpoints.status()[0]).toMatchObject({ state: 'ready', failed: 0 });
    const closed = endpoints.close();
    slow.resolve();
    await closed;
    // What fails because we go is no fault of the node.
    expect(endpoints.status()[0]).toMatchObject({ state: 'ready', failed: 0 });

    const again = pool('slow', 'a');
    const late = Promise.withResolvers<void>();
    await again.endpoints.askEach(
      async ({ name }) => {
        if (name === 'slow') await late.promise;
        if (name === 'slow') throw unavailable('no answer within 10000 ms');
        return name;
      },
      never,
      { enough: one },
    );
    late.resolve();
    await waitFor('its failure', () => again.endpoints.status()[0]?.state === 'backoff');
  });

  test('does not ask again who has just failed, until it may be asked', async () => {
    const { endpoints, clock, visits } = pool('a', 'dead');
    const failures = { dead: unavailable('down') };
    const ask = () => askEach(endpoints, failures, visits);
    for (let question = 0; question < 3; question++) {
      expect(await ask()).toMatchObject([{ kind: 'answered' }, { kind: 'silent', reason: 'down' }]);
    }
    expect(visits.filter((name) => name === 'dead')).toHaveLength(1);
    clock.advance(1000);
    await ask();
    expect(visits.filter((name) => name === 'dead')).toHaveLength(2);
  });

  test('asks who is distrusted too, and not who lacks what is needed', async () => {
    const { endpoints, askFor, clock } = pool('a', 'b', 'c');
    await askFor(['logs'], { a: contradiction('two blocks'), b: noLogs });
    clock.advance(1000);
    await askFor(['logs'], { b: noLogs });
    clock.advance(1000);
    const answers = await endpoints.askEach(async ({ name }) => name, never, needsLogs);
    expect(answers).toMatchObject([
      { host: 'a', kind: 'answered' },
      { host: 'b', kind: 'silent', reason: 'it serves no logs: limit exceeded' },
      { host: 'c', kind: 'answered' },
    ]);
  });

  test('takes two URLs of one host for one voice', async () => {
    const { endpoints, visits } = pool('a', 'b', 'b');
    const failing = unavailable('over its limit');
    const answers = await endpoints.askEach(async ({ name }) => {
      visits.push(name);
      if (visits.filter((visit) => visit === 'b').length === 1 && name === 'b') throw failing;
      return visits.length;
    }, never);
    expect(answers).toMatchObject([
      { host: 'a', kind: 'answered' },
      { host: 'b', kind: 'answered' },
    ]);
    expect(visits).toEqual(['a', 'b', 'b']);
  });

  test('switches nothing, says what is a mistake of ours, and stops when it is told to', async () => {
    const { endpoints, lines } = pool('a', 'b');
    await endpoints.ask(async ({ name }) => name, never);
    await askEach(endpoints, { a: unavailable('down') });
    expect(lines.filter(({ msg }) => msg === 'rpc endpoint switched')).toEqual([]);
    const mistake = new TypeError('undefined is not a function');
    expect(await askEach(endpoints, { b: mistake })).toMatchObject([
      { host: 'a' },
      { host: 'b', kind: 'silent', reason: 'its answer could not be handled' },
    ]);
    expect(lines.filter(({ level }) => level === 'error').map(({ host }) => host)).toEqual(['b']);
    await expect(askEach(endpoints, {}, [], AbortSignal.abort(new Error('stopped')))).rejects.toThrow(
      'stopped',
    );
  });
});

test('a node is identified before its first use and after each backoff', async () => {
  const { ask, identified, clock } = pool('a', 'b');
  await ask({});
  await ask({});
  expect(identified).toEqual(['a']);
  await ask({ a: behind('late') });
  expect(identified).toEqual(['a', 'b']);
  clock.advance(minute);
  await ask({});
  expect(identified).toEqual(['a', 'b', 'a']);
});

test('a node that is not what it should be is never used', async () => {
  const { ask, visits, refuseIdentity } = pool('a', 'b');
  refuseIdentity.add('a');
  expect(await ask({})).toBe('b');
  expect(visits).toEqual(['b']);
});

test('a mistake of ours at the answer of one node is said to be one, and the next node is asked', async () => {
  const { ask, endpoints, lines } = pool('a', 'b');
  expect(await ask({ a: new TypeError('undefined is not a function') })).toBe('b');
  expect(lines.filter(({ level }) => level === 'error')).toMatchObject([
    { host: 'a', msg: 'node answer not handled', err: { message: 'undefined is not a function' } },
  ]);
  expect(endpoints.status()[0]).toMatchObject({ lastError: 'its answer could not be handled' });
});

test('a broken rule of ours ends the question, whoever was asked', async () => {
  const { endpoints } = pool('a', 'b');
  const broken = new InvariantError('this cannot be');
  await expect(endpoints.ask(() => Promise.reject(broken), never)).rejects.toBe(broken);
  await expect(endpoints.askEach(() => Promise.reject(broken), never)).rejects.toBe(broken);
  expect(endpoints.status()[0]).toMatchObject({ backoffUntil: null, lastError: null });
});

test('being stopped is not blamed on a node', async () => {
  const { endpoints } = pool('a', 'b');
  const stopping = new AbortController();
  const work = async () => {
    stopping.abort(new Error('stopped'));
    throw unavailable('the connection broke');
  };
  await expect(endpoints.ask(work, stopping.signal)).rejects.toThrow('stopped');
  expect(endpoints.status()[0]?.backoffUntil).toBeNull();
});

test('a switch is logged once, with the reason and host names', async () => {
  const { ask, clock, lines } = pool('a', 'b');
  await ask({});
  await ask({ a: limited(2000) });
  await ask({});
  clock.advance(2000);
  await ask({});
  expect(lines.filter(({ msg }) => msg === 'rpc endpoint switched').map(brief)).toEqual([
    { level: 'warn', from: 'a', to: 'b', reason: 'slow down' },
    { level: 'info', from: 'b', to: 'a', reason: 'the preferred node can be asked again' },
  ]);
});

test('a node that stays away is reported once, and once when it is back', async () => {
  const { ask, clock, lines } = pool('a');
  for (let i = 0; i < 5; i++) {
    await ask({ a: unavailable('down') }).catch(() => {});
    clock.advance(minute);
  }
  await ask({});
  const told = lines
    .filter(({ level }) => level !== 'debug')
    .map(({ level, msg, host }) => ({ level, msg, host }));
  expect(told).toEqual([
    { level: 'warn', msg: 'rpc endpoint failed', host: 'a' },
    { level: 'info', msg: 'rpc endpoint recovered', host: 'a' },
  ]);
});

const noLogs = lacks('logs', new NodeError({ kind: 'unsupported' }, 'limit exceeded'));
const needsLogs = { needs: ['logs'] } as const;

test('a node that is behind for a moment is not worth a line; one that stays behind is', async () => {
  const { ask, clock, lines } = pool('a');
  const told = () =>
    lines.filter(({ level }) => level !== 'debug').map(({ level, msg }) => `${level} ${msg}`);
  for (let i = 0; i < 20; i++) {
    await ask({ a: behind('its latest block is 99') }).catch(() => {});
    clock.advance(minute);
    await ask({});
  }
  expect(told()).toEqual([]);
  for (let i = 0; i < 10; i++) {
    await ask({ a: behind('its latest block is 99') }).catch(() => {});
    clock.advance(minute);
  }
  expect(told()).toEqual(['warn rpc endpoint failed']);
  await ask({});
  expect(told()).toEqual(['warn rpc endpoint failed', 'info rpc endpoint recovered']);
});

test('a node that refuses logs is asked for heads only, while others serve logs', async () => {
  const { ask, askFor, visits } = pool('a', 'b');
  expect(await askFor(['logs'], { a: noLogs })).toBe('b');
  visits.length = 0;
  expect(await askFor(['logs'], {})).toBe('b');
  expect(await ask({})).toBe('a');
  expect(visits).toEqual(['b', 'a']);
});

test('what a node refused is asked of it again now and then, at last every ten minutes', async () => {
  const { askFor, clock, endpoints, visits } = pool('a', 'b');
  const waits: number[] = [];
  for (let i = 0; i < 12; i++) {
    await askFor(['logs'], { a: noLogs });
    const from = clock();
    visits.length = 0;
    while (!visits.includes('a')) {
      clock.advance(1000);
      await askFor(['logs'], { a: noLogs });
    }
    waits.push((clock() - from) / 1000);
  }
  expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
  clock.advance(10 * minute);
  await endpoints.ask(async (_, seen) => seen({ serves: 'logs' }), never, needsLogs);
  expect(endpoints.status()[0]).toMatchObject({ state: 'ready', lacks: [] });
});

test('with no node that serves logs the failure says so of each, and when one is tried again', async () => {
  const { askFor, clock, visits } = pool('a', 'b');
  await askFor(['logs'], { a: noLogs, b: noLogs }).catch(() => {});
  visits.length = 0;
  const failure = await askFor(['logs'], {}).catch((error: unknown) => error);
  expect((failure as NoNodeError).message).toBe(
    'a: it serves no logs: limit exceeded; b: it serves no logs: limit exceeded',
  );
  expect((failure as NoNodeError).retryAt).toBe(clock() + 1000);
  expect(visits).toEqual([]);
});

test('what a node does not serve is logged once with its host, and once when it serves it after all', async () => {
  const { endpoints, askFor, clock, lines } = pool('a', 'b');
  for (let i = 0; i < 20; i++) {
    await askFor(['logs'], { a: noLogs });
    clock.advance(minute);
  }
  clock.advance(10 * minute);
  await endpoints.ask(async (_, seen) => seen({ serves: 'logs' }), never, needsLogs);
  const told = lines.filter(({ level, msg }) => level !== 'debug' && msg !== 'rpc endpoint switched');
  expect(told.map(({ level, msg, host, lacks, serves }) => ({ level, msg, host, lacks, serves }))).toEqual([
    { level: 'warn', msg: 'rpc endpoint limited', host: 'a', lacks: 'logs', serves: undefined },
    { level: 'info', msg: 'rpc endpoint recovered', host: 'a', lacks: undefined, serves: 'logs' },
  ]);
});

test('a look aside is no switch, whoever answers it', async () => {
  const { endpoints, askFor, lines } = pool('a', 'b');
  await askFor(['logs'], { a: noLogs });
  for (let i = 0; i < 3; i++) {
    await endpoints.ask(async ({ name }) => name, never, { aside: true });
    await askFor(['logs'], {});
  }
  expect(lines.filter(({ msg }) => msg === 'rpc endpoint switched').map(brief)).toEqual([
    { level: 'warn', from: 'a', to: 'b', reason: 'it serves no logs: limit exceeded' },
  ]);
});

test('the status names the state of each node', async () => {
  const { endpoints, askFor, refuseIdentity, clock } = pool('a', 'b', 'c', 'd', 'e');
  refuseIdentity.add('d');
  await askFor(['logs'], { a: noLogs, b: contradiction('two blocks'), c: limited(minute) });
  const states = () => endpoints.status().map(({ state }) => state);
  expect(states()).toEqual(['limited', 'backoff', 'backoff', 'wrong chain', 'ready']);
  clock.advance(30_000);
  expect(states()).toEqual(['limited', 'distrusted', 'backoff', 'wrong chain', 'ready']);
});

test('a node lags by as many blocks as it showed less than another', async () => {
  const { endpoints, nodes } = pool('a', 'b');
  await endpoints.ask(async (_, seen) => seen({ head: 90 }), never);
  await endpoints.ask(async (_, seen) => seen({ head: 85 }), never, {
    except: (node) => node === nodes[0],
  });
  expect(endpoints.status().map(({ head, lag }) => ({ head, lag }))).toEqual([
    { head: 90, lag: 0 },
    { head: 85, lag: 5 },
  ]);
});

test('the status tells what each node showed', async () => {
  const { endpoints, clock } = pool('a', 'b');
  await endpoints.ask(async (node, seen) => {
    if (node.name === 'a') throw unavailable('down');
    seen({ head: 7, finalized: 5 });
    seen({ finalized: null });
  }, never);
  expect(endpoints.status()).toEqual([
    {
      host: 'a',
      preferred: true,
      state: 'backoff',
      head: null,
      finalized: null,
      lag: null,
      answeredAt: null,
      lacks: [],
      limits: null,
      latencyMs: 12,
      backoffUntil: clock() + 1000,
      lastError: 'down',
      asked: 1,
      failed: 1,
    },
    {
      host: 'b',
      preferred: false,
      state: 'ready',
      head: 7,
      finalized: null,
      lag: 0,
      answeredAt: clock(),
      lacks: [],
      limits: null,
      latencyMs: 12,
      backoffUntil: null,
      lastError: null,
      asked: 1,
      failed: 0,
    },
  ]);
});

test('closing closes every node', async () => {
  const closed: string[] = [];
  const nodes = ['a', 'b'].map((name) => ({
    host: name,
    node: { latencyMs: () => null, limits: () => null, close: async () => void closed.push(name) },
  }));
  const { log } = captureLog();
  await createEndpoints({ nodes, identify: async () => {}, clock: testClock(), log }).close();
  expect(closed).toEqual(['a', 'b']);
});

type Failures = Record<string, Error>;

/** Nodes by their names. `ask` returns the name of the one that did not fail. */
function pool(...names: string[]): {
  endpoints: Endpoints<FakeNode>;
  ask: (failures: Failures) => Promise<string>;
  /** The same for what needs these. */
  askFor: (needs: readonly Capability[], failures: Failures) => Promise<string>;
  nodes: FakeNode[];
  visits: string[];
  identified: string[];
  refuseIdentity: Set<string>;
  clock: TestClock;
  lines: LogLine[];
} {
  const clock = testClock();
  const { log, lines } = captureLog();
  const visits: string[] = [];
  const identified: string[] = [];
  const refuseIdentity = new Set<string>();
  const nodes = names.map((name) => ({
    name,
    latencyMs: () => 12,
    limits: () => null,
    close: async () => {},
  }));
  const endpoints = createEndpoints<FakeNode>({
    nodes: nodes.map((node) => ({ host: node.name, node })),
    identify: async ({ name }) => {
      identified.push(name);
      if (refuseIdentity.has(name))
        throw new NodeError({ kind: 'wrong-chain' }, 'it belongs to chain 1, not 56');
    },
    clock,
    log,
  });
  const askFor = (needs: readonly Capability[], failures: Failures) =>
    endpoints.ask(
      async ({ name }) => {
        visits.push(name);
        const failure = failures[name];
        if (failure !== undefined) throw failure;
        return name;
      },
      never,
      { needs },
    );
  const ask = (failures: Failures) => askFor([], failures);
  return { endpoints, ask, askFor, nodes, visits, identified, refuseIdentity, clock, lines };
}

function askEach(
  endpoints: Endpoints<FakeNode>,
  failures: Failures,
  visits: string[] = [],
  signal = never,
): Promise<NodeAnswer<string>[]> {
  return endpoints.askEach(async ({ name }) => {
    visits.push(name);
    const failure = failures[name];
    if (failure !== undefined) throw failure;
    return name;
  }, signal);
}

function limited(retryAfterMs: number): NodeError {
  return new NodeError({ kind: 'unavailable', retryAfterMs }, 'slow down');
}

function brief({ level, from, to, reason }: LogLine) {
  return { level, from, to, reason };
}
