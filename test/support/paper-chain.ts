import { createHash } from 'node:crypto';
import type { BlockHash, BlockRef, Transfer, TxHash } from '../../src/core/chain.ts';
import type { Network } from '../../src/core/networks.ts';
import type { ChainSource, Inclusion, InclusionQuery } from '../../src/watchers/source.ts';

/** A transfer before it is mined. */
export type PaperTransfer = Omit<Transfer, 'network' | 'block' | 'logIndex'>;

type PaperBlock = BlockRef & { transfers: Transfer[] };

/** A chain in memory: tests write its blocks, a watcher reads them through {@link PaperChain.source}. */
export type PaperChain = {
  network: Network;
  head(): BlockRef;
  /** Makes a block with these transfers. */
  mine(transfers?: readonly PaperTransfer[]): BlockRef;
  /** Replaces the last `depth` blocks by as many empty ones and returns what was in them. */
  reorg(depth: number): PaperTransfer[];
  /** Blocks since this chain began. */
  length(): number;
  /** Everything on the chain as it is now. */
  transfers(): Transfer[];
  source: ChainSource;
};

/** Blocks carry the time of `clock`. Nothing on it is ever final: any reorg may happen. */
export function createPaperChain(network: Network, clock: () => number): PaperChain {
  const firstHeight = 1_000;
  const blocks: PaperBlock[] = [];
  let made = 0;

  function mine(transfers: readonly PaperTransfer[] = []): BlockRef {
    made += 1;
    const block: PaperBlock = {
      height: firstHeight + blocks.length,
      hash: paperHash(`${network} block ${made}`) as string as BlockHash,
      time: Math.floor(clock() / 1000),
      transfers: [],
    };
    block.transfers = transfers.map((transfer, i) => ({
      ...transfer,
      network,
      block: refOf(block),
      logIndex: transfer.token === 'native' ? null : i,
    }));
    blocks.push(block);
    return refOf(block);
  }
  mine();

  const head = () => refOf(blocks.at(-1) as PaperBlock);
  const at = (height: number) => blocks[height - firstHeight];

  const answered = <T>(value: T) => [{ host: 'paper', kind: 'answered', value } as const];

  function blocksAt(heights: readonly number[]): Map<number, BlockRef | null> {
    return new Map(
      heights.map((height) => {
        const block = at(height);
        return [height, block === undefined ? null : refOf(block)];
      }),
    );
  }

  function lookAt(queries: readonly InclusionQuery[]): Map<InclusionQuery, Inclusion> {
    return new Map(
      queries.map((query) => {
        const block = at(query.block.height);
        const there = block?.transfers.some((transfer) => transfer.txHash === query.txHash) ?? false;
        const inclusion: Inclusion =
          block !== undefined && there && block.hash === query.block.hash
            ? { kind: 'included', block: refOf(block), amount: query.amount, head: head().height }
            : { kind: 'absent' };
        return [query, inclusion];
      }),
    );
  }

  const source: ChainSource = {
    verify: async () => {},
    start: async () => ({ cursor: head(), head: head() }),
    poll: async ({ cursor, head: known, watch }) => {
      if (at(cursor.height)?.hash !== cursor.hash) return { kind: 'reorg' };
      const top = head();
      const to = at(Math.max(cursor.height, Math.min(known.height, top.height))) as PaperBlock;
      const transfers = blocks
        .filter((block) => block.height > cursor.height && block.height <= to.height)
        .flatMap((block) => block.transfers)
        .filter((transfer) => watch.has(transfer.recipient));
      const span = {
        host: 'paper',
        to: refOf(to),
        head: top,
        finalizedHeight: null,
        transfers,
        anchors: [],
        untraced: [],
      };
      return { kind: 'span', span };
    },
    reread: async () => ({ kind: 'failed', reason: 'paper is read once', retryAt: clock() }),
    blocksAt: async (heights) => blocksAt(heights),
    headsOfEach: async () => answered({ latest: head(), finalized: null }),
    blocksOfEach: async (heights) => answered(blocksAt(heights)),
    inclusionsOfEach: async (queries) => answered(lookAt(queries)),
    balances: async () => null,
    distrust: () => {},
    endpoints: () => [],
    close: async () => {},
  };

  return {
    network,
    head,
    mine,
    source,
    length: () => blocks.length,
    transfers: () => blocks.flatMap((block) => block.transfers),
    reorg(depth) {
      const gone = blocks.splice(-depth);
      for (const _ of gone) mine();
      return gone.flatMap((block) =>
        block.transfers.map(({ network: _n, block: _b, logIndex: _l, ...transfer }) => transfer),
      );
    },
  };
}

/** 32 bytes in hex, the same for the same text. */
export function paperHash(text: string): TxHash {
  return `0x${createHash('sha256').update(text).digest('hex')}` as TxHash;
}

function refOf({ height, hash, time }: PaperBlock): BlockRef {
  return { height, hash, time };
}
