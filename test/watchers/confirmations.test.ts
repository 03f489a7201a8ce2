import { expect, test } from 'vitest';
import type { Transfer } from '../../src/core/chain.ts';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { evmKey } from '../support/addresses.ts';
import { openWorld, type World, type WorldOptions } from '../support/chain-world.ts';
import { describeDecisions } from '../support/databases.ts';
import { txHash } from '../support/payments.ts';
import type { ScriptedNode } from '../support/scripted-chain.ts';

/*
 * What the nodes must agree on before a deposit is confirmed. The first node of several is the one that shows it; what it invents it
 * swears to as well.
 */

const minute = 60;

function node({ chain }: World, n: number): ScriptedNode {
  const found = chain.nodes[n];
  if (found === undefined) throw new Error(`no node ${n}`);
  return found;
}

/** Two payments: one whose customer has paid, and one whose payment the first node makes up, all of it deep enough. */
async function openForged(db: World['db'], nodes: number, options: WorldOptions = {}) {
  const world = await openWorld(db, { scripted: { nodes }, ...options });
  await world.read();
  const paid = await world.create();
  const forged = await world.create();
  const tx = world.pay(paid);
  world.mine(5);
  node(world, 0).invents.push(invented(world, forged));
  return { world, paid, forged, tx };
}

/** A transfer that nobody made, in the block of the one that somebody did. */
function invented({ chain, network }: World, { token, currency, expectedAmount }: OnchainPayment): Transfer {
  const block = chain.at(chain.head().height - 4);
  if (block === null) throw new Error('no such block');
  return {
    network,
    txHash: txHash(666),
    token,
    currency,
    recipient: evmKey(2),
    ordinal: 0,
    amount: expectedAmount,
    block,
    logIndex: 99,
  };
}

/** Steps every ten seconds for so long; every minute where blocks are read again as often. */
async function live(world: World, seconds: number, { rechecked = false } = {}): Promise<void> {
  const every = rechecked ? 60 : 10;
  for (let passed = 0; passed < seconds; passed += every) {
    world.pass(every);
    await world.step();
    if (rechecked) await world.recheck();
  }
}

async function statuses(world: World, ...payments: OnchainPayment[]): Promise<string[]> {
  const found: string[] = [];
  for (const payment of payments) found.push((await world.status(payment)).status);
  return found;
}

const messages = ({ lines }: World, msg: string) => lines.filter((line) => line.msg === msg);

