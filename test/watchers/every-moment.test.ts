import { expect, test } from 'vitest';
import type { BlockRef } from '../../src/core/chain.ts';
import type { Deposit, OnchainPayment } from '../../src/core/payment.ts';
import { type ChainState, listAnchors, readChain } from '../../src/storage/chains/chains.ts';
import type { Db } from '../../src/storage/schema.ts';
import { listEvents, type StoredEvent } from '../../src/storage/webhooks/events.ts';
import { openWorld } from '../support/chain-world.ts';
import { describeDatabases } from '../support/databases.ts';
import { liveThrough, modelRuns } from '../support/histories.ts';
import { allDeposits, allPayments, followEvents } from '../support/model-checks.ts';
import { act, comeToRest, type History, history, type Model, openModel } from '../support/model-history.ts';
import { openTronModel } from '../support/tron/model.ts';

/*
 * What must be true at every moment of a random history (payments, mining, reorgs, nodes that lag or sit on forks, faults
 * at any write, restarts), and not only at its end: watched from outside, by what is stored.
 */

type Body = { event: string; payment_id: string | null; deposit?: { id: number; tx_hash: string } };

/** What is stored after one thing happened. */
type Moment = {
  state: ChainState | null;
  deposits: Deposit[];
  payments: OnchainPayment[];
  events: (StoredEvent & { told: Body })[];
  anchors: BlockRef[];
};

async function look({ world }: Model): Promise<Moment> {
  const { db, network, merchantId } = world;
  const events = await listEvents(db, merchantId, 0, 10_000);
  return {
    state: await readChain(db, network),
    deposits: await allDeposits(world),
    payments: await allPayments(world),
    events: events.map((event) => ({ ...event, told: JSON.parse(event.body) as Body })),
    anchors: await listAnchors(db, network),
  };
}

const typesOf = ({ events }: Moment, { paymentNumber }: OnchainPayment) =>
  events.filter(({ told }) => told.payment_id === paymentNumber).map(({ type }) => type);

const identityOf = ({ network, txHash, token, recipient, ordinal }: Deposit) =>
  [network, txHash, token, recipient, ordinal].join(' ');

/** Blocks that a payment rested on when it was confirmed. */
type Ground = { payment: OnchainPayment; on: Deposit[] };

/**
 * S1, where finality decides: what is confirmed is on the chain, under what is final, and is never taken back. But for a
 * payment with a tier, which depth confirms.
 */
function checkConfirmed({ world }: Model, { deposits, payments, events, state }: Moment): void {
  const tiered = payments.filter(({ tier }) => tier !== null);
  for (const { status, height, blockHash, txHash, paymentId } of deposits) {
    if (status !== 'confirmed' || tiered.some(({ id }) => id === paymentId)) continue;
    expect(height, `${txHash} is final`).toBeLessThanOrEqual(state?.finalizedHeight ?? -1);
    expect(world.chain.at(height)?.hash, `the block of ${txHash}`).toBe(blockHash);
  }
  const numbers = new Set(tiered.map(({ paymentNumber }) => paymentNumber));
  const reverted = events.filter(({ type }) => type === 'payment.reverted');
  expect(reverted.filter(({ told }) => !numbers.has(told.payment_id ?? ''))).toEqual([]);
}

/** S1, where depth decides: whoever was told of a confirmation that the chain took back is told of that. */
function checkReverted({ world }: Model, end: Moment, grounds: readonly Ground[]): void {
  for (const { payment, on } of grounds) {
    const standing = on.filter(({ height, blockHash }) => world.chain.at(height)?.hash === blockHash);
    const sum = standing.reduce((total, { amount }) => total + amount, 0n);
    if (sum >= payment.requiredAmount) continue;
    expect(typesOf(end, payment), `${payment.paymentNumber} was told`).toContain('payment.reverted');
  }
}

/** S4: the final height only rises, and nothing at or below it changes but that what was seen is confirmed. */
function checkFinal(before: Moment, after: Moment): void {
  const final = before.state?.finalizedHeight ?? -1;
  expect(after.state?.finalizedHeight ?? -1, 'the final height').toBeGreaterThanOrEqual(final);
  const later = new Map(after.deposits.map((deposit) => [deposit.id, deposit]));
  for (const deposit of before.deposits) {
    if (deposit.height > final || deposit.status === 'orphaned') continue;
    const { height, blockHash, logIndex, amount, status } = later.get(deposit.id) as Deposit;
    const stays = { height, blockHash, logIndex, amount };
    expect(deposit, 'a deposit in a final block').toMatchObject(stays);
    expect(status === deposit.status || status === 'confirmed', 'is not taken back').toBe(true);
  }
  const anchors = new Map(after.anchors.map(({ height, hash }) => [height, hash]));
  for (const { height, hash } of before.anchors) {
    // Some are dropped with time.
    if (height <= final) expect(anchors.get(height) ?? hash, `the final block ${height}`).toBe(hash);
  }
  const read = before.state?.cursor.height ?? -1;
  expect(after.state?.cursor.height, 'final blocks are not read again').toBeGreaterThanOrEqual(
    Math.min(read, final),
  );
}

