import fc from 'fast-check';
import { type BlockHash, type BlockRef, noTransaction, type TxHash } from '../../src/core/chain.ts';
import { lockSlackMs } from '../../src/core/chain-time.ts';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { readChain } from '../../src/storage/chains/chains.ts';
import { readRecheckMark } from '../../src/storage/chains/recheck-marks.ts';
import { listDepositsIn } from '../../src/storage/deposits/range.ts';
import type { Db } from '../../src/storage/schema.ts';
import { createEvmSource } from '../../src/watchers/evm/source.ts';
import { openWorld, type World } from './chain-world.ts';
import { endpointOf } from './evm.ts';
import { type FaultProxy, type Injection, startFaultProxy, type When } from './fault-proxy.ts';
import type { Fault } from './faults.ts';
import { InjectedFault, makeFaulty } from './faulty-db.ts';
import { type Elsewhere, type Illness, illnesses } from './illnesses.ts';
import {
  allDeposits,
  allPayments,
  checkOutcomes,
  checkReplay,
  checkReplayAfterLies,
  checkRoles,
  noteNative,
  visibleTransfers,
} from './model-checks.ts';
import { type Action, act, action, type Model, modelAddresses } from './model-history.ts';
import { type ScriptedNodeServer, startScriptedNode } from './scripted-node.ts';

/*
 * The whole way under faults: a chain behind HTTP, fault proxies, the pool of endpoints, the source, the watcher with
 * its confirmations, the recheck and a database. What is decided at random is a value, so that a failure can be
 * repeated and made smaller.
 */

/** Who is asked, in order of preference. A liar is never alone: nobody could tell. */
export type Crew = readonly ('liar' | 'honest')[];

const crews: readonly Crew[] = [
  ['liar', 'honest'],
  ['liar', 'honest'],
  ['honest', 'liar'],
  ['honest'],
  ['liar', 'honest', 'honest'],
  ['honest', 'liar', 'honest'],
  ['honest', 'honest'],
];

const allIllnesses = Object.values(illnesses).flat();
const honestIllnesses = allIllnesses.filter(({ lies }) => lies !== true);
const lies = allIllnesses.filter((illness) => illness.lies);

type Ail = {
  do: 'ail';
  node: number;
  nth: number;
  chance: number;
  skip: number;
  times: number;
  lasts: number;
};
type Sell = { do: 'sell'; nth: number; steps: number };
type Step = Action | Ail | Sell | { do: 'heal'; node: number } | { do: 'recheck'; steps: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 30, arbitrary: action.filter((one) => one.do !== 'node') },
  {
    weight: 9,
    arbitrary: fc.record({
      do: fc.constant('ail' as const),
      node: fc.nat(2),
      nth: fc.nat(10_000),
      chance: fc.constantFrom(0.2, 0.5, 1, 1),
      skip: fc.constantFrom(0, 0, 1, 3),
      times: fc.constantFrom(1, 3, 1_000, 1_000),
      // In actions.
      lasts: fc.constantFrom(1, 3, 8, 20, 60),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('heal' as const), node: fc.nat(2) }) },
  // More to be lied about than a shop has.
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('sell' as const), nth: fc.nat(20), steps: fc.nat(3) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('recheck' as const), steps: fc.integer({ min: 1, max: 4 }) }),
  },
);

export const mix = fc.record({
  crew: fc.constantFrom(...crews),
  late: fc.constantFrom('flag' as const, 'confirm' as const),
  finality: fc.constantFrom('depth' as const, 'finalized' as const),
  deepest: fc.constantFrom(6, 6, 64),
  epoch: fc.constantFrom(1, 16),
  dice: fc.nat(0xffff_ffff),
  steps: fc.array(step, { minLength: 20, maxLength: 100, size: 'max' }),
});

export type Mix = typeof mix extends fc.Arbitrary<infer T> ? T : never;

type Node = { kind: 'liar' | 'honest'; server: ScriptedNodeServer; proxy: FaultProxy };
type Ailing = { node: Node; injection: Injection; until: number };