describeDecisions('S1: a transfer that one node invents', (openTestDb) => {
  test('is never confirmed where another has not got it; the true one of the same step is, at once', async () => {
    const { world, paid, forged } = await openForged(await openTestDb(), 2);
    await world.read();
    expect(await statuses(world, paid, forged)).toEqual(['confirmed', 'pending']);
    world.mine(30);
    await world.read();
    await live(world, 15 * minute, { rechecked: true });
    expect(await statuses(world, forged)).toEqual(['pending']);
    expect(await world.deposits(forged)).toMatchObject([{ status: 'seen', reportedBy: 'node-0' }]);
    expect(await world.events(forged)).toEqual(['payment.detected']);
    expect(messages(world, 'nodes disagree about a transfer')).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        tx_hash: txHash(666),
        reported_by: 'node-0',
        denied_by: ['node-1'],
      }),
    );
  });

  test('is asked about once a minute as long as that lasts, and about nothing else', async () => {
    const { world, tx } = await openForged(await openTestDb(), 2);
    await world.read();
    await live(world, 10 * minute);
    const before = world.chain.calls.inclusionsOfEach;
    const asked: string[] = [];
    const { inclusionsOfEach } = world.chain.source;
    world.chain.source.inclusionsOfEach = (queries, signal) => {
      asked.push(...queries.map((query) => query.txHash));
      return inclusionsOfEach(queries, signal);
    };
    await live(world, 10 * minute);
    expect(world.chain.calls.inclusionsOfEach - before).toBe(10);
    expect(asked).not.toContain(tx);
  });

  test('is not confirmed while the other is down for a moment, nor is the true one; then that is', async () => {
    const { world, paid, forged } = await openForged(await openTestDb(), 2);
    node(world, 1).up = false;
    await live(world, 50);
    expect(await statuses(world, paid, forged)).toEqual(['pending', 'pending']);
    node(world, 1).up = true;
    await live(world, 10);
    expect(await statuses(world, paid, forged)).toEqual(['confirmed', 'pending']);
  });

  test('and that another has denied is not confirmed when that one goes away', async () => {
    const { world, forged } = await openForged(await openTestDb(), 2);
    await world.read();
    node(world, 1).up = false;
    await live(world, 9 * minute);
    expect(await statuses(world, forged)).toEqual(['pending']);
  });

  test('when blocks are read again is not confirmed by its own word either', async () => {
    const { world, paid, forged } = await openForged(await openTestDb(), 2);
    node(world, 1).invents.push(...node(world, 0).invents.splice(0));
    await world.read();
    expect(await world.recheck()).toBe('nothing');
    expect(await world.deposits(forged)).toMatchObject([{ status: 'seen', reportedBy: 'node-1' }]);
    world.mine(30);
    await world.read();
    await live(world, 10 * minute, { rechecked: true });
    expect(await statuses(world, paid, forged)).toEqual(['confirmed', 'pending']);
  });

  test('is taken back where there are three, having confirmed nothing', async () => {
    const { world, paid, forged } = await openForged(await openTestDb(), 3);
    await world.read();
    await world.recheck();
    expect(await statuses(world, paid, forged)).toEqual(['confirmed', 'pending']);
    expect(await world.deposits(forged)).toMatchObject([{ status: 'orphaned' }]);
    node(world, 0).invents.length = 0;
    world.mine(30);
    await world.read();
    expect(await world.status(forged)).toMatchObject({ status: 'expired' });
  });
});

