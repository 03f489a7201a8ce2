import { createHash } from 'node:crypto';
import type { AddressKey } from '../../src/core/address.ts';
import {
  type BlockHash,
  type BlockRef,
  noTransaction,
  type Transfer,
  type TxHash,
} from '../../src/core/chain.ts';
import type { Network } from '../../src/core/networks.ts';
import type { Capability, Enough, NodeAnswer, NodeStatus } from '../../src/core/node.ts';
import { RpcError } from '../../src/errors.ts';
import type {
  ChainSource,
  Inclusion,
  InclusionQuery,
  PollOutcome,
  PollRequest,
  RereadRequest,
  TxLocation,
} from '../../src/watchers/source.ts';

/** What a transaction moves, before it is mined. */
export type ScriptedTransfer = Pick<Transfer, 'token' | 'currency' | 'recipient' | 'amount'>;

export type ScriptedTx = { hash: TxHash; transfers: readonly ScriptedTransfer[] };
export type ScriptedBlock = BlockRef & {
  parent: BlockHash | null;
  txs: readonly ScriptedTx[];
  transfers: readonly Transfer[];
  /** Which of all blocks ever made it is: its number and its content make its hash. */
  made: number;
  /** Transfers between strangers that come before ours, so that the index of a log is another one in every block. */
  strangers: number;
};

/** How hashes are made where they must hold for what is hashed. */
export type ChainHashes = {
  ofTransaction(transfers: readonly ScriptedTransfer[], nth: number): TxHash;
  ofBlock(block: Omit<ScriptedBlock, 'hash' | 'transfers'>): BlockHash;
};
type Tx = ScriptedTx;
type Block = ScriptedBlock;

/** Which block a node takes for the head: the chain's own, one below it, or one it stays at. */
export type NodeView = 'tip' | { behind: number } | { stuckAt: BlockHash };

export type ScriptedNode = {
  name: string;
  view: NodeView;
  /** Answers nothing while false. */
  up: boolean;
  /** Answers after all others. */
  slow: boolean;
  /** Says no word about transactions: fresh looks fail. */
  knowsTransactions: boolean;
  /** Has forgotten what addresses held while false. */
  knowsBalances: boolean;
  /** Transactions that it leaves out of what it lists, though it has them. */
  hides: Set<TxHash>;
  /** Transactions that it says are not there when asked for them. */
  denies: Set<TxHash>;
  /** What it lists and swears to, though nobody else has it. */
  invents: Transfer[];
  /** Wrong times, Unix seconds, that it gives for blocks. */
  times: Map<BlockHash, number>;
  /** What it refuses to serve: `logs` for reading, `receipts` for fresh looks. */
  lacks: Capability[];
};

type CountedCall =
  | 'poll'
  | 'reread'
  | 'blocksAt'
  | 'headsOfEach'
  | 'blocksOfEach'
  | 'inclusionsOfEach'
  | 'balances';

export type ReorgOptions = {
  /** Blocks taken off the chain. */
  depth: number;
  /** New blocks on the fork point; default one more than were taken. */
  blocks?: number;
  /** Index of the new block that a transaction is mined in again, or null: it is dropped. Default: the same index. */
  place?: (tx: TxHash, index: number) => number | null;
};

export type ScriptedChain = {
  network: Network;
  nodes: ScriptedNode[];
  head(): BlockRef;
  at(height: number): BlockRef | null;
  /** Puts a transaction into the next block. */
  send(...transfers: ScriptedTransfer[]): TxHash;
  /** Puts a transaction that a reorg dropped into the next block. */
  sendAgain(tx: TxHash): void;
  mine(count?: number): BlockRef;
  reorg(options: ReorgOptions): void;
  /** Makes the fork that ends in this block the chain again. */
  revive(head: BlockHash): void;
  /** Everything on the chain as it is now, in order. */
  transfers(): Transfer[];
  /** Everything on any fork that ever was. */
  transfersEver(): Transfer[];
  /** Every block, of whatever fork, that ever held a transaction. */
  inclusionsEver(tx: TxHash): BlockRef[];
  /** What a node with this view has: every block from the lowest to its head. */
  branchOf(view: NodeView): ScriptedBlock[];
  /** Whether there was ever such a block, on whatever fork. */
  wasMade(hash: BlockHash): boolean;
  /** How far the finalized block trails a node's head at least; null: nodes do not tell. */
  finalityLag: number | null;
  /** The height of what is final for a node with this head. */
  finalizedOf(head: BlockRef): number | null;
  /** Hashes of the blocks that were read whole, for the native coin: by {@link source}, or as a test knows. */
  readNatively: Set<BlockHash>;
  /** How often each method of the source was called. */
  calls: Record<CountedCall, number>;
  /** Who was distrusted for what, in order. */
  distrusted: { host: string; reason: string }[];
  /** The node asked first from now on. */
  prefer(node: number): void;
  /** From now on each call asks another node first, as behind a load balancer. */
  balance(): void;
  source: ChainSource;
};

