import type { AddressKey } from '../../core/address.ts';
import { type BlockRef, noTransaction } from '../../core/chain.ts';
import type { Enough, NodeAnswer } from '../../core/node.ts';
import type { Endpoints, Seen } from '../../nodes/failover.ts';
import { lacks } from '../../nodes/fault.ts';
import { isRecord, type RpcAnswer, type RpcCall } from '../../nodes/json-rpc.ts';
import type { Inclusion, InclusionQuery } from '../source.ts';
import { readBalances } from './balances.ts';
import { getHeader, getReceipt, getTransaction } from './calls.ts';
import { type Header, readHeader, readReceipt, readTransaction, readTxHash, refOf } from './decode.ts';
import { matchLog, readTransferLog, withOrdinals } from './logs.ts';
import type { EvmNode } from './node.ts';
import type { ContractCall } from './trace-decode.ts';
import type { Tracer } from './tracer.ts';

/** What a node shows of its chain now, and its answers to what else was asked. */
export type Fresh = { latest: Header; finalized: Header | null; answers: RpcAnswer[] };

/** Asks a node that is not behind: where only blocks up to `upTo` matter, what it calls final need not reach further. */
export type AskFresh = (
  node: EvmNode,
  calls: readonly RpcCall[],
  seen: Seen,
  signal: AbortSignal,
  upTo?: number,
) => Promise<Fresh>;

export type LookDeps = {
  endpoints: Endpoints<EvmNode>;
  tracer: Tracer;
  askFresh: AskFresh;
};

type Looks = Map<InclusionQuery, Inclusion>;
type Inner = Extract<Judgement, { kind: 'inner' }>;

/** The look at transfers before a confirmation, by each node with nobody else's help: one answer for each query. */
export function lookAtEach(
  deps: LookDeps,
  queries: readonly InclusionQuery[],
  signal: AbortSignal,
  enough?: Enough<Looks>,
): Promise<NodeAnswer<Looks>[]> {
  const look = createLook(deps, queries, signal);
  const work = async (node: EvmNode, seen: Seen) =>
    lookInside(deps, await look(node, seen), signal, ({ host }) => host !== node.host);
  return deps.endpoints.askEach(work, signal, { needs: ['receipts'], enough });
}

type Judged = (readonly [InclusionQuery, Judgement])[];

function createLook({ askFresh }: LookDeps, queries: readonly InclusionQuery[], signal: AbortSignal) {
  const plan = planInclusions(queries);
  const highest = Math.max(...queries.map(({ block }) => block.height));
  return async (node: EvmNode, seen: Seen): Promise<Judged> => {
    const { latest, answers } = await askFresh(node, plan.calls, seen, signal, highest);
    const results = resultsOf(plan.calls, answers);
    seen({ serves: 'receipts' });
    return queries.map((query) => {
      return [query, judgeInclusion(query, plan.answersFor(query, results, latest.height))] as const;
    });
  };
}

/**
 * Transfers by a contract, whose transaction stands in its block and has succeeded: traced again by a node that can
 * be asked. Where none can, by what the recipient's balance gained in that block.
 */
async function lookInside(
  deps: LookDeps,
  judged: Judged,
  signal: AbortSignal,
  except: (node: EvmNode) => boolean,
): Promise<Looks> {
  const looks: Looks = new Map();
  const inner: [InclusionQuery, Inner][] = [];
  for (const [query, judgement] of judged) {
    if (judgement.kind === 'inner') inner.push([query, judgement]);
    else looks.set(query, judgement);
  }
  if (inner.length === 0) return looks;
  const all = judged.map(([query]) => query);
  const recipients = new Set(inner.map(([{ recipient }]) => recipient));
  const calls = new Map(inner.map(([{ txHash }, { call }]): [string, ContractCall] => [txHash, call]));
  const watched = (key: AddressKey) => recipients.has(key);
  const { traced } = await deps.tracer.trace({ calls: [...calls.values()], watched, signal, except });
  const untraced: [InclusionQuery, Inner][] = [];
  for (const [query, judgement] of inner) {
    const shown = traced.get(query.txHash);
    if (shown === undefined) {
      untraced.push([query, judgement]);
      continue;
    }
    const found = shown.transfers.find(
      ({ recipient, ordinal }) => recipient === query.recipient && ordinal === query.ordinal,
    );
    const { head, call } = judgement;
    looks.set(
      query,
      found === undefined
        ? { kind: 'absent' }
        : { kind: 'included', block: call.block, amount: found.amount, head },
    );
  }
  for (const [query, look] of await lookAtBalances(deps, untraced, all, signal, except))
    looks.set(query, look);
  return looks;
}