describeDecisions('a transfer that nobody has any more', (openTestDb) => {
  /** Invented by one of the nodes; the payment waits, and its time is over. */
  async function openWaiting(nodes: number) {
    const opened = await openForged(await openTestDb(), nodes);
    await opened.world.read();
    opened.world.mine(30);
    await opened.world.read();
    expect(await statuses(opened.world, opened.forged)).toEqual(['pending']);
    return opened;
  }

  test('is taken back once the node that showed it denies it as well, and its payment ends', async () => {
    const { world, paid, forged } = await openWaiting(2);
    node(world, 0).invents.length = 0;
    await live(world, 2 * minute);
    expect(await world.deposits(forged)).toMatchObject([{ status: 'orphaned' }]);
    expect(await statuses(world, paid, forged)).toEqual(['confirmed', 'expired']);
    expect(await world.events(forged)).toEqual(['payment.detected', 'payment.expired']);
    expect(world.findings).toEqual(['vanished']);
    expect(messages(world, 'recorded transfer not on the chain')).toMatchObject([
      { level: 'warn', tx_hash: txHash(666), reported_by: 'node-0', denied_by: ['node-0', 'node-1'] },
    ]);
  });

  test('that a second reading had recorded while the other node was silent is taken back in the same way', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    world.chain.prefer(1);
    await world.read();
    await world.create();
    const forged = await world.create();
    world.mine(6);
    await world.read();
    node(world, 0).invents.push(invented(world, forged));
    node(world, 1).lacks = ['receipts'];
    await world.recheck();
    expect(await world.deposits(forged)).toMatchObject([{ status: 'seen', reportedBy: 'node-0' }]);
    node(world, 0).invents.length = 0;
    node(world, 1).lacks = [];
    world.mine(10);
    await world.read();
    expect(await world.status(forged)).toMatchObject({ status: 'pending' });
    await live(world, minute);
    expect(await world.deposits(forged)).toMatchObject([{ status: 'orphaned' }]);
    expect(await world.status(forged)).toMatchObject({ status: 'expired' });
  });

  test('is not taken back when they deny it once and have it again soon after', async () => {
    const { world, paid, tx } = await openForged(await openTestDb(), 2);
    for (const n of [0, 1]) node(world, n).denies.add(tx);
    await live(world, 20);
    for (const n of [0, 1]) node(world, n).denies.clear();
    await live(world, minute);
    expect(await statuses(world, paid)).toEqual(['confirmed']);
  });

  test('is not taken back when the node that showed it had it again in between', async () => {
    const { world, forged } = await openWaiting(2);
    for (let times = 0; times < 5; times++) {
      const made = node(world, 0).invents.splice(0);
      await live(world, minute);
      node(world, 0).invents.push(...made);
      await live(world, minute);
    }
    expect(await world.deposits(forged)).toMatchObject([{ status: 'seen' }]);
  });

  test.each<[string, (world: World) => void]>([
    [
      'is down',
      (world) => {
        node(world, 0).up = false;
      },
    ],
    [
      'serves no receipts',
      (world) => {
        node(world, 0).lacks = ['receipts'];
      },
    ],
    [
      'has not got as far as its block',
      (world) => {
        node(world, 0).view = { behind: 40 };
      },
    ],
  ])('is not taken back while the node that showed it %s', async (_, change) => {
    const { world, forged } = await openWaiting(2);
    node(world, 0).invents.length = 0;
    change(world);
    await live(world, 10 * minute);
    expect(await world.deposits(forged)).toMatchObject([{ status: 'seen' }]);
  });

  test('is not taken back by the word of the node that showed it alone, while the other is silent', async () => {
    const { world, paid, tx } = await openForged(await openTestDb(), 2);
    node(world, 1).up = false;
    node(world, 0).denies.add(tx);
    await live(world, 10 * minute);
    expect(await world.deposits(paid)).toMatchObject([{ status: 'seen' }]);
    node(world, 1).up = true;
    await live(world, 2 * minute);
    expect(await statuses(world, paid)).toEqual(['confirmed']);
  });

  test('is not taken back while a third node has it, though not as deep yet', async () => {
    const { world, paid, tx } = await openForged(await openTestDb(), 3);
    for (const n of [0, 1]) node(world, n).denies.add(tx);
    node(world, 2).view = { behind: 3 };
    await live(world, 5 * minute);
    expect(await world.deposits(paid)).toMatchObject([{ status: 'seen' }]);
  });

  test('is taken back where there is one node alone, by that one', async () => {
    const { world, forged } = await openForged(await openTestDb(), 1);
    node(world, 0).knowsTransactions = false;
    await world.read();
    node(world, 0).invents.length = 0;
    node(world, 0).knowsTransactions = true;
    world.mine(30);
    await live(world, 3 * minute);
    expect(await world.deposits(forged)).toMatchObject([{ status: 'orphaned' }]);
    expect(await statuses(world, forged)).toEqual(['expired']);
  });

  test('is taken back by all others where the node that showed it is none of ours any more', async () => {
    const { world, forged } = await openWaiting(3);
    const { source } = world.chain;
    const { inclusionsOfEach } = source;
    source.inclusionsOfEach = async (...asked) =>
      (await inclusionsOfEach(...asked)).filter(({ host }) => host !== 'node-0');
    node(world, 0).up = false;
    node(world, 2).up = false;
    await live(world, 10 * minute);
    expect(await world.deposits(forged)).toMatchObject([{ status: 'seen' }]);
    node(world, 2).up = true;
    await live(world, 3 * minute);
    expect(await world.deposits(forged)).toMatchObject([{ status: 'orphaned' }]);
  });

  test('is taken back where a third of three is away for good', async () => {
    const { world, forged } = await openWaiting(3);
    node(world, 2).up = false;
    node(world, 0).invents.length = 0;
    await live(world, 3 * minute);
    expect(await world.deposits(forged)).toMatchObject([{ status: 'orphaned' }]);
  });
});