type Run = {
  model: Model;
  world: World;
  mix: Mix;
  nodes: Node[];
  elsewhere: { behind: ScriptedNodeServer; fork: ScriptedNodeServer };
  ailing: Ailing[];
  hits: number;
  /** What was wrong with whom, in words. */
  history: string[];
  /** Actions so far. */
  now: number;
  recheckAt: number;
  /** Windows in a row in which nothing was read a second time. */
  unrechecked: number;
  /** Whether a node has lied so far, and whether one may have been believed about itself. */
  lied: boolean;
  trusted: boolean;
  /** Payments whose lock was looked at. */
  allowedLocks: Set<number>;
  /** Since when blocks stand, Unix ms: a reorg makes blocks that are dated earlier. */
  standsSince: Map<BlockHash, number>;
  /** Of each transaction that was mined, the newest payment by then. */
  sentWith: Map<TxHash, number>;
  /** For which reason the chain stopped while nobody contradicted it. */
  stopped: string | null;
};

/** An recheck whose other nodes say nothing for so many windows takes the word of the one that read the blocks. */
const patience = 5;

/** Blocks, and so ticks of ten seconds, within which everything is read again: the longest rest is ten minutes. */
export const mostTicks = 70;

/** A node that trails does so by so many blocks, however far apart they are. */
const mostBehind = 2;

/** By how much a lock may be too early beyond that, ms: the first head after a start may have stood there for a while. */
const mostLateMs = 60_000;

/** What a mix came to. */
export type MixOutcome = {
  /** Ticks from the end of the last fault until everything was read. */
  ticks: number;
  /** How often something was made wrong, and how much of it second readings found. */
  faults: number;
  findings: number;
  deposits: number;
  requests: number;
  /** Whether for lack of another answer the word of a liar stood. */
  trusted: boolean;
};

/** Lives through a mix and checks that its outcome is what the chain says. */
export async function liveMix(db: Db, mix: Mix): Promise<MixOutcome> {
  const servers: { close(): Promise<void> }[] = [];
  const keep = <T extends { close(): Promise<void> }>(server: T): T => {
    servers.push(server);
    return server;
  };
  try {
    const run = await open(db, mix, keep);
    return await live(run).catch((error: Error) => {
      const lines = run.world.lines.slice(-60).map((line) => JSON.stringify(line));
      throw new Error([error.message, ...run.history, ...lines].join('\n'), { cause: error });
    });
  } finally {
    await Promise.all(servers.map((server) => server.close()));
  }
}

async function live(run: Run): Promise<MixOutcome> {
  for (const each of run.mix.steps) {
    run.now += 1;
    relieve(run, (ailing) => ailing.until <= run.now);
    await take(run, each);
    await checkNow(run);
  }
  return end(run);
}

async function open(
  db: Db,
  mix: Mix,
  keep: <T extends { close(): Promise<void> }>(server: T) => T,
): Promise<Run> {
  const faulty = makeFaulty(db);
  const nodes: Node[] = [];
  const world = await openWorld(db, {
    addresses: modelAddresses,
    policy: { late: mix.late },
    chain: { finality: mix.finality },
    scripted: { finalityLag: mix.deepest, epoch: mix.epoch, height: mix.deepest + 20 },
    watcherDb: faulty.db,
    openSource: (_, { chain, clock, log }) => {
      const rpc = nodes.map(({ proxy }) => endpointOf(proxy.url));
      return createEvmSource({ chain: { ...chain, rpc }, clock, log, timeoutMs: 3_000 });
    },
  });
  keep(world);
  for (const [i, kind] of mix.crew.entries()) {
    const server = keep(await startScriptedNode(world.chain));
    nodes.push({ kind, server, proxy: keep(await startFaultProxy(server.url, { seed: mix.dice + i })) });
  }
  // Now that there are nodes.
  world.restart();
  const behind = keep(await startScriptedNode(world.chain, { behind: mostBehind }));
  const fork = keep(await startScriptedNode(world.chain));
  await world.read();
  // What contracts pay in the coin takes a second node where one cannot trace for a while.
  const { send } = world.chain;
  if (nodes.length === 1) {
    world.chain.send = (first, ...more) => {
      if (first?.token !== 'native') return send(...(first === undefined ? [] : [first]), ...more);
      for (const transfer of more) send(transfer);
      return send(first);
    };
  }
  const run: Run = {
    model: { world, faulty, deepest: mix.deepest, highest: 0, forks: [] },
    world,
    mix,
    nodes,
    elsewhere: { behind, fork },
    ailing: [],
    hits: 0,
    history: [],
    now: 0,
    recheckAt: 0,
    unrechecked: 0,
    lied: false,
    trusted: false,
    allowedLocks: new Set(),
    standsSince: new Map(),
    sentWith: new Map(),
    stopped: null,
  };
  run.model.mayStop = (reason) => mayStop(run, reason);
  return run;
}