export type ScriptedChainOptions = {
  network: Network;
  clock: () => number;
  /** How far the finalized block trails a node's head at least; null: nodes do not tell. */
  finalityLag?: number | null;
  /** So many blocks become final at once. Default 1. */
  epoch?: number;
  /** Most blocks read in one poll. */
  maxRange?: number;
  nodes?: number;
  /** Blocks there are at first. */
  height?: number;
  /** By how much the chain's time is ahead of our clock, seconds. Default 0. */
  ahead?: number;
  /** Default: hashes of nothing but numbers. */
  hashes?: ChainHashes;
};

/**
 * A blockchain in memory with several nodes, and the faithful source of it: the contract of
 * `watchers/source.ts`, to the letter, over nodes that may lag, be stuck on a fork, be down or lie.
 */
export function createScriptedChain(options: ScriptedChainOptions): ScriptedChain {
  const { network, clock, finalityLag = null, epoch = 1, maxRange = 10 } = options;
  const { hashes = numberHashes(network) } = options;
  const blocks = new Map<BlockHash, Block>();
  const mempool: Tx[] = [];
  const txs = new Map<TxHash, Tx>();
  const readNatively = new Set<BlockHash>();
  const calls: Record<CountedCall, number> = {
    poll: 0,
    reread: 0,
    blocksAt: 0,
    headsOfEach: 0,
    blocksOfEach: 0,
    inclusionsOfEach: 0,
    balances: 0,
  };
  const distrusted: ScriptedChain['distrusted'] = [];
  const nodes: ScriptedNode[] = Array.from({ length: options.nodes ?? 1 }, (_, i) => ({
    name: `node-${i}`,
    view: 'tip',
    up: true,
    slow: false,
    knowsTransactions: true,
    knowsBalances: true,
    hides: new Set(),
    denies: new Set(),
    invents: [],
    times: new Map(),
    lacks: [],
  }));
  let preferred = 0;
  let balanced = false;
  /** The highest that a poll was told of. */
  let finalizedSeen = 0;
  let made = 0;
  let tip = append(null, [], seconds());
  for (let i = 0; i < (options.height ?? 5); i++) tip = append(tip, [], seconds());

  function seconds(): number {
    return Math.floor(clock() / 1000) + (options.ahead ?? 0);
  }

  function append(parent: Block | null, included: readonly Tx[], time: number): Block {
    made += 1;
    const unhashed = {
      height: parent === null ? 0 : parent.height + 1,
      time: Math.max(time, parent?.time ?? 0),
      parent: parent?.hash ?? null,
      txs: included,
      made,
      strangers: made % 7,
    };
    const { height, time: blockTime } = unhashed;
    const ref: BlockRef = { height, hash: hashes.ofBlock(unhashed), time: blockTime };
    const transfers = toTransfers(network, included, ref, unhashed.strangers);
    const block: Block = { ...unhashed, ...ref, transfers };
    blocks.set(block.hash, block);
    return block;
  }

  function blockOf(hash: BlockHash): Block {
    const block = blocks.get(hash);
    if (block === undefined) throw new Error(`no block ${hash}`);
    return block;
  }

  /** The block at a height on the fork that ends in `head`; null above it. */
  function ancestor(head: Block, height: number): Block | null {
    if (height > head.height || height < 0) return null;
    let block = head;
    while (block.height > height && block.parent !== null) block = blockOf(block.parent);
    return block;
  }

  /** Blocks in `(above, upTo]`, lowest first. */
  function branch(head: Block, above: number, upTo: number): Block[] {
    const found: Block[] = [];
    let block = ancestor(head, upTo);
    while (block !== null && block.height > above) {
      found.unshift(block);
      block = block.parent === null ? null : blockOf(block.parent);
    }
    return found;
  }

  function headOf({ view }: Pick<ScriptedNode, 'view'>): Block {
    if (view === 'tip') return tip;
    if ('stuckAt' in view) return blockOf(view.stuckAt);
    return ancestor(tip, Math.max(0, tip.height - view.behind)) as Block;
  }

  function finalizedOf({ height }: BlockRef): number | null {
    return finalityLag === null ? null : Math.max(0, Math.floor((height - finalityLag) / epoch) * epoch);
  }

  function upNodes(): ScriptedNode[] {
    if (balanced) preferred = (preferred + 1) % nodes.length;
    const inOrder = nodes.map((_, i) => nodes[(preferred + i) % nodes.length] as ScriptedNode);
    return inOrder.filter((node) => node.up);
  }

  /** Whether a node has not got as far as another one's final block: it may be on a fork that is given up. */
  function isBehindFinal(node: ScriptedNode): boolean {
    return (finalizedOf(headOf(node)) ?? finalizedSeen) < finalizedSeen;
  }

  function serving(what: Capability): ScriptedNode[] {
    return upNodes().filter(({ lacks }) => !lacks.includes(what));
  }

  function anyNode(): ScriptedNode {
    const node = upNodes().find((one) => !isBehindFinal(one));
    if (node === undefined) throw new RpcError('no_node', 'no node answers');
    return node;
  }

  /** Asks each node, who are slow after the others; who is not `able` is silent. */
  function askEach<T>(
    able: (node: ScriptedNode) => boolean,
    work: (node: ScriptedNode) => T,
    enough: Enough<T> = () => false,
  ): NodeAnswer<T>[] {
    const answers: NodeAnswer<T>[] = [];
    for (const node of nodes.toSorted((a, b) => Number(a.slow) - Number(b.slow))) {
      const host = node.name;
      const missing = nodes.length - answers.length;
      if (node.slow && enough(answers, missing))
        answers.push({ host, kind: 'silent', reason: 'not waited for', late: true });
      else if (node.up && able(node)) answers.push({ host, kind: 'answered', value: work(node) });
      else answers.push({ host, kind: 'silent', reason: node.up ? 'behind' : 'down' });
    }
    return nodes.flatMap(({ name }) => answers.filter(({ host }) => host === name));
  }

  function blocksOf(node: ScriptedNode, heights: readonly number[]): Map<number, BlockRef | null> {
    const head = headOf(node);
    return new Map(
      heights.map((height) => {
        const block = ancestor(head, height);
        return [height, block === null ? null : tell(node, block)];
      }),
    );
  }

  /** A block as this node tells of it. */
  function tell({ times }: ScriptedNode, block: BlockRef): BlockRef {
    return { ...refOf(block), time: times.get(block.hash) ?? block.time };
  }

  async function poll(request: PollRequest): Promise<PollOutcome> {
    calls.poll += 1;
    finalizedSeen = Math.max(finalizedSeen, request.finalizedHeight ?? 0);
    const { head, upTo = head.height } = request;
    return readUpTo(Math.min(head.height, upTo), request, serving('logs'));
  }

  async function reread({ upTo, anchor, except, ...request }: RereadRequest): Promise<PollOutcome> {
    calls.reread += 1;
    const asked = serving('logs').filter((node) => {
      return !except.has(node.name) && ancestor(headOf(node), anchor.height)?.hash === anchor.hash;
    });
    return readUpTo(upTo, { ...request, finalizedHeight: null }, asked);
  }

  /** What the first of these nodes says that is not behind. */
  function readUpTo(
    upTo: number,
    request: Omit<PollRequest, 'head'>,
    asked: readonly ScriptedNode[],
  ): PollOutcome {
    let reason = 'no node answers';
    for (const node of asked) {
      const head = headOf(node);
      const finalized = finalizedOf(head);
      const { cursor } = request;
      const top = Math.max(cursor.height, Math.min(upTo, cursor.height + maxRange));
      if (finalized !== null && finalized < (request.finalizedHeight ?? 0)) {
        reason = 'behind what was final';
        continue;
      }
      const standing = ancestor(head, cursor.height);
      if (standing === null || head.height < top) {
        reason = 'not there yet';
        continue;
      }
      if (standing.hash !== cursor.hash) return { kind: 'reorg' };
      const to = ancestor(head, top) as Block;
      const read = branch(head, cursor.height, top);
      if (request.native) for (const block of read) readNatively.add(block.hash);
      const transfers = read
        .flatMap((block) => listed(node, block))
        .filter(
          ({ recipient, token }) =>
            request.watch.has(recipient) &&
            (token === 'native' ? request.native : (request.tokens?.has(token) ?? true)),
        );
      return {
        kind: 'span',
        span: {
          host: node.name,
          to: tell(node, to),
          head: tell(node, head),
          finalizedHeight: finalized === null ? null : Math.min(finalized, to.height),
          transfers,
          anchors: distinct([
            ...transfers.map((transfer) => transfer.block),
            ...(finalized === null || finalized > top ? [] : [refOf(ancestor(head, finalized) as Block)]),
          ]),
          untraced: [],
        },
      };
    }
    return { kind: 'failed', reason, retryAt: clock() + 1000 };
  }

  /** What a node lists of a block. */
  function listed(node: ScriptedNode, block: Block): Transfer[] {
    const { hides, invents } = node;
    const known = block.transfers.filter(({ txHash }) => !hides.has(txHash));
    const all = [...known, ...invents.filter((transfer) => transfer.block.hash === block.hash)];
    return all.map((transfer) => ({ ...transfer, block: tell(node, transfer.block) }));
  }

  function lookUpAll(queries: readonly InclusionQuery[], node: ScriptedNode): Map<InclusionQuery, Inclusion> {
    const head = headOf(node);
    const transfers = branch(head, -1, head.height).flatMap((block) => [
      ...block.transfers,
      ...node.invents.filter((one) => one.block.hash === block.hash),
    ]);
    // The first of each, where a node tells of one twice.
    const found = new Map(transfers.toReversed().map((transfer) => [placeOf(transfer), transfer]));
    return new Map(queries.map((query) => [query, lookUp(query, node, found.get(placeOf(query)))]));
  }

  function lookUp(query: InclusionQuery, node: ScriptedNode, found: Transfer | undefined): Inclusion {
    const head = headOf(node);
    if (!node.knowsTransactions) return { kind: 'unknown', reason: 'no receipts here' };
    if (head.height < query.block.height) return { kind: 'unknown', reason: 'not there yet' };
    if (query.txHash === noTransaction) {
      const { block } = query;
      const stands = ancestor(head, block.height)?.hash === block.hash;
      return stands
        ? { kind: 'included', block, amount: query.amount, head: head.height }
        : { kind: 'absent' };
    }
    if (node.denies.has(query.txHash)) return { kind: 'absent' };
    if (found === undefined) return { kind: 'absent' };
    return { kind: 'included', block: tell(node, found.block), amount: found.amount, head: head.height };
  }

  const source: ChainSource = {
    verify: async () => {},
    start: async (startBlock) => {
      const head = headOf(anyNode());
      const below = startBlock === 'latest' ? head : ancestor(head, startBlock - 1);
      return { cursor: refOf(below ?? head), head: refOf(head) };
    },
    poll,
    reread,
    blocksAt: async (heights) => {
      calls.blocksAt += 1;
      return blocksOf(anyNode(), heights);
    },
    headsOfEach: async (_, enough) => {
      calls.headsOfEach += 1;
      return askEach(
        () => true,
        (node) => {
          const head = headOf(node);
          const finalized = finalizedOf(head);
          const final = finalized === null ? null : ancestor(head, finalized);
          return { latest: refOf(head), finalized: final === null ? null : refOf(final) };
        },
        enough,
      );
    },
    blocksOfEach: async (heights, _, enough) => {
      calls.blocksOfEach += 1;
      return askEach(
        (node) => !isBehindFinal(node),
        (node) => blocksOf(node, heights),
        enough,
      );
    },
    inclusionsOfEach: async (queries, _, enough) => {
      calls.inclusionsOfEach += 1;
      return askEach(
        (node) => !node.lacks.includes('receipts') && !isBehindFinal(node),
        (node) => lookUpAll(queries, node),
        enough,
      );
    },
    locationsOfEach: async (txHash) =>
      askEach(
        () => true,
        (node): TxLocation => {
          const invented = node.invents.find((one) => one.txHash === txHash)?.block;
          const blocks = branch(headOf(node), -1, headOf(node).height);
          const block = blocks.find(({ txs }) => txs.some(({ hash }) => hash === txHash)) ?? invented;
          if (block !== undefined) return { kind: 'mined', block: refOf(block), failed: false };
          return { kind: mempool.some(({ hash }) => hash === txHash) ? 'pending' : 'unknown' };
        },
      ),
    balances: async (keys, at) => {
      calls.balances += 1;
      const knows = (node: ScriptedNode) => ancestor(headOf(node), at.height)?.hash === at.hash;
      const node = upNodes().find((candidate) => candidate.knowsBalances && knows(candidate));
      if (node === undefined) return null;
      const moved = branch(headOf(node), -1, at.height).flatMap((block) => block.transfers);
      return new Map(keys.map((key) => [key, balanceOf(key, moved)]));
    },
    distrust: (host, reason) => void distrusted.push({ host, reason }),
    endpoints: () => nodes.map((node, rank) => statusOf(node, rank)),
    close: async () => {},
  };

  return {
    network,
    nodes,
    source,
    readNatively,
    calls,
    distrusted,
    head: () => refOf(tip),
    at: (height) => {
      const block = ancestor(tip, height);
      return block === null ? null : refOf(block);
    },
    send(...transfers) {
      const hash = hashes.ofTransaction(transfers, txs.size);
      const tx = { hash, transfers };
      txs.set(hash, tx);
      mempool.push(tx);
      return hash;
    },
    sendAgain(hash) {
      const tx = txs.get(hash);
      if (tx === undefined) throw new Error(`no transaction ${hash}`);
      mempool.push(tx);
    },
    mine(count = 1) {
      for (let i = 0; i < count; i++) tip = append(tip, mempool.splice(0), seconds());
      return refOf(tip);
    },
    reorg({ depth, blocks: count = depth + 1, place = (_, index) => index }) {
      const taken = branch(tip, tip.height - depth, tip.height);
      const placed = new Map<number, Tx[]>();
      taken.forEach((block, index) => {
        for (const tx of block.txs) {
          const at = place(tx.hash, index);
          if (at === null) continue;
          const slot = Math.min(at, count - 1);
          placed.set(slot, [...(placed.get(slot) ?? []), tx]);
        }
      });
      tip = ancestor(tip, tip.height - depth) as Block;
      for (let i = 0; i < count; i++) {
        tip = append(tip, placed.get(i)?.reverse() ?? [], taken[i]?.time ?? seconds());
      }
    },
    revive(hash) {
      tip = blockOf(hash);
    },
    balance() {
      balanced = true;
    },
    transfers: () => branch(tip, -1, tip.height).flatMap((block) => block.transfers),
    transfersEver: () => [...blocks.values()].flatMap((block) => block.transfers),
    inclusionsEver: (hash) =>
      [...blocks.values()].filter((block) => block.txs.some((tx) => tx.hash === hash)).map(refOf),
    branchOf(view) {
      const head = headOf({ view });
      return branch(head, -1, head.height);
    },
    wasMade: (hash) => blocks.has(hash),
    finalityLag,
    finalizedOf,
    prefer(node) {
      preferred = node;
    },
  };
}