describeDecisions('a deposit is confirmed', (openTestDb) => {
  /** A customer who has paid, deep enough to be confirmed. */
  async function openPaid(nodes: number) {
    const world = await openWorld(await openTestDb(), { scripted: { nodes } });
    await world.read();
    const payment = await world.create();
    const tx = world.pay(payment);
    world.mine(5);
    return { world, payment, tx };
  }

  test('on the word of another node, in one call, and none is made when there is nothing to confirm', async () => {
    const { world, payment } = await openPaid(2);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
    world.mine(3);
    await live(world, 10 * minute);
    expect(world.chain.calls.inclusionsOfEach).toBe(1);
  });

  test('by two of three nodes without waiting for the third, whose silence is none', async () => {
    const { world, payment } = await openPaid(3);
    node(world, 2).slow = true;
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
    await live(world, 2 * minute);
    // Now that it is needed, it cannot say: that began only now.
    const next = await world.create();
    world.pay(next);
    world.mine(5);
    node(world, 1).up = false;
    node(world, 2).knowsTransactions = false;
    await world.read();
    world.mine(4);
    await world.read();
    expect(await world.status(next)).toMatchObject({ status: 'pending' });
    world.mine(4);
    await world.read();
    expect(await world.status(next)).toMatchObject({ status: 'confirmed' });
    expect(messages(world, 'deposit confirmed without second node')).toHaveLength(1);
  });

  test('not by the first of three nodes that answer, where they do not agree', async () => {
    const { world, payment, tx } = await openPaid(3);
    node(world, 2).slow = true;
    node(world, 1).denies.add(tx);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
    expect(world.chain.calls.inclusionsOfEach).toBe(1);
  });

  test('on the word of the one that showed it at once, where there is no other', async () => {
    const { world, payment } = await openPaid(1);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
    expect(messages(world, 'deposit confirmed without second node')).toEqual([]);
  });

  test.each<[string, (other: ScriptedNode) => void]>([
    ['are down', (other) => Object.assign(other, { up: false })],
    ['serve no receipts', (other) => Object.assign(other, { lacks: ['receipts'] })],
  ])(
    'on the word of the one that showed it, when the others %s for a minute, and the next without waiting',
    async (_, change) => {
      const { world, payment, tx } = await openPaid(2);
      change(node(world, 1));
      await world.read();
      await live(world, minute - 10);
      expect(await world.status(payment)).toMatchObject({ status: 'pending' });
      await live(world, 20);
      expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
      expect(messages(world, 'deposit confirmed without second node')).toMatchObject([
        { level: 'info', tx_hash: tx },
      ]);
      const next = await world.create();
      world.pay(next);
      world.mine(3);
      await world.read();
      expect(await world.status(next)).toMatchObject({ status: 'confirmed' });
      // Said once for each, not at every step.
      expect(
        messages(world, 'deposit not confirmed yet').filter(({ level }) => level === 'warn'),
      ).toHaveLength(1);
    },
  );

  test('after a wait for each outage of the others: they may have been there in between', async () => {
    const { world, payment } = await openPaid(2);
    const other = node(world, 1);
    const { endpoints } = world.chain.source;
    let answeredAt = 0;
    world.chain.source.endpoints = () =>
      endpoints().map((status) => (status.host === other.name ? { ...status, answeredAt } : status));
    other.up = false;
    await live(world, 2 * minute);
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
    // Back, and read from, with nothing to confirm; then away again.
    answeredAt = world.clock();
    await live(world, 5 * minute);
    const next = await world.create();
    world.pay(next);
    world.mine(3);
    await live(world, 50);
    expect(await world.status(next)).toMatchObject({ status: 'pending' });
    await live(world, 30);
    expect(await world.status(next)).toMatchObject({ status: 'confirmed' });
  });

  test('never, while another has its transaction elsewhere', async () => {
    const { world, payment } = await openPaid(2);
    const { inclusionsOfEach } = world.chain.source;
    world.chain.source.inclusionsOfEach = async (...asked) => {
      const answers = await inclusionsOfEach(...asked);
      const above = world.chain.head();
      for (const answer of answers) {
        if (answer.host === 'node-0' || answer.kind === 'silent') continue;
        for (const query of answer.value.keys())
          answer.value.set(query, {
            kind: 'included',
            block: above,
            amount: query.amount,
            head: above.height,
          });
      }
      return answers;
    };
    await live(world, 10 * minute);
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
    expect(messages(world, 'deposit confirmed without second node')).toEqual([]);
  });

  test('after the same wait when the others answer and cannot say', async () => {
    const { world, payment } = await openPaid(2);
    node(world, 1).knowsTransactions = false;
    await world.read();
    await live(world, minute - 10);
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
    await live(world, 20);
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  });

  test('as soon as a node that was a little behind has caught up', async () => {
    const { world, payment } = await openPaid(2);
    node(world, 1).view = { behind: 5 };
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
    node(world, 1).view = 'tip';
    world.pass(1);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  });

  test('on the word of a third node at once, though the second denies it', async () => {
    const { world, payment, tx } = await openPaid(3);
    node(world, 1).denies.add(tx);
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
    expect(world.chain.calls.inclusionsOfEach).toBe(1);
  });

  test('once the node that has denied it does so no more', async () => {
    const { world, payment, tx } = await openPaid(2);
    node(world, 1).denies.add(tx);
    await live(world, 20 * minute);
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
    node(world, 1).denies.clear();
    await live(world, minute);
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  });

  test('without a pause where it was mined again, however long it was denied where it was before', async () => {
    const { world, payment, tx } = await openPaid(2);
    node(world, 1).denies.add(tx);
    await live(world, 5 * minute);
    node(world, 1).denies.clear();
    world.chain.reorg({ depth: 5, blocks: 9 });
    await world.read();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  });

  test('by another than the one that shows it now, after it was mined again', async () => {
    const { world, payment } = await openPaid(2);
    world.chain.prefer(1);
    await world.step();
    world.chain.reorg({ depth: 5, blocks: 9 });
    world.chain.prefer(0);
    await world.read();
    expect(await world.deposits(payment)).toMatchObject([{ status: 'confirmed', reportedBy: 'node-0' }]);
  });

  test('in the turn after it was found, with no wait, where nothing but finality was to be asked for', async () => {
    const chain = { finality: 'finalized', requiredConfirmations: 1 } as const;
    const world = await openWorld(await openTestDb(), { chain, scripted: { finalityLag: 0 } });
    const { poll } = world.chain.source;
    // As a node where that is a question of its own.
    world.chain.source.poll = async (request) => {
      const outcome = await poll(request);
      if (outcome.kind !== 'span' || request.finality !== false) return outcome;
      return { kind: 'span', span: { ...outcome.span, finalizedHeight: null } };
    };
    await world.read();
    const payment = await world.create();
    await world.step();
    world.pay(payment);
    world.mine(1);
    let nextAt = 0;
    while ((await world.deposits(payment)).length === 0) ({ nextAt } = await world.step());
    expect(await world.status(payment)).toMatchObject({ status: 'pending' });
    expect(nextAt).toBe(world.clock());
    await world.step();
    expect(await world.status(payment)).toMatchObject({ status: 'confirmed' });
  });

  test('before dust that came earlier, when it completes its payment', async () => {
    const world = await openWorld(await openTestDb());
    await world.read();
    const [dusted, payment] = [await world.create(), await world.create()];
    for (let n = 0; n < 60; n++) world.chain.send({ ...world.transferTo(dusted), amount: 1n });
    world.mine(1);
    const tx = world.pay(payment);
    world.mine(1);
    await world.read();
    const asked: string[][] = [];
    const { inclusionsOfEach } = world.chain.source;
    world.chain.source.inclusionsOfEach = (queries, signal) => {
      asked.push(queries.map(({ txHash: hash }) => hash));
      return inclusionsOfEach(queries, signal);
    };
    // Both blocks become deep enough in one step.
    world.mine(4);
    await world.read();
    expect(asked[0]?.[0]).toBe(tx);
    expect(asked.map((hashes) => hashes.length)).toEqual([1, 50, 10]);
  });

  test('together with all others of its transaction, in one question', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { nodes: 2 } });
    await world.read();
    const payment = await world.create();
    world.chain.send(...Array.from({ length: 300 }, () => ({ ...world.transferTo(payment), amount: 1n })));
    world.mine(5);
    await world.read();
    const deposits = await world.deposits(payment);
    expect(deposits.filter(({ status }) => status === 'confirmed')).toHaveLength(300);
    expect(world.chain.calls.inclusionsOfEach).toBe(1);
  });
});
