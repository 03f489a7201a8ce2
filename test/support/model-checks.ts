import { expect } from 'vitest';
import { noTransaction, type Transfer } from '../../src/core/chain.ts';
import { lockSlackMs } from '../../src/core/chain-time.ts';
import type { Deposit, OnchainPayment } from '../../src/core/payment.ts';
import { listScans } from '../../src/storage/chains/scans.ts';
import { listDeposits } from '../../src/storage/deposits/deposits.ts';
import { listPayments } from '../../src/storage/payments/views.ts';
import { evmKey } from './addresses.ts';
import type { World } from './chain-world.ts';

/** What the arrows of `payments/decide.ts` allow, by event. */
const arrows: Record<string, { from: readonly string[]; to: string }> = {
  'payment.confirmed': { from: ['pending', 'expired', 'underpaid', 'reverted'], to: 'confirmed' },
  'payment.expired': { from: ['pending'], to: 'expired' },
  'payment.cancelled': { from: ['pending'], to: 'cancelled' },
  'payment.failed': { from: ['pending'], to: 'underpaid' },
  'payment.reverted': { from: ['confirmed'], to: 'reverted' },
};

/** Events that change no status. */
const informing = new Set(['payment.detected', 'payment.partially_paid', 'payment.late']);

const statusOf: Record<string, string> = { underpaid: 'failed', reverted: 'failed' };

/** Follows a payment's events; throws at one that the state before it does not allow. */
export function followEvents(events: readonly string[], latePolicy: 'flag' | 'confirm'): string {
  let state = 'pending';
  for (const event of events) {
    if (informing.has(event)) continue;
    const arrow = arrows[event];
    if (arrow === undefined || !arrow.from.includes(state)) throw new Error(`${event} while ${state}`);
    if (
      event === 'payment.confirmed' &&
      latePolicy === 'flag' &&
      (state === 'expired' || state === 'underpaid')
    ) {
      throw new Error(`late money confirmed a payment that was ${state}`);
    }
    state = arrow.to;
  }
  return statusOf[state] ?? state;
}

export async function allDeposits(world: World): Promise<Deposit[]> {
  return (await listDeposits(world.db, { limit: 10_000 })).deposits.reverse();
}

export async function allPayments(world: World): Promise<OnchainPayment[]> {
  const { views } = await listPayments(world.db, { merchantId: world.merchantId, limit: 10_000 });
  return views.flatMap((view) => (view.kind === 'onchain' ? [view.payment] : [])).reverse();
}

/** Every transfer on the chain as it is now that had to be seen: to our addresses, the coin's only in blocks read whole. */
export function visibleTransfers({ chain }: World, addresses: number): Transfer[] {
  const ours = new Set(Array.from({ length: addresses }, (_, i) => evmKey(i + 1)));
  return chain
    .transfers()
    .filter(({ recipient }) => ours.has(recipient))
    .filter(({ token, block }) => token !== 'native' || chain.readNatively.has(block.hash));
}

/** Which blocks were read whole, by what is stored: where the chain's own source did not read them. */
export async function noteNative({ db, network, chain }: World): Promise<void> {
  chain.readNatively.clear();
  for (const { from, to, native } of await listScans(db, network)) {
    for (let height = from; native && height <= to; height++) {
      const block = chain.at(height);
      if (block !== null) chain.readNatively.add(block.hash);
    }
  }
}

type Placed = Pick<Transfer, 'txHash' | 'token' | 'recipient' | 'ordinal' | 'amount' | 'logIndex'> & {
  height: number;
  blockHash: string;
  blockTime: number;
};

function placed(of: Placed): Placed {
  const { txHash, token, recipient, ordinal, amount, logIndex, height, blockHash, blockTime } = of;
  return { txHash, token, recipient, ordinal, amount, logIndex, height, blockHash, blockTime };
}

/** The recorded deposits are the transfers of the winning chain, each once and where it stands, and all confirmed. */
export async function checkReplay(world: World, addresses: number): Promise<void> {
  await compareReplay(world, addresses, { lied: false });
}

/**
 * The same after a node has lied. Where it left out the first of two equal transfers in one transaction, the second was
 * taken for it: which of them stands where in the block is confused. And a balance is one number, which nothing else
 * in the answer proves: one of another branch shows as an unmatched deposit without a transaction, never credited.
 */
export async function checkReplayAfterLies(world: World, addresses: number): Promise<void> {
  await compareReplay(world, addresses, { lied: true });
}

async function compareReplay(world: World, addresses: number, { lied }: { lied: boolean }): Promise<void> {
  const told = (of: Placed) => (lied ? { ...placed(of), logIndex: null } : placed(of));
  const surplus = ({ txHash, role }: Deposit) => lied && txHash === noTransaction && role === 'unmatched';
  const deposits = await allDeposits(world);
  const live = deposits.filter((deposit) => deposit.status !== 'orphaned' && !surplus(deposit));
  const expected = visibleTransfers(world, addresses).map(({ block, ...transfer }) =>
    told({ ...transfer, height: block.height, blockHash: block.hash, blockTime: block.time }),
  );
  const order = (a: Placed, b: Placed) =>
    a.height - b.height || (a.txHash < b.txHash ? -1 : a.txHash > b.txHash ? 1 : a.ordinal - b.ordinal);
  expect(live.map(told).toSorted(order)).toEqual(expected.toSorted(order));
  expect(live.filter(({ status }) => status !== 'confirmed')).toEqual([]);
}

