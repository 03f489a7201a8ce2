import fc from 'fast-check';
import type { BlockRef, TxHash } from '../../src/core/chain.ts';
import type { OnchainPayment } from '../../src/core/payment.ts';
import { type ChainState, readChain } from '../../src/storage/chains/chains.ts';
import type { Db } from '../../src/storage/schema.ts';
import { listEvents } from '../../src/storage/webhooks/events.ts';
import { evmKey } from './addresses.ts';
import { openWorld, type World, type WorldOptions } from './chain-world.ts';
import { type FaultyDb, InjectedFault, makeFaulty } from './faulty-db.ts';
import { allDeposits, allPayments } from './model-checks.ts';
import { tokenKey, usdt } from './payments.ts';
import type { NodeView } from './scripted-chain.ts';

/** Addresses of the model's pool: few, so that they are used again and again. */
export const modelAddresses = 2;

/** How deep reorgs go, and how far the finalized block trails: nothing final is ever taken back here. */
export const deepest = 6;

const nth = fc.nat(20);
const steps = fc.integer({ min: 0, max: 6 });

export const action = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('create'),
      currency: fc.constantFrom('usdt', 'usdc', 'native'),
      usdCents: fc.constantFrom(2_000, 5_000, 9_000),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('pay'),
      nth,
      how: fc.constantFrom('exact', 'exact', 'exact', 'half', 'double', 'twice', 'wrong token', 'dust'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stray'), nth }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('mine'), blocks: fc.integer({ min: 1, max: 3 }), steps }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('reorg'),
      depth: fc.integer({ min: 1, max: deepest }),
      longer: fc.integer({ min: -2, max: 2 }),
      steps,
      places: fc.array(fc.option(fc.nat(8), { freq: 2 }), { minLength: 1, maxLength: 8 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('revive'), steps }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('fault'), write: fc.integer({ min: 1, max: 14 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('restart') }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('node'),
      node: fc.nat(2),
      becomes: fc.constantFrom('following', 'behind', 'stuck', 'down', 'without transactions', 'preferred'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel'), nth }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait'), seconds: fc.integer({ min: 1, max: 90 }) }) },
);

/** Where a history is tiered; all of three confirmations above. A half more is above the tier again. */
const confirmationTiers = [
  { upToUsdCents: 2_500, confirmations: 1 },
  { upToUsdCents: 7_000, confirmations: 2 },
];

export type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

export const history = fc.record({
  late: fc.constantFrom('flag' as const, 'confirm' as const),
  finality: fc.constantFrom('depth' as const, 'depth' as const, 'finalized' as const),
  balanced: fc.boolean(),
  tiered: fc.boolean(),
  actions: fc.array(action, { minLength: 20, maxLength: 80, size: 'max' }),
});

export type History = typeof history extends fc.Arbitrary<infer T> ? T : never;

export type Model = {
  world: World;
  faulty: FaultyDb;
  /** How deep reorgs go here; default {@link deepest}. */
  deepest?: number;
  /** Whether this chain may stop for a while for such a reason; default: for none. */
  mayStop?: (reason: string) => boolean;
  /** The highest the chain has ever been before a reorg. */
  highest: number;
  /** Heads that reorgs replaced, and up to where each has its blocks in common with the chain. */
  forks: { head: BlockRef; common: number }[];
};

export type ModelOptions = Pick<WorldOptions, 'network' | 'openSource'> & {
  /** Starts what the source reads, before anything is read. */
  serve?: (world: World) => Promise<void>;
};

export async function openModel(
  db: Db,
  { late, finality, balanced, tiered }: Omit<History, 'actions'>,
  { serve, ...on }: ModelOptions = {},
): Promise<Model> {
  const faulty = makeFaulty(db);
  const world = await openWorld(db, {
    addresses: modelAddresses,
    policy: { late },
    chain: { finality, confirmationTiers: tiered ? confirmationTiers : [] },
    scripted: { nodes: 3, finalityLag: deepest, maxRange: 4, height: 12 },
    watcherDb: faulty.db,
    ...on,
  });
  await serve?.(world);
  await world.read();
  if (balanced) world.chain.balance();
  return { world, faulty, highest: 0, forks: [] };
}

/** Does one thing of a history and checks what must be true at every moment. */
export async function act(model: Model, what: Action): Promise<void> {
  const { world, faulty } = model;
  const { chain } = world;
  switch (what.do) {
    case 'create':
      await world.tryCreate(what.currency as 'usdt', what.usdCents);
      break;
    case 'pay': {
      const payment = await pick(world, what.nth);
      if (payment !== null) pay(world, payment, what.how);
      break;
    }
    case 'stray':
      chain.send({
        token: tokenKey(world.network, 'usdt'),
        currency: 'usdt',
        recipient: evmKey((what.nth % (modelAddresses + 1)) + 1),
        amount: usdt(7),
      });
      break;
    case 'mine':
      world.mine(what.blocks);
      await stepChecked(model, what.steps);
      break;
    case 'reorg': {
      const { height } = chain.head();
      // What a node called final stays.
      const depth = Math.min(what.depth, height - lowestFork(model));
      const place = (_tx: TxHash, index: number) => what.places[index % what.places.length] ?? null;
      if (depth > 0) {
        leave(model, height - depth);
        chain.reorg({ depth, blocks: Math.max(1, depth + what.longer), place });
      }
      await stepChecked(model, what.steps);
      break;
    }
    case 'revive': {
      const lowest = lowestFork(model);
      const fork = model.forks.pop();
      if (fork !== undefined && fork.common >= lowest) {
        leave(model, fork.common);
        chain.revive(fork.head.hash);
      }
      await stepChecked(model, what.steps);
      break;
    }
    case 'fault':
      faulty.failAt(what.write);
      await stepChecked(model, 2);
      break;
    case 'restart':
      world.restart();
      break;
    case 'node':
      changeNode(world, what.node, what.becomes);
      break;
    case 'cancel': {
      const payment = await pick(world, what.nth);
      if (payment !== null) await world.cancel(payment);
      break;
    }
    case 'wait':
      world.pass(what.seconds);
      break;
    default:
      throw new Error(`no such action: ${JSON.stringify(what)}`);
  }
}

