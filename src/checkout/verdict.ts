import { writeAddress } from '../core/address.ts';
import { lockSlackMs } from '../core/chain-time.ts';
import { confirmationsAt } from '../core/confirmations.ts';
import type { ChainFamily, Network } from '../core/networks.ts';
import { confirmationsNeeded, type Deposit, isOwnAsset, type OnchainView } from '../core/payment.ts';

/** What a chain shows of a transaction: see watchers/recheck/look-up.ts. */
export type Finding =
  | { kind: 'read'; deposits: readonly Deposit[]; head: number }
  | { kind: 'failed' | 'unmined' | 'before' | 'unknown' | 'unclear' };

/** What a payer is told of the transaction that he says paid. */
export type Verdict =
  | { kind: 'right'; confirmations: number; required: number }
  | { kind: 'late' }
  | { kind: 'too_little' }
  | { kind: 'unmined' }
  | { kind: 'another_token' }
  | { kind: 'another_network'; network: Network }
  | { kind: 'another_recipient' }
  | { kind: 'failed' }
  | { kind: 'before' }
  | { kind: 'not_found' };

/**
 * The verdict on what the chains of the payment's family show of one transaction, by network. `view` is the payment as it is
 * after the look. Of transfers to others of ours nothing is said but that they are not to this payment.
 */
export function decideVerdict(
  view: OnchainView,
  family: ChainFamily,
  findings: ReadonlyMap<Network, Finding>,
): Verdict {
  const { payment } = view;
  // Its own chain speaks first.
  const sorted = [...findings].toSorted(
    ([a], [b]) => Number(b === payment.network) - Number(a === payment.network),
  );
  const read = sorted.flatMap(([network, finding]) =>
    finding.kind === 'read' ? [{ network, ...finding }] : [],
  );
  for (const { network, deposits, head } of read) {
    const here = deposits.filter(({ recipient }) => writeAddress(family, recipient) === payment.address);
    const verdict = verdictOf(view, network, here, head);
    if (verdict !== null) return verdict;
  }
  if (read.length > 0) return { kind: 'another_recipient' };
  const kinds = new Set(sorted.map(([, { kind }]) => kind));
  for (const kind of ['failed', 'before', 'unmined'] as const) if (kinds.has(kind)) return { kind };
  return { kind: 'not_found' };
}

/** Of the transfers to the payment's address on one chain; null where there are none. */
function verdictOf(
  { payment, deposits }: OnchainView,
  network: Network,
  here: readonly Deposit[],
  head: number,
): Verdict | null {
  const own = here.filter(({ paymentId }) => paymentId === payment.id);
  const counted = own.find(({ role }) => role === 'counted' || role === 'accepted');
  if (counted !== undefined) {
    if (deposits.counted < payment.requiredAmount && payment.status !== 'confirmed')
      return { kind: 'too_little' };
    const confirmations = confirmationsAt(head, counted.height);
    return { kind: 'right', confirmations, required: confirmationsNeeded(payment) };
  }
  if (own.length > 0) return { kind: 'late' };
  const [first] = here;
  if (first === undefined) return null;
  if (network !== payment.network) return { kind: 'another_network', network };
  if (here.every(({ blockTime }) => blockTime * 1000 < payment.lockChainTime - lockSlackMs))
    return { kind: 'before' };
  return here.some((deposit) => isOwnAsset(payment, deposit)) ? { kind: 'late' } : { kind: 'another_token' };
}