/** Each deposit is counted or late for one payment of its own address and asset, or unmatched with a reason. */
export async function checkRoles(world: World): Promise<void> {
  const payments = new Map((await allPayments(world)).map((payment) => [payment.id, payment]));
  for (const deposit of await allDeposits(world)) {
    const { role, paymentId, unmatchedReason, txHash, status } = deposit;
    if (role === 'unmatched') {
      expect({ paymentId, reason: unmatchedReason !== null }).toEqual({ paymentId: null, reason: true });
      continue;
    }
    const payment = payments.get(paymentId ?? -1);
    if (payment === undefined) throw new Error(`a ${role} deposit without its payment`);
    expect([deposit.addressId, deposit.token]).toEqual([payment.addressId, payment.token]);
    const inclusions = world.chain.inclusionsEver(txHash);
    // What a node made up belongs to nobody, and was taken back or never confirmed.
    if (status !== 'confirmed' && inclusions.length === 0) continue;
    const after = inclusions.filter(({ time }) => time * 1000 >= payment.lockChainTime - lockSlackMs);
    expect(after.length, 'a transfer that was never mined after the lock').toBeGreaterThan(0);
    if (role !== 'counted') continue;
    // It keeps the payment it was given to, at whatever height it is mined again: in time there is enough.
    const inTime = inclusions.filter(({ time }) => time <= payment.blockTimeLimit);
    expect(inTime.length, 'counted, and never mined in time').toBeGreaterThan(0);
  }
}

function takenBack(deposits: readonly Deposit[], { id }: OnchainPayment): Deposit[] {
  return deposits.filter(
    ({ paymentId, status, role }) => paymentId === id && status === 'orphaned' && role === 'counted',
  );
}

/** Status, sums, events and locks of every payment agree, and nothing is left undecided. */
export async function checkPayments(world: World): Promise<void> {
  const ever = await allDeposits(world);
  const deposits = ever.filter(({ status }) => status !== 'orphaned');
  const payments = await allPayments(world);
  for (const payment of payments) {
    const events = await world.events(payment);
    const own = deposits.filter(({ paymentId }) => paymentId === payment.id);
    // What came late on one branch and in time on the one that won is in time, whatever the payment was by then.
    const inTime = ({ time }: { time: number }) => time * 1000 <= payment.expiresAt;
    const wavered = own.some(({ txHash }) => {
      const places = world.chain.inclusionsEver(txHash);
      return places.some(inTime) && !places.every(inTime);
    });
    const policy = wavered ? 'confirm' : world.policy.late;
    expect(followEvents(events, policy), 'the last event tells the status').toBe(payment.status);
    const counted = own.filter(({ role }) => role === 'counted' || role === 'accepted');
    const sum = counted.reduce((total, { amount }) => total + amount, 0n);
    const all = own.reduce((total, { amount }) => total + amount, 0n);
    const enough = sum >= payment.requiredAmount;
    // Dust counts for a payment and decides nothing.
    const nothing = sum < payment.dustAmount;
    const late = all - sum >= payment.dustAmount;
    switch (payment.status) {
      case 'confirmed':
        expect(enough, 'confirmed with enough').toBe(true);
        // What completed it may have been taken back since, where the rest of what came suffices.
        expect([...counted, ...takenBack(ever, payment)].map(({ txHash }) => txHash)).toContain(
          payment.completedBy,
        );
        break;
      case 'expired':
        expect(nothing, 'expired with nothing that counts').toBe(true);
        expect(payment.reason).toBe(late ? 'late' : null);
        break;
      case 'failed':
        expect(enough, 'failed with too little').toBe(false);
        break;
      case 'cancelled':
        expect(nothing, 'cancelled with nothing that counts').toBe(true);
        break;
      case 'pending':
        throw new Error('a payment is still pending long after its time');
      default:
        payment.status satisfies never;
    }
    const taken = world.policy.late === 'confirm' && payment.status !== 'cancelled';
    if (taken)
      expect(payment.status === 'confirmed', 'late money is taken').toBe(all >= payment.requiredAmount);
  }
  const locked = await world.db
    .selectFrom('addresses')
    .select('id')
    .where('locked_by', 'is not', null)
    .execute();
  expect(locked, 'no address is held by a payment that ended').toEqual([]);
}

/** As {@link checkPayments}, but what was in time counts though its payment had ended. */
export async function checkOutcomes(world: World): Promise<void> {
  const deposits = (await allDeposits(world)).filter(({ status }) => status !== 'orphaned');
  for (const payment of await allPayments(world)) {
    expect(followEvents(await world.events(payment), 'confirm')).toBe(payment.status);
    const own = deposits.filter(({ paymentId }) => paymentId === payment.id);
    const counted = own.filter(({ role }) => role === 'counted' || role === 'accepted');
    const sum = counted.reduce((total, { amount }) => total + amount, 0n);
    const enough = sum >= payment.requiredAmount;
    expect(payment.status, 'decided').not.toBe('pending');
    if (payment.status === 'cancelled')
      expect(sum, 'cancelled with nothing').toBeLessThan(payment.dustAmount);
    else expect(payment.status === 'confirmed', `${payment.paymentNumber} is ${payment.status}`).toBe(enough);
  }
}
