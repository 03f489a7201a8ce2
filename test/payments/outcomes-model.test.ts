import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keyOfHex } from '../../src/core/address.ts';
import type { Transfer } from '../../src/core/chain.ts';
import { lockSlackMs } from '../../src/core/chain-time.ts';
import { formatAmount, parseAmount } from '../../src/core/money.ts';
import { type Deposit, isOpen, type OnchainPayment } from '../../src/core/payment.ts';
import { listDeposits } from '../../src/storage/deposits/deposits.ts';
import type { Db } from '../../src/storage/schema.ts';
import { evmAddress } from '../support/addresses.ts';
import { describeDatabases } from '../support/databases.ts';
import { liveThrough, modelRuns } from '../support/histories.ts';
import { openShop, type Shop } from '../support/shop.ts';

/*
 * Everything that customers, chains, apps and operators can do to a small pool, in any order. Both networks list the
 * same two addresses, so that most mistakes of customers hit a payment.
 */

const networks = fc.constantFrom('bsc', 'ethereum');
const currencies = fc.constantFrom('usdt', 'usdc');
const index = fc.nat(7);
/** As asked, and sometimes otherwise. */
const wrong = fc.boolean().chain((first) => (first ? fc.boolean() : fc.constant(false)));

const action = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('create'), network: networks, currency: currencies }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('pay'),
      payment: index,
      wrongNetwork: wrong,
      wrongCurrency: wrong,
      amount: fc.constantFrom(50, 50, 30, 20, 49.6, 60, 0.000001, 0.03),
    }),
  },
  fc.record({ kind: fc.constant('stray'), address: fc.nat(1), network: networks, currency: currencies }),
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('confirm') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('read') }) },
  fc.record({ kind: fc.constant('look') }),
  fc.record({ kind: fc.constant('mine'), network: networks, blocks: fc.integer({ min: 1, max: 4 }) }),
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('reorg'),
      network: networks,
      depth: fc.integer({ min: 1, max: 9 }),
      returns: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pass'), seconds: fc.constantFrom(5, 300, 2_000) }) },
  fc.record({ kind: fc.constant('cancel'), payment: index }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('accept'), payment: index }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('attach'), deposit: index, payment: index }) },
  fc.record({ kind: fc.constant('retire'), address: fc.nat(1), retired: fc.boolean() }),
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

/** The newest payment, and the newest unmatched deposit. */
const newest = 0;
const paid = (amount: 20 | 30 | 50, wrongNetwork = false, wrongCurrency = false): Action => ({
  ...{ kind: 'pay', payment: newest, wrongNetwork, wrongCurrency, amount },
});

/** What has to happen in a row to matter, which single steps rarely do. */
const story = fc.constantFrom<Action[]>(
  [
    { kind: 'create', network: 'bsc', currency: 'usdt' },
    paid(50, true),
    { kind: 'confirm' },
    { kind: 'attach', deposit: newest, payment: newest },
  ],
  [
    { kind: 'create', network: 'ethereum', currency: 'usdc' },
    paid(20),
    paid(30, false, true),
    { kind: 'confirm' },
    { kind: 'attach', deposit: newest, payment: newest },
  ],
  [
    { kind: 'create', network: 'bsc', currency: 'usdc' },
    paid(30),
    { kind: 'confirm' },
    { kind: 'pass', seconds: 2_000 },
    { kind: 'read' },
    { kind: 'accept', payment: newest },
  ],
  [
    { kind: 'pass', seconds: 2_000 },
    { kind: 'read' },
    paid(50),
    { kind: 'confirm' },
    { kind: 'accept', payment: newest },
  ],
  [
    { kind: 'cancel', payment: newest },
    { kind: 'stray', address: 0, network: 'bsc', currency: 'usdt' },
    { kind: 'stray', address: 1, network: 'bsc', currency: 'usdt' },
    { kind: 'look' },
    { kind: 'create', network: 'bsc', currency: 'usdt' },
  ],
  [{ kind: 'reorg', network: 'bsc', depth: 9, returns: false }, { kind: 'read' }],
  [{ kind: 'reorg', network: 'ethereum', depth: 9, returns: true }, { kind: 'read' }],
  [
    { kind: 'create', network: 'bsc', currency: 'usdt' },
    paid(50),
    { kind: 'confirm' },
    { kind: 'reorg', network: 'bsc', depth: 9, returns: false },
    { kind: 'read' },
    paid(30),
    paid(20),
    { kind: 'confirm' },
  ],
  [{ kind: 'reorg', network: 'ethereum', depth: 9, returns: false }, { kind: 'read' }],
);

