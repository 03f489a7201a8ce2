import type { TxHash } from '../../core/chain.ts';
import { lockSlackMs } from '../../core/chain-time.ts';
import type { Deposit } from '../../core/payment.ts';
import { DepositdError, InvariantError } from '../../errors.ts';
import { readChain } from '../../storage/chains/chains.ts';
import { listDepositsOfTransactions } from '../../storage/deposits/deposits.ts';
import { createAssetsInUse, isNativeTaken } from '../assets-in-use.ts';
import { agreeOnLocation } from './find-transaction.ts';
import { type RescanDeps, rescan } from './rescan.ts';

/** What a chain shows of a transaction that a payer names. */
export type Finding =
  /** It was read, and these of its transfers reach addresses of ours. */
  | { kind: 'read'; deposits: Deposit[]; head: number }
  | { kind: 'failed' }
  /** It is in no block yet, or in one that is read in a moment. */
  | { kind: 'unmined' }
  /** It was mined before the payment was made. */
  | { kind: 'before' }
  | { kind: 'unknown' }
  /** The nodes could not be asked, or differ. */
  | { kind: 'unclear' };

/**
 * Looks for a transaction, and for what it pays. Where its block was read and shows nothing of it, the block is read again
 * like any that an operator names: what was missed is recorded and confirmed by the rules for all. Nothing that was mined
 * before `since` (the chain's own time, Unix ms) is read: that pays nobody who asks now.
 */
export async function lookUpTransaction(
  deps: RescanDeps & { onEvents: () => void },
  { txHash, since, signal }: { txHash: TxHash; since: number; signal: AbortSignal },
): Promise<Finding> {
  const { db, chain, source } = deps;
  const recorded = async () => {
    const found = await listDepositsOfTransactions(db, chain.network, [txHash]);
    return found.filter(({ status }) => status !== 'orphaned');
  };
  const headNow = async () => (await readChain(db, chain.network))?.head.height ?? 0;
  const known = await recorded();
  if (known.length > 0) return { kind: 'read', deposits: known, head: await headNow() };
  if (source.locationsOfEach === undefined) return { kind: 'unclear' };
  try {
    const location = agreeOnLocation(await source.locationsOfEach(txHash, signal));
    if (location.kind === 'unknown') return { kind: 'unknown' };
    if (location.kind === 'pending') return { kind: 'unmined' };
    if (location.kind !== 'mined') return { kind: 'unclear' };
    if (location.failed) return { kind: 'failed' };
    const { height, hash } = location.block;
    const block = (await source.blocksAt([height], signal)).get(height) ?? null;
    if (block?.hash !== hash) return { kind: 'unclear' };
    if (block.time * 1000 < since - lockSlackMs) return { kind: 'before' };
    const state = await readChain(db, chain.network);
    if (state === null || height > state.cursor.height) return { kind: 'unmined' };
    const { assetsInUse = createAssetsInUse(deps) } = deps;
    const native = isNativeTaken(await assetsInUse.read());
    const report = await rescan(
      { ...deps, assetsInUse },
      { from: height, to: height, native, signal, progress: () => {} },
    );
    if (report.found.length > 0 || report.payments.length > 0) deps.onEvents();
    return { kind: 'read', deposits: await recorded(), head: await headNow() };
  } catch (error) {
    const isOurs = error instanceof InvariantError;
    if ((error instanceof DepositdError && !isOurs) || signal.aborted) return { kind: 'unclear' };
    throw error;
  }
}