/** I1: what was recorded stays one deposit for good, wherever its transaction is mined. */
function checkIdentity(before: Moment, after: Moment): void {
  const identities = after.deposits.map(identityOf);
  expect(new Set(identities).size, 'no transfer twice').toBe(identities.length);
  const byId = new Map(after.deposits.map((deposit) => [deposit.id, identityOf(deposit)]));
  for (const deposit of before.deposits) expect(byId.get(deposit.id)).toBe(identityOf(deposit));
}

const statusAfter: Record<string, string> = {
  'payment.confirmed': 'confirmed',
  'payment.expired': 'expired',
  'payment.cancelled': 'cancelled',
  'payment.failed': 'failed',
  'payment.reverted': 'failed',
};

/** I2: what was told stays told; followed event by event it is a way through the states, and ends where the table is. */
function checkEvents({ world }: Model, before: Moment, after: Moment): void {
  expect(after.events.slice(0, before.events.length)).toEqual(before.events);
  for (const payment of after.payments) {
    // Any way: also with `flag` a reorg may put late money in time.
    expect(followEvents(typesOf(after, payment), 'confirm'), payment.paymentNumber).toBe(payment.status);
  }
  for (const { told, type } of after.events) {
    if (type === 'deposit.unmatched' || type === 'payment.detected' || type === 'payment.late') continue;
    if (type === 'payment.partially_paid') continue;
    const { status, payment } = told as Body & { status: string; payment: { status: string } };
    expect(statusAfter[type], `the body of ${type}`).toBe(status);
    expect(payment.status).toBe(status);
  }
  const unmatched = after.deposits.filter(({ role }) => role === 'unmatched').map(({ id }) => id);
  const told = after.events.flatMap((event) => event.told.deposit?.id ?? []);
  expect(
    told.toSorted((a, b) => a - b),
    'each unmatched deposit is told once',
  ).toEqual(unmatched);
  for (const { role, paymentId, amount, txHash } of after.deposits) {
    const payment = after.payments.find(({ id }) => id === paymentId);
    if (payment === undefined || role === 'accepted' || amount < payment.dustAmount) continue;
    const types = typesOf(after, payment);
    // What was mined late on a branch that lost was told as late, and is not told again.
    const wasLate = world.chain.inclusionsEver(txHash).some(({ time }) => time > payment.blockTimeLimit);
    if (role !== 'late' && wasLate && types.includes('payment.late')) continue;
    expect(types).toContain(role === 'late' ? 'payment.late' : 'payment.detected');
  }
  for (const payment of after.payments) {
    const own = after.deposits.filter(({ paymentId }) => paymentId === payment.id);
    const received = own.reduce((total, { amount }) => total + amount, 0n);
    if (received >= payment.dustAmount) continue;
    const types = typesOf(after, payment);
    expect(types, 'dust is nothing received').not.toContain('payment.detected');
    expect(types, 'dust is nothing received').not.toContain('payment.late');
  }
}

/** How much of what matters was seen, so that no property holds for want of cases. */
type Seen = {
  moved: number;
  together: number;
  confirmed: number;
  reverted: number;
  finalized: number;
  /** Confirmed with fewer confirmations than others need, and such payments that were reverted. */
  byTier: number;
  tierReverted: number;
};

function nothingSeen(): Seen {
  const confirmed = { confirmed: 0, finalized: 0, byTier: 0 };
  return { moved: 0, together: 0, ...confirmed, reverted: 0, tierReverted: 0 };
}

/** What a world's chain requires where no tier says less. */
const fewest = 3;

