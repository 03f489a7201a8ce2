import type { AddressKey } from '../../core/address.ts';
import type { Deposit } from '../../core/payment.ts';
import type { Recorded } from '../../payments/arrivals.ts';
import { identityOf, recordTransfers } from '../../payments/record.ts';
import type { Settlement } from '../../payments/settle.ts';
import { lockChain } from '../../storage/chains/chains.ts';
import { type RecheckMark, readRecheckMark } from '../../storage/chains/recheck-marks.ts';
import { orphanDeposits } from '../../storage/deposits/deposits.ts';
import { findRecipients, wasInUse } from '../../storage/pool/recipients.ts';
import type { Trx } from '../../storage/schema.ts';
import { type CommitContext, settleAll, settleContext, tellerOf } from '../commit.ts';
import { usedLatelyMs } from '../watchlist.ts';
import type { Missed, Reading } from './read.ts';

/** What a second reading has changed; `inUse`: the first reading had to ask for that address. */
export type Repair = {
  /** As it was when this transaction began. */
  mark: RecheckMark;
  recorded: (Recorded & Pick<Missed, 'agreed'> & { inUse: boolean })[];
  orphaned: Deposit[];
  settled: Settlement[];
};

export type RepairContext = CommitContext & {
  /** Forks that were known when the reading began. */
  forks: number;
  /** Whether the first reading asks for every address, whoever uses it. */
  asksForAll: boolean;
  /** Whether to pass over what was paid to an address before it was listed: then nobody had to see it. */
  owedOnly: boolean;
};

/**
 * Writes what a second reading found, in the caller's transaction: what was missed is recorded as if just seen, what
 * is gone is taken back, their payments follow. Null when a fork was found since the reading began, because that may
 * have shown blocks that are gone, or when the chain is stopped: then nothing is written. Repeating it changes nothing.
 */
export async function commitReading(
  trx: Trx,
  reading: Reading,
  context: RepairContext,
): Promise<Repair | null> {
  const { chain, now } = context;
  const state = await lockChain(trx, chain.network);
  const mark = await readRecheckMark(trx, chain.network);
  if (state === null || mark === null || state.stoppedReason !== null) return null;
  if (mark.forks !== context.forks || state.cursor.height < reading.span.to.height) return null;

  // What is gone goes first: a transfer that was left out may have lent it its place within the transaction.
  const gone = await orphanDeposits(trx, reading.vanished);
  const orphaned = reading.vanished.filter(({ id }) => gone.has(id));
  const owed = context.owedOnly ? await owedOnly(trx, reading.missed) : reading.missed;
  const agreed = new Set(owed.filter((one) => one.agreed).map(({ transfer }) => identityOf(transfer)));
  const found = await recordTransfers(
    trx,
    owed.map(({ transfer }) => transfer),
    { chain, reportedBy: (transfer) => tellerOf(reading.span, transfer), now, missed: true },
  );
  const recorded: Repair['recorded'] = [];
  /** One address may have received thousands in one block. */
  const used = new Map<string, boolean>();
  for (const one of found) {
    const { recipient, blockTime } = one.deposit;
    const at = `${recipient} ${blockTime}`;
    const inUse =
      context.asksForAll ||
      (used.get(at) ?? (await wasInUse(trx, recipient, blockTime * 1000, usedLatelyMs - skewMs)));
    used.set(at, inUse);
    recorded.push({ ...one, agreed: agreed.has(identityOf(one.deposit)), inUse });
  }
  const touched = [
    ...recorded.map(({ paymentId }) => paymentId),
    ...orphaned.map(({ paymentId }) => paymentId),
  ].filter((id) => id !== null);
  const settled = await settleAll(trx, touched, settleContext(state, context), { recorded, chain });
  return { mark, recorded, orphaned, settled };
}

/** Clocks differ; a transfer this much older than its address, ms, was none that had to be seen. */
const skewMs = 60_000;

/** What reached an address that was listed, anywhere, when the transfer was mined. */
async function owedOnly(trx: Trx, missed: readonly Missed[]): Promise<Missed[]> {
  const listedAt = new Map<AddressKey, number>();
  for (const { recipient } of missed.map(({ transfer }) => transfer)) {
    if (listedAt.has(recipient)) continue;
    const recipients = await findRecipients(trx, recipient);
    listedAt.set(recipient, Math.min(...recipients.map(({ createdAt }) => createdAt)));
  }
  return missed.filter(({ transfer: { recipient, block } }) => {
    const listed = listedAt.get(recipient) ?? Number.POSITIVE_INFINITY;
    return listed <= block.time * 1000 + skewMs;
  });
}
