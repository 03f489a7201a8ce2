import type { ChainConfig } from '../config.ts';
import { confirmationsAt, deepEnoughHeight } from '../core/confirmations.ts';
import type { Deposit } from '../core/payment.ts';
import { RpcError } from '../errors.ts';
import type { Settlement } from '../payments/settle.ts';
import { type ChainState, lockChain } from '../storage/chains/chains.ts';
import { confirmDeposits, listDepositsToConfirm, orphanDeposits } from '../storage/deposits/deposits.ts';
import type { Db, Trx } from '../storage/schema.ts';
import { type CommitContext, settleAll, settleContext } from './commit.ts';
import type { ChainSource, Hosts, Inclusion, InclusionQuery } from './source.ts';

/** Deposits looked at in one step; the others follow in the next. */
const looksPerStep = 50;

/** A fresh look at one deposit. */
export type Look = { deposit: Deposit; inclusion: Inclusion };

/**
 * The highest block in which a deposit can be confirmed now: `requiredConfirmations` below the head and, where the
 * chain has finality of its own and the operator asks for it, at or below the finalized height.
 */
export function settledHeight(state: ChainState, chain: ChainConfig): number {
  const deep = deepEnoughHeight(state.head.height, chain.requiredConfirmations);
  return chain.finality === 'finalized' ? Math.min(deep, state.finalizedHeight ?? -1) : deep;
}

/** Deposits that are deep enough to be confirmed, but those that rest. */
export async function listDeepDeposits(
  db: Db,
  state: ChainState,
  chain: ChainConfig,
  resting: { count(): number; has(deposit: Deposit): boolean },
): Promise<Deposit[]> {
  const height = settledHeight(state, chain);
  const deposits = await listDepositsToConfirm(db, chain.network, height, looksPerStep + resting.count());
  return deposits.filter((deposit) => !resting.has(deposit)).slice(0, looksPerStep);
}

/** Asks a node afresh about each deposit, all in one request. That nobody answers is an answer here. */
export async function lookAt(
  source: ChainSource,
  deposits: readonly Deposit[],
  signal: AbortSignal,
  except?: Hosts,
): Promise<Look[]> {
  const queries = deposits.map(queryOf);
  let inclusions: Awaited<ReturnType<ChainSource['inclusions']>>;
  try {
    inclusions = await source.inclusions(queries, signal, except);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    const inclusion = { kind: 'unknown', reason: error.message } as const;
    return deposits.map((deposit) => ({ deposit, inclusion }));
  }
  return deposits.map((deposit, i) => {
    const inclusion = inclusions.get(queries[i] as InclusionQuery);
    return { deposit, inclusion: inclusion ?? { kind: 'unknown', reason: 'not answered' } };
  });
}

/** Whether the node that was asked has the deposit where we recorded it, deep enough below its own head. */
export function isProven(look: Look, requiredConfirmations: number): boolean {
  const { deposit, inclusion } = look;
  return (
    inclusion.kind === 'included' &&
    inclusion.block.hash === deposit.blockHash &&
    confirmationsAt(inclusion.head, deposit.height) >= requiredConfirmations
  );
}

/** Confirms what was proven, takes back what is gone and settles their payments, in the caller's transaction. */
export async function commitConfirmed(
  trx: Trx,
  { proven, gone }: { proven: readonly Deposit[]; gone: readonly Deposit[] },
  context: CommitContext,
): Promise<Settlement[]> {
  const state = await lockChain(trx, context.chain.network);
  if (state === null) return [];
  const confirmed = await confirmDeposits(trx, proven);
  const orphaned = await orphanDeposits(trx, gone);
  const changed = [...proven, ...gone].filter(({ id }) => confirmed.has(id) || orphaned.has(id));
  const touched = changed.flatMap(({ paymentId }) => paymentId ?? []);
  return settleAll(trx, touched, settleContext(state, context));
}

export function queryOf(deposit: Deposit): InclusionQuery {
  return {
    txHash: deposit.txHash,
    token: deposit.token,
    recipient: deposit.recipient,
    ordinal: deposit.ordinal,
    amount: deposit.amount,
    block: { height: deposit.height, hash: deposit.blockHash, time: deposit.blockTime },
  };
}
