import type { BlockRef, TxHash } from '../../core/chain.ts';
import type { NodeAnswer } from '../../core/node.ts';
import type { Deposit } from '../../core/payment.ts';
import { CommandError } from '../../errors.ts';
import { readChain } from '../../storage/chains/chains.ts';
import { listDepositsIn } from '../../storage/deposits/range.ts';
import { createAssetsInUse, isNativeTaken } from '../assets-in-use.ts';
import type { TxLocation } from '../source.ts';
import { type RescanDeps, type RescanReport, rescan } from './rescan.ts';

type Place = Pick<BlockRef, 'height' | 'hash'>;

/** Where a chain's nodes have a transaction, all their answers taken together. */
export type AgreedLocation =
  | { kind: 'mined'; block: Place; failed: boolean }
  /** No block has more nodes for it than any other. */
  | { kind: 'disputed'; said: string }
  | { kind: 'pending' }
  | { kind: 'unknown' }
  | { kind: 'silent'; reason: string };

/**
 * The block that most of the nodes name that name one. What it leads to is a block to read, and no more: a node that
 * names a wrong one confirms nothing by it.
 */
export function agreeOnLocation(answers: readonly NodeAnswer<TxLocation>[]): AgreedLocation {
  const answered = answers.flatMap((one) =>
    one.kind === 'answered' ? [{ host: one.host, ...one.value }] : [],
  );
  const mined = answered.filter((one) => one.kind === 'mined');
  const blocks = [...Map.groupBy(mined, ({ block }) => `${block.height} ${block.hash}`).values()].toSorted(
    (a, b) => b.length - a.length,
  );
  const [most, next] = blocks;
  if (most?.[0] !== undefined) {
    if (most.length === next?.length) {
      return {
        kind: 'disputed',
        said: mined.map(({ host, block }) => `${host}: ${block.height}`).join(', '),
      };
    }
    return { kind: 'mined', block: most[0].block, failed: most.every(({ failed }) => failed) };
  }
  if (answered.some(({ kind }) => kind === 'pending')) return { kind: 'pending' };
  if (answered.length > 0) return { kind: 'unknown' };
  const reasons = answers.flatMap((one) => (one.kind === 'silent' ? [`${one.host}: ${one.reason}`] : []));
  return { kind: 'silent', reason: reasons.join('; ') };
}

/** What reading a transaction's block again has come to, and what of ours is in that transaction. */
export type FoundTransaction = { height: number; report: RescanReport; deposits: Deposit[] };

/**
 * Finds the block of a transaction and reads it again, whole where the chain's coin is taken, like any other range: what it
 * has paid is seen, and confirmed by the rules for all.
 *
 * @throws CommandError that says what else became of the transaction, or that it pays nobody of ours.
 */
export async function rescanTransaction(
  deps: RescanDeps,
  { txHash, signal }: { txHash: TxHash; signal: AbortSignal },
): Promise<FoundTransaction> {
  const { db, chain } = deps;
  const { network } = chain;
  const height = await findBlock(deps, txHash, signal);
  const state = await readChain(db, network);
  if (state !== null && height > state.cursor.height) {
    throw new CommandError(
      `${txHash} is in block ${height}; ${network} is read to ${state.cursor.height} so far, and finds it when it gets there`,
    );
  }
  const { assetsInUse = createAssetsInUse(deps) } = deps;
  const readFor = await assetsInUse.read();
  const native = isNativeTaken(readFor);
  const report = await rescan(
    { ...deps, assetsInUse },
    { from: height, to: height, native, signal, progress: () => {} },
  );
  const recorded = await listDepositsIn(db, network, { above: height - 1, upTo: height });
  const deposits = recorded.filter((deposit) => deposit.txHash === txHash);
  if (deposits.length > 0) return { height, report, deposits };
  const coins = readFor.chain.assets.map(({ currency }) => currency).join(', ');
  throw new CommandError(
    `${txHash}, in block ${height}, pays none of your addresses in what is watched on ${network} (${coins})`,
  );
}

/** The height of the block that has a transaction, which is on the chain that is read. */
async function findBlock(
  { source, chain: { network } }: RescanDeps,
  txHash: TxHash,
  signal: AbortSignal,
): Promise<number> {
  if (source.locationsOfEach === undefined) {
    throw new CommandError(`the nodes of ${network} cannot be asked for a transaction; use --from and --to`);
  }
  const location = agreeOnLocation(await source.locationsOfEach(txHash, signal));
  switch (location.kind) {
    case 'mined':
      break;
    case 'disputed':
      throw new CommandError(
        `the nodes of ${network} differ in the block of ${txHash} (${location.said}); try again later`,
      );
    case 'pending':
      throw new CommandError(`${txHash} is in no block yet; once it is, it is found without your help`);
    case 'unknown':
      throw new CommandError(
        `no node of ${network} knows ${txHash}: it is on another network, or was never mined. A block explorer tells`,
      );
    case 'silent':
      throw new CommandError(`no node of ${network} could be asked for ${txHash}: ${location.reason}`);
    default:
      return location satisfies never;
  }
  const { block, failed } = location;
  if (failed) throw new CommandError(`${txHash} failed in block ${block.height}: it has paid nobody`);
  const read = (await source.blocksAt([block.height], signal)).get(block.height) ?? null;
  if (read?.hash === block.hash) return block.height;
  throw new CommandError(
    `the block ${block.height} that has ${txHash} is on a fork, or was replaced just now; try again later`,
  );
}
