import type { AddressKey } from '../../core/address.ts';
import { type Endpoints, NoNodeError, type Seen } from '../../nodes/failover.ts';
import type { RpcAnswer, RpcCall } from '../../nodes/json-rpc.ts';
import type { Hosts, Inclusion, InclusionQuery } from '../source.ts';
import { readBalances } from './balances.ts';
import type { Header } from './decode.ts';
import { type Judgement, judgeInclusion, planInclusions, resultsOf } from './inclusion.ts';
import type { EvmNode } from './node.ts';
import type { ContractCall, Tracer } from './tracer.ts';

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

/** The fresh look at transfers: one answer for each query, all by one node that is not in `except`. */
export async function lookAfresh(
  deps: LookDeps,
  queries: readonly InclusionQuery[],
  signal: AbortSignal,
  except: Hosts = new Set(),
): Promise<Looks> {
  const { endpoints, askFresh } = deps;
  if (queries.length === 0) return new Map();
  const excluded = (node: EvmNode) => except.has(node.host);
  const plan = planInclusions(queries);
  const highest = Math.max(...queries.map(({ block }) => block.height));
  const look = async (node: EvmNode, seen: Seen) => {
    const { latest, answers } = await askFresh(node, plan.calls, seen, signal, highest);
    const results = resultsOf(plan.calls, answers);
    seen({ serves: 'receipts' });
    return queries.map((query) => {
      return [query, judgeInclusion(query, plan.answersFor(query, results, latest.height))] as const;
    });
  };
  let judged: (readonly [InclusionQuery, Judgement])[];
  try {
    judged = await endpoints.ask(look, signal, { needs: ['receipts'], except: excluded, aside: true });
  } catch (error) {
    if (!(error instanceof NoNodeError)) throw error;
    return new Map(queries.map((query) => [query, { kind: 'unknown', reason: error.message }]));
  }
  const looks: Looks = new Map();
  const inner: [InclusionQuery, Inner][] = [];
  for (const [query, judgement] of judged) {
    if (judgement.kind === 'inner') inner.push([query, judgement]);
    else looks.set(query, judgement);
  }
  if (inner.length === 0) return looks;
  return new Map([...looks, ...(await lookInside(deps, inner, queries, signal, excluded))]);
}

/**
 * Transfers by a contract, whose transaction stands in its block and has succeeded: traced again by a node that can
 * be asked. Where none can, by what the recipient's balance gained in that block.
 */
async function lookInside(
  deps: LookDeps,
  inner: readonly [InclusionQuery, Inner][],
  all: readonly InclusionQuery[],
  signal: AbortSignal,
  except: (node: EvmNode) => boolean,
): Promise<Looks> {
  const recipients = new Set(inner.map(([{ recipient }]) => recipient));
  const calls = new Map(inner.map(([{ txHash }, { call }]): [string, ContractCall] => [txHash, call]));
  const watched = (key: AddressKey) => recipients.has(key);
  const { traced } = await deps.tracer.trace({ calls: [...calls.values()], watched, signal, except });
  const looks: Looks = new Map();
  for (const [query, { head, call }] of inner) {
    const shown = traced.get(query.txHash);
    if (shown === undefined) {
      looks.set(query, await lookAtBalance(deps, query, head, all, signal, except));
      continue;
    }
    const found = shown.transfers.some(
      ({ recipient, ordinal, amount }) =>
        recipient === query.recipient && ordinal === query.ordinal && amount === query.amount,
    );
    looks.set(query, found ? { kind: 'included', block: call.block, head } : { kind: 'absent' });
  }
  return looks;
}

/**
 * Without traces: a transaction that succeeded in the same block did there what it did before. What can be checked is
 * that the recipient gained no less in that block than all that is asked about; where the node has forgotten how much
 * that was, nothing speaks against it.
 */
async function lookAtBalance(
  { endpoints }: LookDeps,
  { recipient, block }: InclusionQuery,
  head: number,
  all: readonly InclusionQuery[],
  signal: AbortSignal,
  except: (node: EvmNode) => boolean,
): Promise<Inclusion> {
  const together = all.filter(
    (other) => other.token === 'native' && other.recipient === recipient && other.block.hash === block.hash,
  );
  const claimed = together.reduce((sum, { amount }) => sum + amount, 0n);
  const queries = [block.height - 1, block.height].map((height) => ({ key: recipient, height }));
  const balances = await readBalances(endpoints, { queries, on: block, signal, except });
  const [before = 0n, after = 0n] = balances ?? [];
  if (balances !== null && after - before < claimed)
    return {
      kind: 'doubtful',
      reason: 'no node can trace the transaction, and the balance does not show it',
    };
  return { kind: 'included', block, head };
}