/** A chain may stop for what nobody contradicts: a liar about a final block, while all others are ill or resting. */
function mayStop(run: Run, reason: string): boolean {
  const { world, nodes, ailing } = run;
  const resting = new Set(world.endpoints().flatMap(({ host, state }) => (state === 'ready' ? [] : [host])));
  const unwell = nodes.filter(({ proxy }) => resting.has(new URL(proxy.url).host));
  const ill = new Set([...unwell, ...ailing.map(({ node }) => node)]);
  const unheard = nodes.every((node) => node.kind === 'liar' || ill.has(node));
  // It stands in the state of the chain until something is read again.
  if (unheard) run.stopped = reason;
  return (
    /was final|none of the blocks that were read|belongs to chain 1, not 56/.test(reason) &&
    run.stopped === reason
  );
}

async function take(run: Run, what: Step): Promise<void> {
  switch (what.do) {
    case 'ail':
      return ail(run, what as Ail);
    case 'heal': {
      const { proxy } = nodeOf(run, (what as { node: number }).node);
      proxy.clear();
      return;
    }
    case 'sell':
      return sell(run, what as Sell);
    case 'recheck':
      for (let n = 0; n < (what as { steps: number }).steps; n++) await recheckStep(run);
      return;
    default: {
      const { forks } = run.model;
      await act(run.model, what as Action);
      const left = forks.at(-1);
      run.elsewhere.fork.view = left === undefined ? 'tip' : { stuckAt: left.head.hash };
    }
  }
}

/** A payment is made and paid at once, in any of the ways and assets. */
async function sell({ model }: Run, { nth, steps }: Sell): Promise<void> {
  const currency = ['usdt', 'usdc', 'native'][nth % 3] ?? 'usdt';
  const how = ['exact', 'exact', 'twice', 'half', 'double'][nth % 5] ?? 'exact';
  await act(model, { do: 'create', currency } as Action);
  await act(model, { do: 'pay', nth: 0, how } as Action);
  await act(model, { do: 'mine', blocks: 1, steps } as Action);
}

function nodeOf({ nodes }: Run, n: number): Node {
  return nodes[n % nodes.length] as Node;
}

function ail(run: Run, { node: n, nth, chance, skip, times, lasts }: Ail): void {
  const node = nodeOf(run, n);
  const all = node.kind === 'liar' && nth % 3 > 0 ? lies : honestIllnesses;
  const illness = all[Math.floor(nth / 3) % all.length] as Illness;
  if (illness.lies === true) run.lied = true;
  const elsewhere: Elsewhere = {
    own: node.server.url,
    behind: run.elsewhere.behind.url,
    fork: run.elsewhere.fork.url,
  };
  const when = illness.whole === true ? illness.when : { chance, skip, times, ...illness.when };
  run.history.push(`${node.kind} ${run.nodes.indexOf(node)}: ${describe(illness.fault(elsewhere), when)}`);
  const injection = node.proxy.inject(illness.fault(elsewhere), when);
  run.ailing.push({ node, injection, until: run.now + lasts });
}

function describe(fault: Fault, when: When | undefined): string {
  const words = JSON.stringify({ ...fault, ...when });
  return 'rewrite' in fault ? `${words} ${fault.rewrite}` : words;
}

