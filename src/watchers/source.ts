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
   * The head that an earlier poll showed, or the cursor. An answer that proves blocks above it may be read up to there, so that a new
   * block costs one request and not two.
   */
  head: BlockRef;
  /** Nothing above this height is read. */
  upTo?: number;
  /** The highest finalized height seen; a node below it is behind and is not asked. */
  finalizedHeight: number | null;
  /** Whether to show the node's own head too, where the blocks that are read lie far below it. */
  showHead?: boolean;
  /**
   * The addresses to which a transfer may matter now. Others of the watchlist need not be asked for: the second reading
   * finds what was paid to them. If not given, all of them are asked for.
   */
  inUse?: ReadonlySet<AddressKey>;
  /** Whether to ask how far the chain is final; by default yes. */
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
  /** Whether some of its blocks may have been mined after the node was asked. */
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
  /** Transactions in which contracts may have paid watched addresses in the native coin, and that no node could trace. */
  untraced: readonly TxHash[];
  /** The node that traced each transaction, by host name. */
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
   * The transaction succeeded and moves `amount` there, in this block of the chain of a node whose head is `head`. `weak`: the node can no
   * longer tell how the transaction ran, and merely nothing speaks against it. `gained`: a balance alone shows the transfer, and this is all
   * that the address gained in that block.
   */
  | { kind: 'included'; block: BlockRef; amount: bigint; head: number; weak?: true; gained?: bigint }
  /** The node's chain has another block at that height, or the transaction or the transfer is not in it. */
  | { kind: 'absent' }
  /** The transaction is there as recorded, but the recipient's balance speaks against the transfer. */
  | { kind: 'doubtful'; reason: string }
  /** No node could say. */
  | { kind: 'unknown'; reason: string };

/** A recorded transfer that nodes are asked about again. */
export type InclusionQuery = Pick<
  Transfer,
  'txHash' | 'token' | 'recipient' | 'ordinal' | 'amount' | 'block'
> & {
  /** Depth alone decides about it: its block need not be final. */
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
   * Each node's latest and finalized block. A node that is behind answers too: how far each has got is the question.
   * The methods that ask each node change nothing about which one is polled first, and never throw because of a node. Once the answers so far
   * are `enough`, the other nodes need not be waited for; without it every node is, until its time is out.
   */
  headsOfEach(signal: AbortSignal, enough?: Enough<NodeHead>): Promise<NodeAnswer<NodeHead>[]>;

  /** {@link blocksAt} by each node. */
  blocksOfEach(
    heights: readonly number[],
    signal: AbortSignal,
    enough?: Enough<Map<number, BlockRef | null>>,
  ): Promise<NodeAnswer<Map<number, BlockRef | null>>[]>;

  /** What each node says of these transfers before they are confirmed. A node that serves no receipts is silent. */
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

  /** What this node said was untrue: for some time it is polled only if no other node can be. It still has its vote. */
  distrust(host: string, reason: string): void;

  /** Says what each node looks like now, for status, metrics and logs. Host names only. */
  endpoints(): NodeStatus[];

  close(): Promise<void>;
};
