import type { AddressKey } from '../core/address.ts';
import type { Currency } from '../core/assets.ts';
import type { BlockRef, Cursor, Transfer, TxHash } from '../core/chain.ts';
import type { Enough, NodeAnswer, NodeStatus } from '../core/node.ts';

/*
 * The contract of a chain. A source reads and checks; it holds no database, no payments and no retry loop.
 * Every source passes test/contracts/source.ts.
 */

/** The addresses whose transfers matter. Grows while the daemon runs; lookups cost the same at any size. */
export type Watchlist = {
  has(key: AddressKey): boolean;
  /** The same for the 20 bytes from `offset` on, where that can be had without making a key of them first. */
  hasAt?(bytes: Uint8Array, offset: number): boolean;
  readonly size: number;
  /** All keys, for a node-side filter while there are few. */
  keys(): Iterable<AddressKey>;
};

/** What the tokens of a chain are to us, by the key of their contract. */
export type Tokens = ReadonlyMap<AddressKey, Currency>;

export type PollRequest = {
  /** Everything up to here was read. */
  cursor: Cursor;
  /**
   * The head that an earlier poll showed, or the cursor. Where this answer proves more, more may be read: a block that is
   * not yet known to exist costs no request of its own.
   */
  head: BlockRef;
  /** Nothing above this height is read now either. */
  upTo?: number;
  /** The highest finalized height seen; a node below it is behind and is not asked. */
  finalizedHeight: number | null;
  /** Show the node's own head, also where the blocks read now lie far below it. */
  showHead?: boolean;
  /**
   * The addresses to which a transfer may matter now. Others of the watchlist need not be asked for: the second reading
   * finds what was paid to them. If not given, all of them are asked for.
   */
  inUse?: ReadonlySet<AddressKey>;
  /** Whether to ask how far the chain is final; if not given, so it is. */
  finality?: boolean;
  watch: Watchlist;
  /** The tokens that matter; if not given, those of the configuration. */
  tokens?: Tokens;
  /** Read whole blocks too, for transfers of the chain's own coin. */
  native: boolean;
  signal: AbortSignal;
};

/** Blocks that were read before and are read again. */
export type RereadRequest = Pick<PollRequest, 'cursor' | 'watch' | 'tokens' | 'native' | 'signal'> & {
  /** The last block wanted. */
  upTo: number;
  /** A block of ours at or above `upTo`: whoever has another there, or none, proves nothing about ours. */
  anchor: BlockRef;
  /** Nodes that are not asked. */
  except: Hosts;
};

/** Host names of nodes. */
export type Hosts = ReadonlySet<string>;

/** What one poll proved: everything that reached a watched address in `(cursor, to]`. */
export type Span = {
  /** Whether there may be blocks in it that were mined after it was asked for. */
  young?: boolean;
  /** The host name of the node that answered. */
  host: string;
  to: BlockRef;
  /** The head the answering node showed, at or above `to`. */
  head: BlockRef;
  /** At most the height of `to`; null where the chain's nodes do not tell, or were not asked. */
  finalizedHeight: number | null;
  /** In chain order. */
  transfers: Transfer[];
  /** Further blocks of this chain at or below `to` whose hash the answer showed. */
  anchors: BlockRef[];
  /** Transactions in which contracts may have paid watched addresses in the native coin, and nobody could say. */
  untraced: readonly TxHash[];
  /** Host names of those who told what contracts paid in a transaction. */
  tracedBy?: ReadonlyMap<TxHash, string>;
};

export type PollOutcome =
  | { kind: 'span'; span: Span }
  /** The chain has another block at the cursor's height: find the fork point. */
  | { kind: 'reorg' }
  /** No node proved an answer this time; nothing changes. `retryAt` is Unix ms, when one may be asked again. */
  | { kind: 'failed'; reason: string; retryAt: number };

/** What a node shows of its chain now; `finalized` is null where it does not tell. */
export type NodeHead = { latest: BlockRef; finalized: BlockRef | null };