function relieve(run: Run, which: (ailing: Ailing) => boolean): void {
  for (const { injection } of run.ailing.filter(which)) {
    injection.remove();
    run.hits += injection.hits;
  }
  run.ailing = run.ailing.filter((ailing) => !which(ailing));
}

/** Never before its time, as the daemon does. */
async function recheckStep(run: Run): Promise<void> {
  const { world } = run;
  if (world.clock() < run.recheckAt) return;
  try {
    const { kind, nextAt } = await world.recheckStep();
    run.recheckAt = nextAt;
    run.unrechecked = kind === 'failed' ? run.unrechecked + 1 : kind === 'stale' ? run.unrechecked : 0;
    if (run.unrechecked >= patience && run.nodes.length > 1) run.trusted = true;
  } catch (error) {
    if (!(error instanceof InjectedFault)) throw error;
  }
}

/** What must be true at every moment. */
async function checkNow(run: Run): Promise<void> {
  const { world, lied, trusted, nodes } = run;
  noteBlocks(run);
  await noteTransfers(run);
  await checkLocks(run);
  const { db, network, chain } = world;
  const state = await readChain(db, network);
  const mark = await readRecheckMark(db, network);
  if (state === null || mark === null) return;
  // A head a little too high is read to on one node's word: nothing is confirmed by it, and the next block there shows it.
  const above = lied && state.cursor.height > chain.head().height;
  if (!above && !chain.wasMade(state.cursor.hash))
    throw new Error(`the cursor is at a block that nobody made`);
  if (!lied) await checkReal(world);
  if (!trusted) await checkConfirmed(world);
  const stands = chain.at(state.cursor.height)?.hash === state.cursor.hash;
  if (!stands) return;
  if (!lied) await checkStanding(world, state.cursor.height);
  // What contracts pay in the coin may wait for a second reading: see contract-payments.ts.
  if (!lied) return checkComplete(world, state.cursor.height, (txHash) => !paysByContract(world, txHash));
  const rechecked = chain.at(mark.position.height)?.hash === mark.position.hash;
  if (rechecked && !trusted && nodes.length > 1) await checkComplete(world, mark.position.height);
}

/** Nothing is recorded that no block ever held. */
async function checkReal(world: World): Promise<void> {
  const ever = new Set(
    world.chain.transfersEver().map((one) => placeOf({ ...one, blockHash: one.block.hash })),
  );
  for (const deposit of await allDeposits(world)) {
    if (deposit.txHash === noTransaction || ever.has(placeOf(deposit))) continue;
    throw new Error(`recorded what never was: ${deposit.txHash} ${deposit.ordinal} in ${deposit.height}`);
  }
}

/** What a node made up is not confirmed, unless all others said nothing for long or serve no receipts. */
async function checkConfirmed(world: World): Promise<void> {
  for (const { status, txHash } of await allDeposits(world)) {
    if (status !== 'confirmed' || txHash === noTransaction) continue;
    if (world.chain.inclusionsEver(txHash).length > 0 || hadNoOther(world, txHash)) continue;
    throw new Error(`confirmed what never was: ${txHash}`);
  }
}

function hadNoOther({ lines }: World, txHash: string): boolean {
  return lines.some(
    ({ msg, lacks, tx_hash }) =>
      (msg === 'rpc endpoint limited' && lacks === 'receipts') ||
      (msg === 'deposit confirmed without second node' && tx_hash === txHash),
  );
}

/** What a reorg has thrown out is not kept where it was, once the new blocks are read. */
async function checkStanding({ db, network, chain }: World, upTo: number): Promise<void> {
  const held = await listDepositsIn(db, network, { above: -1, upTo });
  for (const { height, blockHash, txHash } of held) {
    if (chain.at(height)?.hash === blockHash) continue;
    throw new Error(`kept ${txHash} in ${height}, in a block that the chain has not got`);
  }
}

function paysByContract({ chain }: World, txHash: string): boolean {
  const same = chain.transfers().filter((transfer) => transfer.txHash === txHash);
  return same.length > 1 && same.some(({ token }) => token === 'native');
}

