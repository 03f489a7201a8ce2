import { steadyClock } from '../clock.ts';
import type { BlockHash, BlockRef } from '../core/chain.ts';
import { RpcError } from '../errors.ts';
import type { DepositBlock } from '../storage/deposits/deposits.ts';
import { listDepositsIn } from '../storage/deposits/range.ts';
import { blockOf, hostsOf } from './one-node.ts';
import type { WatcherDeps } from './watcher.ts';

/** Blocks of ours that a node says the chain has others for. */
export type Fallen = {
  blocks: readonly DepositBlock[];
  /** Where our reading stands: while the question is open, it does not move. */
  cursor: BlockRef;
  /** Who has not got this far may just not know. */
  reach: number;
};

export type SecondWord = {
  /**
   * Returns when what was confirmed in these blocks may be taken back.
   *
   * @throws RpcError when it may not, or not yet.
   */
  ask(fallen: Fallen, signal: AbortSignal): Promise<void>;
};

/**
 * For so long, ms, one node's word takes nothing back while the others cannot say; and the word of one that has only
 * just got as far as we have holds up the others, for it may be stuck there. Longer than a node takes to start again.
 */
const patienceMs = 5 * 60_000;

/**
 * A deposit is confirmed by the word of two nodes; taking it back needs two as well. Who has our block contradicts
 * the one that shows another: then nothing is taken back, and that one is asked last. A chain is held up for
 * {@link patienceMs} at most: after that only those speak that have more than what we have read. Nobody is asked where
 * nothing confirmed is touched, or where there is no other node.
 */
export function createSecondWord(
  deps: Pick<WatcherDeps, 'db' | 'chain' | 'source' | 'clock' | 'log'>,
): SecondWord {
  const { db, chain, source, log } = deps;
  const clock = steadyClock(deps.clock);
  /** Since when the question has been open with the cursor in this block. */
  let open: { at: BlockHash; since: number } | null = null;
  /** What the log has told last. */
  let told = '';

  async function ask({ blocks, cursor, reach }: Fallen, signal: AbortSignal): Promise<void> {
    const contested = await lowestConfirmed(blocks);
    const hosts = hostsOf(source);
    if (contested === null || hosts.length < 2) return;
    const late = waitedAt(cursor) >= patienceMs;
    const { upheldBy, deniedBy } = await wordsOf(hosts, contested, late ? reach + 1 : reach, signal);
    if (upheldBy.length > 0 && upheldBy.length >= deniedBy.length) {
      report(contested, upheldBy, deniedBy);
      for (const host of deniedBy)
        source.distrust(host, `it has another block at ${contested.height}, where a deposit is confirmed`);
      throw disagreement(contested, 'another node still has it');
    }
    if (deniedBy.length >= 2) return;
    if (!late || deniedBy.length === 0) throw disagreement(contested, 'no second node can be asked');
    log.warn(
      { height: contested.height, denied_by: deniedBy },
      'confirmed deposits taken back by one node alone',
    );
  }

  /** If that one stands, those above it may too; if it fell, so did they. */
  async function lowestConfirmed(blocks: readonly DepositBlock[]): Promise<DepositBlock | null> {
    const [lowest, ...others] = blocks.toSorted((a, b) => a.height - b.height);
    if (lowest === undefined) return null;
    const range = { above: lowest.height - 1, upTo: others.at(-1)?.height ?? lowest.height };
    const deposits = await listDepositsIn(db, chain.network, range);
    const held = new Set(deposits.flatMap((one) => (one.status === 'confirmed' ? [one.blockHash] : [])));
    return [lowest, ...others].find(({ hash }) => held.has(hash)) ?? null;
  }

  function waitedAt({ hash }: BlockRef): number {
    if (open?.at !== hash) open = { at: hash, since: clock() };
    return clock() - open.since;
  }

  /** Each node by itself, of those that have got as far as `reach`. */
  async function wordsOf(
    hosts: readonly string[],
    { height, hash }: DepositBlock,
    reach: number,
    signal: AbortSignal,
  ): Promise<{ upheldBy: string[]; deniedBy: string[] }> {
    const upheldBy: string[] = [];
    const deniedBy: string[] = [];
    for (const host of hosts) {
      const block = await blockOf(source, host, { height, reach }, signal);
      if (block !== null) (block.hash === hash ? upheldBy : deniedBy).push(host);
    }
    return { upheldBy, deniedBy };
  }

  function report({ height, hash }: DepositBlock, upheldBy: string[], deniedBy: string[]): void {
    const what = [hash, ...deniedBy].join(' ');
    const fields = { height, upheld_by: upheldBy, denied_by: deniedBy };
    log[what === told ? 'debug' : 'warn'](fields, 'nodes disagree about a block');
    told = what;
  }

  return { ask };
}

function disagreement({ height }: DepositBlock, why: string): RpcError {
  return new RpcError(
    'nodes_disagree',
    `a node has another block at ${height}, where a deposit is confirmed: ${why}`,
  );
}
