import type { Deposit } from '../../core/payment.ts';
import { announceAll } from '../../payments/announce.ts';
import { type Recorded, recordMissed } from '../../payments/record.ts';
import type { Settlement } from '../../payments/settle.ts';
import { lockChain } from '../../storage/chains/chains.ts';
import { type RecheckMark, readRecheckMark } from '../../storage/chains/recheck-marks.ts';
import { orphanDeposit } from '../../storage/deposits/range.ts';
import { findRecipients } from '../../storage/pool/recipients.ts';
import type { Trx } from '../../storage/schema.ts';
import { type CommitContext, settleAll, settleContext, tellerOf } from '../commit.ts';
import type { Missed, Reading } from './read.ts';

/** What a second reading has changed. */
export type Repair = {
  /** As it was when this transaction began. */
  mark: RecheckMark;
  recorded: (Recorded & Pick<Missed, 'agreed'>)[];
  orphaned: Deposit[];
  settled: Settlement[];
};

export type RepairContext = CommitContext & {
  /** Forks that were known when the reading began. */
  forks: number;
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
  const orphaned: Deposit[] = [];
  for (const deposit of reading.vanished) {
    if (await orphanDeposit(trx, deposit.id, deposit.blockHash)) orphaned.push(deposit);
  }
  const recorded: Repair['recorded'] = [];
  for (const { transfer, agreed } of reading.missed) {
    if (context.owedOnly && !(await isOwed(trx, transfer))) continue;
    const reportedBy = tellerOf(reading.span, transfer);
    const result = await recordMissed(trx, transfer, { assets: chain.assets, reportedBy, now });
    if (result !== null) recorded.push({ ...result, agreed });
  }
  const touched = [
    ...recorded.map(({ paymentId }) => paymentId),
    ...orphaned.map(({ paymentId }) => paymentId),
  ].filter((id) => id !== null);
  const settled = await settleAll(trx, touched, settleContext(state, context));
  await announceAll(trx, recorded, context);
  return { mark, recorded, orphaned, settled };
}

/** Clocks differ; a transfer this much older than its address, ms, was none that had to be seen. */
const skewMs = 60_000;

/** Whether the address was listed, anywhere, when the transfer was mined. */
async function isOwed(trx: Trx, { recipient, block }: Missed['transfer']): Promise<boolean> {
  const recipients = await findRecipients(trx, recipient);
  return recipients.some(({ createdAt }) => createdAt <= block.time * 1000 + skewMs);
}