/** Everything on the chain up to this height is recorded where it stands. */
async function checkComplete(world: World, upTo: number, counts = (_: string) => true): Promise<void> {
  await noteNative(world);
  const held = new Set((await allDeposits(world)).filter(({ status }) => status !== 'orphaned').map(placeOf));
  for (const transfer of visibleTransfers(world, modelAddresses)) {
    const { height, hash } = transfer.block;
    if (height > upTo || held.has(placeOf({ ...transfer, blockHash: hash }))) continue;
    if (!counts(transfer.txHash)) continue;
    throw new Error(`read up to ${upTo} without ${transfer.currency} of ${transfer.txHash} in ${height}`);
  }
}

type Placed = {
  blockHash: string;
  txHash: string;
  token: string;
  recipient: string;
  ordinal: number;
  amount: bigint;
};

function placeOf({ blockHash, txHash, token, recipient, ordinal, amount }: Placed): string {
  return [blockHash, txHash, token, recipient, ordinal, amount].join(' ');
}

/** Ends every fault and comes to rest. */
async function end(run: Run): Promise<MixOutcome> {
  const { world, model, mix, nodes } = run;
  model.faulty.failAt(null);
  relieve(run, () => true);
  for (const { proxy } of nodes) proxy.clear();
  const ticks = await recover(run);
  // Deep enough for everything to be final, and long enough for every payment's time to be over.
  world.mine(mix.deepest + mix.epoch + 12);
  for (let rounds = 0; !(await isAtRest(run)); rounds++) {
    if (rounds > 80) throw new Error('it never comes to rest');
    // What a balance shows stands in the head: it is deep enough a few blocks later.
    world.mine(1);
    await world.read();
    for (let second = 0; second < 10; second++) {
      await recheckStep(run);
      world.pass(1);
    }
  }
  await noteNative(world);
  if (!run.trusted) await (run.lied ? checkReplayAfterLies : checkReplay)(world, modelAddresses);
  await checkRoles(world);
  // Not only after lies: a late transfer may be mined again in time, and what a contract paid be found by the recheck.
  await checkOutcomes(world);
  if (!run.trusted) await checkCustomers(run);
  if (!run.trusted) await checkCoins(world);
  return {
    ticks,
    faults: run.hits,
    findings: world.findings.length,
    deposits: (await allDeposits(world)).length,
    requests: nodes.reduce((sum, { proxy }) => sum + proxy.traffic().requests, 0),
    trusted: run.trusted,
  };
}

/** A branch that wins again stands anew. */
function noteBlocks({ world: { chain, clock }, standsSince }: Run): void {
  const before = new Map(standsSince);
  standsSince.clear();
  for (let block: BlockRef | null = chain.head(); block !== null; block = chain.at(block.height - 1))
    standsSince.set(block.hash, before.get(block.hash) ?? clock());
}

async function noteTransfers({ world, sentWith }: Run): Promise<void> {
  const newest = Math.max(0, ...(await allPayments(world)).map(({ id }) => id));
  for (const { txHash } of world.chain.transfers()) if (!sentWith.has(txHash)) sentWith.set(txHash, newest);
}

/**
 * Who paid enough in time, by the blocks as they are, has it counted, whatever a node said meanwhile of heads and times; of
 * transfers to one address the payment that was made last before them is meant. Not what a reorg brought after the end, and
 * not what was sent before the payment was made and mined again in the second of its lock.
 */
async function checkCustomers({ world, standsSince, sentWith }: Run): Promise<void> {
  const payments = await allPayments(world);
  for (const payment of payments) {
    const { currency, token, status, address, paymentNumber, requiredAmount, endedAt } = payment;
    if (token === 'native' || status === 'confirmed' || status === 'cancelled') continue;
    const isAfter = ({ lockChainTime }: OnchainPayment, time: number) =>
      time * 1000 >= lockChainTime - lockSlackMs;
    const later = payments.filter((other) => other.address === address && other.id > payment.id);
    const inTime = world.chain
      .transfers()
      .filter(({ recipient, token: paid, txHash, block: { time, hash } }) => {
        if ((sentWith.get(txHash) ?? payment.id) < payment.id) return false;
        if ((standsSince.get(hash) ?? Number.POSITIVE_INFINITY) >= (endedAt ?? 0)) return false;
        if (paid !== token || recipient !== address.slice(2).toLowerCase()) return false;
        if (!isAfter(payment, time) || time > payment.blockTimeLimit) return false;
        return !later.some((other) => isAfter(other, time));
      });
    const sum = inTime.reduce((total, { amount }) => total + amount, 0n);
    if (sum >= requiredAmount)
      throw new Error(`${paymentNumber} is ${status}, though ${sum} of ${currency} came in time`);
  }
}