function count(seen: Seen, before: Moment, after: Moment, { finality }: History): void {
  const places = new Map(before.deposits.map(({ id, blockHash }) => [id, blockHash]));
  seen.moved += after.deposits.filter(
    ({ id, blockHash }) => (places.get(id) ?? blockHash) !== blockHash,
  ).length;
  seen.together += after.deposits.filter(({ ordinal, txHash }) => ordinal > 0 && txHash !== '').length;
  const all = (type: string, { events }: Moment) => events.filter((event) => event.type === type).length;
  const confirmed = all('payment.confirmed', after) - all('payment.confirmed', before);
  seen.confirmed += confirmed;
  if (finality === 'finalized') seen.finalized += confirmed;
  seen.reverted += all('payment.reverted', after) - all('payment.reverted', before);
  const tiered = after.payments.filter(({ tier }) => tier !== null);
  const numbers = new Set(tiered.map(({ paymentNumber }) => paymentNumber));
  const news = after.events.slice(before.events.length);
  seen.tierReverted += news.filter(
    ({ type, told }) => type === 'payment.reverted' && numbers.has(told.payment_id ?? ''),
  ).length;
  const known = new Set(before.deposits.filter(({ status }) => status === 'confirmed').map(({ id }) => id));
  const fresh = after.deposits.filter(({ status, id }) => status === 'confirmed' && !known.has(id));
  const deep = (after.state?.head.height ?? 0) - fewest;
  seen.byTier += fresh.filter(({ height }) => height > deep).length;
}

async function live(db: Db, given: History, seen: Seen): Promise<void> {
  await liveIn(await openModel(db, given), given, seen);
}

async function liveIn(model: Model, given: History, seen: Seen): Promise<void> {
  const grounds: Ground[] = [];
  let before = await look(model);
  const check = async () => {
    const after = await look(model);
    if (given.finality === 'finalized') checkConfirmed(model, after);
    checkFinal(before, after);
    checkIdentity(before, after);
    checkEvents(model, before, after);
    for (const payment of after.payments) {
      if (payment.status !== 'confirmed') continue;
      const own = after.deposits.filter(({ paymentId, role }) => paymentId === payment.id && role !== 'late');
      grounds.push({ payment, on: own.filter(({ status }) => status === 'confirmed') });
    }
    count(seen, before, after, given);
    before = after;
  };
  for (const action of given.actions) {
    await act(model, action);
    await check();
  }
  await comeToRest(model);
  await check();
  checkReverted(model, before, grounds);
}

const runs = modelRuns(4);

describeDatabases('S1, S4, I1, I2: at every moment of a random history', (openTestDb, kind) => {
  test(
    'what is confirmed stays or is reverted, what is final stands, a transfer is one deposit, and events tell it all',
    async () => {
      const seen = nothingSeen();
      const some = (round: number) =>
        liveThrough({
          ...{ openTestDb, kind, history, runs, fewer: 12, round },
          live: (db, given) => live(db, given, seen),
        });
      if (kind === 'PostgreSQL') return some(0);
      // Nearly always enough at once: few histories have no reorg under a confirmed payment.
      const isAllSeen = () => Object.values(seen).every((times) => times > 0);
      for (let round = 0; round < 30 && !isAllSeen(); round++) await some(round);
      expect(isAllSeen(), JSON.stringify(seen)).toBe(true);
    },
    runs * 20_000,
  );
});

describeDatabases('S1, S4, I1, I2: at every moment on TRON, over simulated nodes', (openTestDb, kind) => {
  const few = modelRuns(1);

  test(
    'what is confirmed stays or is reverted, what is final stands, a transfer is one deposit, and events tell it all',
    async () => {
      const seen = nothingSeen();
      const onTron = async (db: Db, given: History) => {
        const model = await openTronModel(db, given);
        await liveIn(model, given, seen).finally(() => model.close());
      };
      await liveThrough({ ...{ openTestDb, kind, history, runs: few }, live: onTron });
    },
    few * 30_000,
  );
});

describeDatabases('S4: the final height', (openTestDb) => {
  test('only rises, whatever is said of it', async () => {
    const world = await openWorld(await openTestDb(), { scripted: { finalityLag: 0 } });
    await world.read();
    const { poll } = world.chain.source;
    let told: number | null = null;
    world.chain.source.poll = async (request) => {
      const outcome = await poll({ ...request, finalizedHeight: null });
      return outcome.kind === 'span'
        ? { ...outcome, span: { ...outcome.span, finalizedHeight: told } }
        : outcome;
    };
    let highest = (await readChain(world.db, world.network))?.finalizedHeight ?? 0;
    for (const below of [3, 0, 1, null, 5, 2, null, 0, 4]) {
      world.mine(1);
      told = below === null ? null : world.chain.head().height - below;
      await world.read();
      highest = Math.max(highest, told ?? 0);
      expect((await readChain(world.db, world.network))?.finalizedHeight).toBe(highest);
    }
  });
});