function numberHashes(network: Network): ChainHashes {
  return {
    ofTransaction: (_, nth) => `0x${digest(`${network} tx ${nth}`)}` as TxHash,
    ofBlock: ({ made }) => `0x${digest(`${network} block ${made}`)}` as BlockHash,
  };
}

/** What an address holds of the native coin after all this; nothing is ever spent. */
function balanceOf(key: AddressKey, moved: readonly Transfer[]): bigint {
  return moved
    .filter(({ token, recipient }) => token === 'native' && recipient === key)
    .reduce((sum, { amount }) => sum + amount, 0n);
}

function statusOf({ name, lacks }: ScriptedNode, rank: number): NodeStatus {
  return {
    host: name,
    preferred: rank === 0,
    state: 'ready',
    head: null,
    finalized: null,
    lag: null,
    answeredAt: null,
    lacks,
    limits: null,
    latencyMs: null,
    backoffUntil: null,
    lastError: null,
    asked: 0,
    failed: 0,
  };
}

function toTransfers(
  network: Network,
  included: readonly Tx[],
  block: BlockRef,
  firstLog: number,
): Transfer[] {
  let logIndex = firstLog;
  return included.flatMap((tx) => {
    const ordinals = new Map<string, number>();
    return tx.transfers.map((transfer) => {
      const key = `${transfer.token} ${transfer.recipient}`;
      const ordinal = ordinals.get(key) ?? 0;
      ordinals.set(key, ordinal + 1);
      const position = transfer.token === 'native' ? null : logIndex++;
      return { ...transfer, network, txHash: tx.hash, ordinal, block, logIndex: position };
    });
  });
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function refOf({ height, hash, time }: BlockRef): BlockRef {
  return { height, hash, time };
}

function distinct(refs: readonly BlockRef[]): BlockRef[] {
  return [...new Map(refs.map((ref) => [ref.hash, ref])).values()];
}

function placeOf({ txHash, token, recipient, ordinal }: InclusionQuery): string {
  return `${txHash} ${token} ${recipient} ${ordinal}`;
}