/**
 * Without traces: a transaction that succeeded in the same block did there what it did before. What can be checked is
 * that the recipient gained no less in that block than all that is asked about; where the node has forgotten how much
 * that was, nothing speaks against it. One question for all that lie in one block.
 */
async function lookAtBalances(
  { endpoints }: LookDeps,
  untraced: readonly [InclusionQuery, Inner][],
  all: readonly InclusionQuery[],
  signal: AbortSignal,
  except: (node: EvmNode) => boolean,
): Promise<Looks> {
  const looks: Looks = new Map();
  const claims = new Map<string, bigint>();
  const spotOf = ({ block, recipient }: InclusionQuery) => `${block.hash} ${recipient}`;
  for (const query of all) {
    if (query.token === 'native') claims.set(spotOf(query), (claims.get(spotOf(query)) ?? 0n) + query.amount);
  }
  const blocks = new Map(untraced.map(([{ block }]) => [block.hash, block]));
  for (const block of blocks.values()) {
    const here = untraced.filter(([query]) => query.block.hash === block.hash);
    const recipients = [...new Set(here.map(([{ recipient }]) => recipient))];
    const queries = recipients.flatMap((key) => [
      { key, height: block.height - 1 },
      { key, height: block.height },
    ]);
    const balances = await readBalances(endpoints, { queries, on: block, signal, except });
    for (const [query, { head, call }] of here) {
      const at = 2 * recipients.indexOf(query.recipient);
      const [before = 0n, after = 0n] = balances?.slice(at, at + 2) ?? [];
      const { amount } = query;
      const gained = after - before;
      // As the node itself has that block: its time is a part of its word.
      const seen = { kind: 'included', block: call.block, amount, head } as const;
      if (balances === null) looks.set(query, { ...seen, weak: true });
      else if (gained >= (claims.get(spotOf(query)) ?? 0n)) looks.set(query, { ...seen, gained });
      else
        looks.set(query, {
          kind: 'doubtful',
          reason: 'no node can trace the transaction, and the balance does not show it',
        });
    }
  }
  return looks;
}

/** A node's answers about one transfer: results, or undefined where it gave none. */
export type InclusionAnswers = {
  /** Height of the node's latest block. */
  head: number;
  block: unknown;
  receipt: unknown;
  /** Asked for the native coin only: a receipt tells neither target nor value. */
  transaction: unknown;
};

/** `inner`: all is in place, but the transaction does not pay the recipient by its own value. A contract may have. */
export type Judgement = Inclusion | { kind: 'inner'; call: ContractCall; head: number };

/** What must be asked to look at `queries`, each thing once, and where its answer will be found. */
export function planInclusions(queries: readonly InclusionQuery[]): {
  calls: RpcCall[];
  answersFor(query: InclusionQuery, results: readonly unknown[], head: number): InclusionAnswers;
} {
  const calls: RpcCall[] = [];
  const places = new Map<string, number>();
  const place = (key: string, call: RpcCall) => {
    if (!places.has(key)) places.set(key, calls.push(call) - 1);
  };
  // Blocks before receipts: should the node ask for single calls, a reorg in between shows as a difference.
  for (const { block } of queries) place(`block ${block.height}`, getHeader(block.height));
  const ofTransactions = queries.filter(({ txHash }) => txHash !== noTransaction);
  for (const { txHash } of ofTransactions) place(`receipt ${txHash}`, getReceipt(txHash));
  for (const { txHash, token } of ofTransactions) {
    if (token === 'native') place(`transaction ${txHash}`, getTransaction(txHash));
  }
  return {
    calls,
    answersFor: ({ block, txHash }, results, head) => {
      const at = (key: string) => results[places.get(key) ?? -1];
      return {
        head,
        block: at(`block ${block.height}`),
        receipt: at(`receipt ${txHash}`),
        transaction: at(`transaction ${txHash}`),
      };
    },
  };
}

/**
 * What the node answered; undefined for a transaction of which it cannot tell though it tells of others: that is no
 * reason to leave those unanswered.
 *
 * @throws NodeError that the node gave instead of an answer: `lacks` where it serves blocks, but no receipts.
 */