/** Where the chain may fork at the deepest without taking back what was final. */
function lowestFork(model: Model): number {
  model.highest = Math.max(model.highest, model.world.chain.head().height);
  return model.highest - (model.deepest ?? deepest);
}

/** The chain leaves its head for a fork that begins above `common`. */
function leave({ world, forks }: Model, common: number): void {
  for (const fork of forks) fork.common = Math.min(fork.common, common);
  forks.push({ head: world.chain.head(), common });
}

/** Heals every node and mines until every payment's time is long over and everything is read. */
export async function comeToRest({ world, faulty }: Model): Promise<void> {
  faulty.failAt(null);
  for (const node of world.chain.nodes)
    Object.assign(node, { view: 'tip', up: true, knowsTransactions: true });
  for (let round = 0; round < 20; round++) {
    world.mine();
    await world.read();
  }
}

async function pick(world: World, n: number): Promise<OnchainPayment | null> {
  const payments = await allPayments(world);
  // Counted from the newest: most customers pay what they were just asked for.
  return payments.at(-1 - (n % Math.max(1, Math.min(4, payments.length)))) ?? null;
}

function pay(world: World, payment: OnchainPayment, how: string): void {
  const { chain } = world;
  switch (how) {
    case 'exact':
      chain.send(world.transferTo(payment));
      break;
    case 'half':
      chain.send(world.transferTo(payment, 5));
      break;
    case 'double':
      chain.send(world.transferTo(payment, 20));
      break;
    case 'twice':
      chain.send(world.transferTo(payment, 5), world.transferTo(payment, 5));
      break;
    case 'wrong token':
      chain.send(world.wrongToken(payment));
      break;
    case 'dust':
      chain.send({ ...world.transferTo(payment), amount: 1n });
      break;
    default:
      throw new Error(`no such way to pay: ${how}`);
  }
}

function changeNode({ chain }: World, n: number, becomes: string): void {
  const node = chain.nodes[n];
  if (node === undefined) return;
  const views: Record<string, NodeView> = {
    following: 'tip',
    behind: { behind: 2 },
    stuck: { stuckAt: chain.head().hash },
  };
  if (becomes === 'preferred') chain.prefer(n);
  node.view = views[becomes] ?? node.view;
  node.up = becomes !== 'down';
  node.knowsTransactions = becomes !== 'without transactions';
}

/** Steps, of which any may be made to fail, and checks what no moment may show. */
async function stepChecked(model: Model, times: number): Promise<void> {
  for (let i = 0; i < times; i++) await checkedStep(model);
}

/** What a step has confirmed lay as deep as its payment was promised. */
async function checkDepth(world: World, state: ChainState | null, seen: ReadonlySet<number>): Promise<void> {
  if (state === null) return;
  const deposits = await allDeposits(world);
  const payments = new Map((await allPayments(world)).map((payment) => [payment.id, payment]));
  const { chainConfig } = world;
  for (const { id, status, height, paymentId, role, txHash } of deposits) {
    if (status !== 'confirmed' || !seen.has(id)) continue;
    const payment = payments.get(paymentId ?? -1);
    const full = payment?.requiredConfirmations ?? chainConfig.requiredConfirmations;
    const isFinal = chainConfig.finality === 'depth' || height <= (state.finalizedHeight ?? -1);
    if (isFinal && state.head.height - height + 1 >= full) continue;
    const tier = payment?.tier ?? null;
    if (payment === undefined || tier === null || role !== 'counted')
      throw new Error(`${txHash} was confirmed too early`);
    const received = deposits
      .filter((other) => other.paymentId === payment.id && other.status !== 'orphaned')
      .reduce((total, { amount }) => total + amount, 0n);
    const deep = state.cursor.height - height + 1 >= tier.confirmations;
    if (!deep || received > tier.upToAmount) throw new Error(`${txHash} was confirmed above its tier`);
  }
}

async function checkedStep({ world, mayStop }: Model): Promise<void> {
  const { db, network, merchantId } = world;
  const before = (await listEvents(db, merchantId, 0, 10_000)).length;
  const seen = (await allDeposits(world)).filter(({ status }) => status !== 'confirmed');
  try {
    await world.step();
  } catch (error) {
    if (!(error instanceof InjectedFault)) throw error;
  }
  const state = await readChain(db, network);
  await checkDepth(world, state, new Set(seen.map(({ id }) => id)));
  const payments = new Map((await allPayments(world)).map((payment) => [payment.paymentNumber, payment]));
  for (const { type, body } of (await listEvents(db, merchantId, 0, 10_000)).slice(before)) {
    if (type !== 'payment.expired') continue;
    const payment = payments.get((JSON.parse(body) as { payment_id: string }).payment_id);
    const read = (state?.cursor.time ?? 0) * 1000;
    if (payment === undefined || read <= payment.expiresAt) {
      throw new Error(`expired at ${payment?.expiresAt}, though the chain was read to ${read} only`);
    }
  }
  const stopped = state?.stoppedReason;
  if (stopped != null && mayStop?.(stopped) !== true) throw new Error(`stopped: ${stopped}`);
}