export type Inclusion =
  /**
   * The transaction succeeded and moves `amount` there, in this block of the chain of a node whose head is `head`. `weak`
   * where only nothing speaks against it: the node can no longer tell how the transaction ran, nor what it moved. `gained`
   * where a balance alone shows the transfer: all that came there in that block.
   */
  | { kind: 'included'; block: BlockRef; amount: bigint; head: number; weak?: true; gained?: bigint }
  /** The node's chain has another block at that height, or the transaction or the transfer is not in it. */
  | { kind: 'absent' }
  /** All is in place but for what the recipient's balance shows, which speaks against it. */
  | { kind: 'doubtful'; reason: string }
  /** No node could say. */
  | { kind: 'unknown'; reason: string };

/** What is known of a transfer whose place on the chain is looked at afresh. */
export type InclusionQuery = Pick<
  Transfer,
  'txHash' | 'token' | 'recipient' | 'ordinal' | 'amount' | 'block'
> & {
  /** It need not be final, whatever the chain's finality: depth alone decides about it. */
  byDepth?: boolean;
};

/** Where a node's chain has a transaction: in a block, in none yet, or nowhere. */
export type TxLocation =
  | { kind: 'mined'; block: Pick<BlockRef, 'height' | 'hash'>; failed: boolean }
  | { kind: 'pending' }
  | { kind: 'unknown' };

export type Balances = ReadonlyMap<AddressKey, bigint>;

export type ChainSource = {
  /**
   * Checks that a node is of the configured chain and that each token's decimals are as configured.
   *
   * @throws RpcError when no node answers; ConfigError when a node contradicts the configuration.
   */
  verify(signal: AbortSignal): Promise<void>;

  /** The block from which a chain that has no cursor yet is read: the head, or the one below `startBlock`. */
  start(startBlock: number | 'latest', signal: AbortSignal): Promise<{ cursor: Cursor; head: BlockRef }>;

  poll(request: PollRequest): Promise<PollOutcome>;

  /** As much of what is wanted as one node serves at once, proven like a poll. Changes nothing about who is asked first. */
  reread(request: RereadRequest): Promise<PollOutcome>;

  /**
   * The chain's blocks at these heights, all from one node that is not behind the highest finalized height that a
   * poll was told of (one that is may sit on a fork long given up); null for a height above its head.
   *
   * @throws RpcError when no node answers.
   */
  blocksAt(heights: readonly number[], signal: AbortSignal): Promise<Map<number, BlockRef | null>>;

  /**
   * Each node's latest and finalized block. Nobody is silent for being behind: how far each has got is what is asked.
   * The methods that ask each node change nothing about who is asked first, and never throw because of a node. Who has not
   * answered when the others are `enough` need not be waited for; if not given, everybody is, until its time is out.
   */
  headsOfEach(signal: AbortSignal, enough?: Enough<NodeHead>): Promise<NodeAnswer<NodeHead>[]>;

  /** {@link blocksAt} by each node. */
  blocksOfEach(
    heights: readonly number[],
    signal: AbortSignal,
    enough?: Enough<Map<number, BlockRef | null>>,
  ): Promise<NodeAnswer<Map<number, BlockRef | null>>[]>;

  /** The look before a confirmation, one answer for each query, by each node: who serves no receipts is silent. */
  inclusionsOfEach(
    queries: readonly InclusionQuery[],
    signal: AbortSignal,
    enough?: Enough<Map<InclusionQuery, Inclusion>>,
  ): Promise<NodeAnswer<Map<InclusionQuery, Inclusion>>[]>;

  /** Where each node has a transaction; absent where a chain's nodes cannot be asked so. */
  locationsOfEach?(txHash: TxHash, signal: AbortSignal): Promise<NodeAnswer<TxLocation>[]>;

  /**
   * What these addresses hold of the chain's own coin at the end of a block, all by one node that has this block; null
   * when no node could say. Asked for blocks near the head: nodes soon forget.
   */
  balances(keys: readonly AddressKey[], at: BlockRef, signal: AbortSignal): Promise<Balances | null>;

  /** What this node said before was untrue: for some time it is asked only if nobody else can be. It still has its vote. */
  distrust(host: string, reason: string): void;

  /** Says what each node looks like now, for status, metrics and logs. Host names only. */
  endpoints(): NodeStatus[];

  close(): Promise<void>;
};