const history = fc.record({
  late: fc.constantFrom('flag', 'confirm'),
  toleranceBps: fc.constantFrom(0, 100),
  tiers: fc.constantFrom([], [{ upToUsdCents: 5_500, confirmations: 1 }]),
  actions: fc
    .array(fc.oneof({ weight: 3, arbitrary: action.map((one) => [one]) }, story), {
      minLength: 3,
      maxLength: 25,
    })
    .map((parts) => parts.flat()),
});
type History = typeof history extends fc.Arbitrary<infer T> ? T : never;

/** What a history has brought about: its payments, and the transactions that were mined a second time. */
type Past = { payments: OnchainPayment[]; moved: Set<string> };

async function act(shop: Shop, { payments, moved }: Past, each: Action): Promise<void> {
  /** Counted from the newest. */
  const pick = <T>(list: readonly T[], at: number): T | undefined =>
    list.at(-1 - (at % Math.max(1, list.length)));
  switch (each.kind) {
    case 'create': {
      const outcome = await shop.tryCreate(each);
      if (outcome.outcome === 'created') payments.push(outcome.view.payment);
      return;
    }
    case 'pay': {
      const payment = pick(payments, each.payment);
      if (payment === undefined) return;
      const network = (payment.network === 'bsc') === each.wrongNetwork ? 'ethereum' : 'bsc';
      const currency = (payment.currency === 'usdt') === each.wrongCurrency ? 'usdc' : 'usdt';
      shop.pay(payment, each.amount, { network, currency });
      return;
    }
    case 'stray':
      shop.pay({ ...each, address: evmAddress(each.address) }, 50);
      return;
    case 'confirm':
      return shop.confirmAll();
    case 'read':
      return shop.read();
    case 'look':
      return shop.look();
    case 'mine':
      return shop.mine(each.network, each.blocks);
    case 'reorg': {
      const chain = shop.chains[each.network];
      // The block with which we began stays: a chain that lost it is another chain.
      const depth = Math.min(each.depth, chain.length() - 1);
      if (depth === 0) return;
      const gone = chain.reorg(depth);
      if (!each.returns) return;
      for (const { txHash } of gone) moved.add(txHash);
      chain.mine(gone);
      return;
    }
    case 'pass':
      return shop.passTime(each.seconds);
    case 'cancel': {
      const payment = pick(payments, each.payment);
      if (payment !== undefined) await shop.cancel(payment);
      return;
    }
    case 'accept': {
      const payment = pick(payments, each.payment);
      if (payment !== undefined) await shop.accept(payment);
      return;
    }
    case 'attach': {
      const deposit = pick((await shop.unmatched()).toReversed(), each.deposit);
      const payment = pick(payments, each.payment);
      if (deposit !== undefined && payment !== undefined) await shop.attach(deposit.id, payment);
      return;
    }
    case 'retire':
      return shop.setRetired(evmAddress(each.address), each.retired);
    default:
      return each satisfies never;
  }
}

function transferId(at: Pick<Transfer, 'network' | 'txHash' | 'token' | 'recipient'>): string {
  return `${at.network} ${at.txHash} ${at.token} ${at.recipient}`;
}

/** A payment with all its deposits. */
type PaymentState = Awaited<ReturnType<Shop['viewOf']>>;