/**
 * Locks are made by the chain's time, give or take what a node may trail by: whoever lies about a head moves none. They
 * are never later than our clock, which is right, and not much earlier than the last block of the chain then. But where all
 * others were silent for long enough, the word of the one that is left is taken, also a liar's: docs/security.md.
 */
async function checkLocks({ world, allowedLocks }: Run): Promise<void> {
  if (world.lines.some(({ msg }) => msg === 'head used without second node')) return;
  for (const { id, createdAt, lockChainTime, paymentNumber } of await allPayments(world)) {
    if (allowedLocks.has(id)) continue;
    const aheadMs = lockChainTime - createdAt;
    const behindMs = lastBlockTime(world, createdAt) * 1000 - lockChainTime;
    if (aheadMs > lockSlackMs + 1_000 || behindMs > mostLateMs)
      throw new Error(
        `${paymentNumber} was locked ${aheadMs / 1000} s ahead of our clock, ${behindMs / 1000} s behind the chain`,
      );
    allowedLocks.add(id);
  }
}

/**
 * Of the last block that a node which trails shows, of those that stand now and were there before that time, Unix ms: one of
 * the same second may not have been read.
 */
function lastBlockTime({ chain }: World, at: number): number {
  let block = chain.head();
  while (block.time * 1000 >= at && block.height > 0) block = chain.at(block.height - 1) ?? block;
  return (chain.at(block.height - mostBehind) ?? block).time;
}

/** Blocks are read whole when they may hold coins for a payment: none that was in time is missing. */
async function checkCoins(world: World): Promise<void> {
  const held = new Set((await allDeposits(world)).filter(({ status }) => status !== 'orphaned').map(placeOf));
  const coins = world.chain.transfers().filter(({ token }) => token === 'native');
  for (const payment of await allPayments(world)) {
    const { currency, status, address, lockChainTime, blockTimeLimit, paymentNumber } = payment;
    if (currency !== 'native' || status === 'confirmed' || status === 'cancelled') continue;
    for (const transfer of coins.filter(({ recipient }) => recipient === address.slice(2).toLowerCase())) {
      const { height, time, hash } = transfer.block;
      if (
        time * 1000 < lockChainTime - lockSlackMs ||
        time > blockTimeLimit ||
        held.has(placeOf({ ...transfer, blockHash: hash }))
      )
        continue;
      throw new Error(`${paymentNumber} is ${status} without ${transfer.txHash} in ${height}`);
    }
  }
}

/** One block every ten seconds, until all of them are read. */
async function recover(run: Run): Promise<number> {
  const { world } = run;
  for (let ticks = 1; ticks <= mostTicks; ticks++) {
    world.mine();
    await world.read();
    await recheckStep(run);
    const state = await readChain(world.db, world.network);
    if (state?.cursor.hash === world.chain.head().hash && state.stoppedReason === null) return ticks;
  }
  throw new Error(`not read again within ${mostTicks} ticks`);
}

/** Everything was read, and what is settled twice. */
async function isAtRest({ world, mix }: Run): Promise<boolean> {
  const { db, network, chain } = world;
  const state = await readChain(db, network);
  const mark = await readRecheckMark(db, network);
  const deposits = await allDeposits(world);
  const settled = chain.head().height - mix.deepest - mix.epoch - 4;
  return (
    state?.cursor.hash === chain.head().hash &&
    (mark?.position.height ?? 0) >= settled &&
    deposits.every(({ status }) => status !== 'seen')
  );
}