export function resultsOf(calls: readonly RpcCall[], answers: readonly RpcAnswer[]): unknown[] {
  const isReceipt = (i: number) => calls[i]?.method === 'eth_getTransactionReceipt';
  const tells = answers.some((answer, i) => isReceipt(i) && 'result' in answer);
  return answers.map((answer, i) => {
    if (!('error' in answer)) return answer.result;
    if (tells && calls[i]?.method !== 'eth_getBlockByNumber') return undefined;
    if (isReceipt(i) && answer.error.fault.kind === 'unsupported') throw lacks('receipts', answer.error);
    throw answer.error;
  });
}

/**
 * Whether the node's chain has the transfer where it was recorded. Another block at that height, the same without the
 * transaction, a failed transaction or one without that transfer: absent. Whatever does not fit together: unknown, for a node that
 * is behind, or whose chain changes just now, must not take a payment back.
 */
export function judgeInclusion(query: InclusionQuery, answers: InclusionAnswers): Judgement {
  const block = headerOf(answers.block);
  if (block === null) return unknown(`the node has no block ${query.block.height}`);
  if (block.height !== query.block.height || answers.head < block.height) {
    return unknown('the node answered with another block than was asked for');
  }
  if (block.hash !== query.block.hash) return { kind: 'absent' };

  // What a balance shows is true as long as its block stands.
  if (query.txHash === noTransaction)
    return { kind: 'included', block: refOf(block), amount: query.amount, head: answers.head };

  const receipt = receiptOf(answers.receipt);
  const found = receipt !== null && receipt.txHash === query.txHash ? receipt : null;
  if (found?.blockHash !== block.hash) {
    // The same block without that transaction: it never was in it.
    if (lists(answers.block, query.txHash) === false) return { kind: 'absent' };
    return unknown(found === null ? 'the node has no receipt' : 'the chain changed while it was looked at');
  }
  if (!found.succeeded) return { kind: 'absent' };

  if (query.token === 'native') return judgeNative(query, refOf(block), answers);
  const amount = amountsOf(found.logs).get(placeOf(query)) ?? null;
  if (amount === null) return { kind: 'absent' };
  return { kind: 'included', block: refOf(block), amount, head: answers.head };
}

/** Whether a block, as it is told without its transactions, names this one; null where it names none in any shape known. */
function lists(block: unknown, txHash: string): boolean | null {
  const hashes =
    isRecord(block) && Array.isArray(block.transactions) ? block.transactions.map(readTxHash) : null;
  return hashes === null || hashes.includes(null) ? null : hashes.some((hash) => hash === txHash);
}

/** Thousands of transfers that are asked about together may lie in one block and one transaction: each is read once. */
function once<T>(read: (value: unknown) => T): (value: unknown) => T {
  const known = new WeakMap<object, { found: T }>();
  return (value) => {
    if (typeof value !== 'object' || value === null) return read(value);
    const found = known.get(value)?.found ?? read(value);
    known.set(value, { found });
    return found;
  };
}

const headerOf = once(readHeader);
const receiptOf = once(readReceipt);
const amountsOf = once(readAmounts);

/** What each transfer among the logs of a receipt moves. */
function readAmounts(logs: unknown): ReadonlyMap<string, bigint> {
  const transfers = (logs as readonly unknown[]).flatMap((value) => {
    const log = readTransferLog(value);
    const match = log === null ? null : matchLog(log, () => true);
    return match === null ? [] : [match];
  });
  const inOrder = withOrdinals(transfers.toSorted((a, b) => a.logIndex - b.logIndex));
  return new Map(inOrder.map((transfer) => [placeOf(transfer), transfer.amount]));
}

function placeOf(transfer: Pick<InclusionQuery, 'txHash' | 'token' | 'recipient' | 'ordinal'>): string {
  return [transfer.txHash, transfer.token, transfer.recipient, transfer.ordinal].join(' ');
}

/** The transaction pays the recipient by its own value first, by what contracts do with it after that. */
function judgeNative(query: InclusionQuery, block: BlockRef, answers: InclusionAnswers): Judgement {
  const { head } = answers;
  const transaction = readTransaction(answers.transaction);
  if (transaction === null || transaction.hash !== query.txHash)
    return unknown('the node has no such transaction');
  const { hash, to, value, input, gas } = transaction;
  if (to === query.recipient && value > 0n && query.ordinal === 0)
    return { kind: 'included', block, amount: value, head };
  // Only what names a watched address is ever traced: with nothing said to it no contract is known to have paid.
  if (input === '0x') return { kind: 'absent' };
  return { kind: 'inner', call: { txHash: hash, to, value, gas, block }, head };
}

function unknown(reason: string): Judgement {
  return { kind: 'unknown', reason };
}