/** Every transfer on a chain is exactly one deposit where it lies, and nothing else is one. */
function checkEveryTransferOnce(shop: Shop, deposits: readonly Deposit[]): void {
  const onChain = Object.values(shop.chains)
    .flatMap((chain) => chain.transfers())
    .map((transfer) => `${transferId(transfer)} ${transfer.amount} at ${transfer.block.hash}`);
  const live = deposits
    .filter((deposit) => deposit.status !== 'orphaned')
    .map((deposit) => `${transferId(deposit)} ${deposit.amount} at ${deposit.blockHash}`);
  expect(live.toSorted()).toEqual(onChain.toSorted());
}

/** A deposit is credited to one payment, late on one, or nobody's: no two of these at once. */
function checkOneFate(deposits: readonly Deposit[], views: readonly PaymentState[]): void {
  for (const deposit of deposits) {
    expect([deposit.role === 'unmatched', deposit.id]).toEqual([deposit.paymentId === null, deposit.id]);
    const holders = views.filter((view) => view.deposits.some((own) => own.id === deposit.id));
    expect(holders.map((view) => view.payment.id)).toEqual(
      deposit.paymentId === null ? [] : [deposit.paymentId],
    );
  }
}

/** In what the payment asks for: only such amounts may be added up. */
function ownOf({ payment, deposits }: PaymentState): Deposit[] {
  return deposits.filter(({ network, token }) => network === payment.network && token === payment.token);
}

function foreignOf(view: PaymentState): Deposit[] {
  const own = new Set(ownOf(view));
  return view.deposits.filter((deposit) => !own.has(deposit));
}

/**
 * What no operator attached reached the payment's address, in its asset, after the lock, and first in time if it
 * counts: a transfer keeps its payment wherever it is mined again.
 */
function checkLocks(view: PaymentState, moved: ReadonlySet<string>): void {
  const { payment } = view;
  for (const deposit of foreignOf(view)) expect(deposit.unmatchedReason).not.toBeNull();
  for (const deposit of view.deposits) {
    if (deposit.unmatchedReason !== null) continue;
    expect(deposit.recipient).toBe(keyOfHex(payment.address));
    expect(deposit.blockTime * 1000).toBeGreaterThanOrEqual(payment.lockChainTime - lockSlackMs);
    if (deposit.role === 'counted' && !moved.has(deposit.txHash))
      expect(deposit.blockTime).toBeLessThanOrEqual(payment.blockTimeLimit);
  }
}

/**
 * The status is what the deposits come to, and less than was asked for suffices only by an operator's word.
 */
function checkStatus(view: PaymentState): void {
  const { payment } = view;
  const live = view.deposits.filter((deposit) => deposit.status !== 'orphaned');
  const own = ownOf(view).filter((deposit) => deposit.status === 'confirmed');
  const credited = sum(own.filter((deposit) => deposit.role === 'counted' || deposit.role === 'accepted'));
  const foreign = foreignOf(view);
  const whole = foreign.every((deposit) => deposit.status === 'confirmed');
  const enough = (credited > 0n || foreign.length > 0) && whole && credited >= payment.requiredAmount;
  expect([payment.status, enough]).toEqual([payment.status, payment.status === 'confirmed']);
  expect(isOpen(payment)).toBe(false);
  // Nothing but dust had come when it was cancelled.
  if (payment.status === 'cancelled') {
    expect(sum(live.filter((deposit) => deposit.role !== 'late'))).toBeLessThan(payment.dustAmount);
  }
  if (payment.status === 'expired') expect(credited).toBeLessThan(payment.dustAmount);
  const asked = (payment.expectedAmount * 99n) / 100n;
  if (payment.acceptedAt === null) expect(payment.requiredAmount).toBeGreaterThanOrEqual(asked);
  if (payment.status === 'confirmed' && foreign.length === 0) expect(credited).toBeGreaterThan(0n);
}

