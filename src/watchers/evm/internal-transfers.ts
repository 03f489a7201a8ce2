import type { Clock } from '../../clock.ts';
import type { TxHash } from '../../core/chain.ts';
import type { Logger } from '../../log.ts';
import type { Hosts, PollOutcome, Watchlist } from '../source.ts';
import type { EvmNode } from './node.ts';
import type { ReadOutcome } from './poll.ts';
import type { ContractCall } from './trace-decode.ts';
import type { Tracer, Tracing } from './tracer.ts';

export type ContractPaymentsDeps = {
  tracer: Tracer;
  /** Whether any node is thought to offer traces. */
  offered: () => boolean;
  clock: Clock;
  log: Logger;
};

export type ContractPayments = {
  /** Adds to what a node showed what contracts paid in those blocks. `except` is asked only if nobody else can tell. */
  addTo(
    outcome: ReadOutcome,
    request: { watch: Watchlist; signal: AbortSignal },
    except?: Hosts,
  ): Promise<PollOutcome>;
};

/** Polls that fail because of one transaction which nobody traces: some are too long for any node. */
const mostFailures = 2;

/** How long such a poll waits for the next, ms. */
const retryMs = 1_000;

/** Transactions remembered for their failures; reorgs leave some behind. */
const mostRemembered = 1_000;

/**
 * A block is not read before what contracts paid in it is known, but one transaction must not stop a chain: when
 * nobody can trace it, it is left to the second reading of the block and to the comparison of balances. Where no
 * node offers traces at all, all of them are.
 */
export function createContractPayments(deps: ContractPaymentsDeps): ContractPayments {
  const { tracer, offered, clock, log } = deps;
  const failures = new Map<TxHash, number>();

  async function traceAll(
    calls: readonly ContractCall[],
    { watch, signal }: { watch: Watchlist; signal: AbortSignal },
    except: Hosts,
  ): Promise<Tracing> {
    const watched = watch.has.bind(watch);
    const excluded = (node: EvmNode) => except.has(node.host);
    const first = await tracer.trace({ calls, watched, signal, except: excluded });
    if (first.untraced.length === 0 || except.size === 0) return first;
    const second = await tracer.trace({ calls: first.untraced, watched, signal });
    const gaveUp = first.gaveUp || second.gaveUp;
    return { ...second, gaveUp, traced: new Map([...first.traced, ...second.traced]) };
  }

  /** Counts a failure for each, and says whether they are worth another try. */
  function isWorthAnotherTry(calls: readonly ContractCall[]): boolean {
    if (failures.size > mostRemembered) failures.clear();
    const counts = calls.map(({ txHash }) => (failures.get(txHash) ?? 0) + 1);
    for (const [i, { txHash }] of calls.entries()) failures.set(txHash, counts[i] ?? 0);
    // One that has had its tries takes the others along: new ones come up with every poll.
    return counts.every((count) => count <= mostFailures);
  }

  async function addTo(
    outcome: ReadOutcome,
    request: { watch: Watchlist; signal: AbortSignal },
    except: Hosts = new Set(),
  ): Promise<PollOutcome> {
    if (outcome.kind !== 'span') return outcome;
    const { span, contractCalls } = outcome;
    if (contractCalls.length === 0) return { kind: 'span', span };
    const { traced, untraced, reason, gaveUp } = await traceAll(contractCalls, request, except);
    if (untraced.length > 0 && offered()) {
      if (!gaveUp && isWorthAnotherTry(untraced)) {
        const why = `what contracts paid in ${untraced.length} transactions is not known: ${reason}`;
        return { kind: 'failed', reason: why, retryAt: clock() + retryMs };
      }
      for (const { txHash, block } of untraced) {
        log.warn({ tx_hash: txHash, height: block.height, reason }, 'transaction not traced');
      }
    }
    for (const { txHash } of contractCalls) failures.delete(txHash);
    const paid = contractCalls.flatMap(({ txHash }) => traced.get(txHash)?.transfers ?? []);
    const tracedBy = new Map([...traced].map(([txHash, { host }]) => [txHash, host]));
    const transfers = [...span.transfers, ...paid].sort((a, b) => a.block.height - b.block.height);
    const nobody = untraced.map(({ txHash }) => txHash);
    return { kind: 'span', span: { ...span, transfers, untraced: nobody, tracedBy } };
  }

  return { addTo };
}