/** The API shows exactly the money that the chain shows, each asset by itself. */
async function checkShown(shop: Shop, view: PaymentState): Promise<void> {
  const isLive = (deposit: Deposit) => deposit.status !== 'orphaned';
  const own = ownOf(view).filter(isLive);
  const shown = await shop.show(view.payment);
  expect(shown.actual_crypto_amount).toBe(
    own.length === 0 ? null : formatAmount(sum(own), view.payment.decimals, 6),
  );
  const foreign = shown.deposits.filter((deposit) => deposit.currency !== undefined);
  expect(foreign).toHaveLength(foreignOf(view).filter(isLive).length);
  expect(shown.deposits).toHaveLength(own.length + foreign.length);
}

const arrows: Record<string, { from: string[]; to: string }> = {
  'payment.confirmed': { from: ['pending', 'expired', 'failed', 'cancelled'], to: 'confirmed' },
  'payment.expired': { from: ['pending'], to: 'expired' },
  'payment.cancelled': { from: ['pending'], to: 'cancelled' },
  'payment.failed': { from: ['pending'], to: 'failed' },
  'payment.reverted': { from: ['confirmed'], to: 'failed' },
};

/** Its events lead from `pending` to its status, each change told once. */
async function checkEvents(shop: Shop, { payment }: PaymentState): Promise<void> {
  let state = 'pending';
  for (const event of await shop.events(payment)) {
    const arrow = arrows[event];
    if (arrow === undefined) continue;
    expect([event, arrow.from]).toEqual([event, expect.arrayContaining([state])]);
    state = arrow.to;
  }
  expect(state).toBe(payment.status);
}

/**
 * What it was told of while too little had come: each time another sum, more than dust and less than was asked for; the
 * last one is what had come when it ended so.
 */
async function checkPartial(shop: Shop, { payment }: PaymentState): Promise<void> {
  const { decimals, expectedAmount, dustAmount } = payment;
  let told: bigint | null = null;
  for (const { type, body } of await shop.eventsWithBodies(payment)) {
    if (type in arrows) {
      if (type === 'payment.failed') expect(body.amount).toBe(formatAmount(told ?? -1n, decimals, 6));
      told = null;
    }
    if (type !== 'payment.partially_paid') continue;
    const { remaining } = body.payment as { remaining: string };
    const counted: bigint = expectedAmount - (parseAmount(remaining, decimals) ?? 0n);
    expect(counted).not.toBe(told);
    expect(counted).toBeGreaterThanOrEqual(dustAmount);
    expect(counted).toBeLessThan(expectedAmount);
    told = counted;
  }
}

function sum(deposits: readonly Deposit[]): bigint {
  return deposits.reduce((total, deposit) => total + deposit.amount, 0n);
}

async function live(db: Db, { actions, tiers, ...payments }: History): Promise<void> {
  const shop = await openShop(db, { addresses: 2, shared: true, payments, tiers });
  const past: Past = { payments: [], moved: new Set() };
  for (const each of actions) {
    await act(shop, past, each);
    const held = past.payments.map(async (payment) => (await shop.viewOf(payment)).payment);
    const open = (await Promise.all(held)).filter(isOpen);
    expect(new Set(open.map((payment) => payment.addressId)).size).toBe(open.length);
  }
  // Everybody's time runs out, and all that is on the chains is read and confirmed.
  for (let n = 0; n < 2; n++) {
    // What was reverted last can be paid anew for a while.
    shop.passTime(3_000);
    await shop.confirmAll();
    await shop.confirmAll();
  }

  const { deposits } = await listDeposits(db, { limit: 10_000 });
  const views = await Promise.all(past.payments.map((payment) => shop.viewOf(payment)));
  checkEveryTransferOnce(shop, deposits);
  checkOneFate(deposits, views);
  for (const view of views) {
    checkLocks(view, past.moved);
    checkStatus(view);
    await checkShown(shop, view);
    await checkEvents(shop, view);
    await checkPartial(shop, view);
  }
}

const runs = modelRuns(20);

describeDatabases(
  'random histories of customers, chains and operators over a small pool',
  (openTestDb, kind) => {
    test(
      'credit each transfer once, never outside its lock, and leave every payment where its deposits put it',
      () => liveThrough({ openTestDb, kind, history, live, runs }),
      runs * 10_000,
    );
  },
);
