import type { Currency } from '../core/assets.ts';
import type { Network } from '../core/networks.ts';
import type { PaymentView } from '../core/payment.ts';
import { counted } from '../core/plural.ts';
import { listAudit } from '../storage/operators/audit.ts';
import { listRefundRecords } from '../storage/payments/refund-records.ts';
import { listDepositsOf, listTold, type Told } from '../storage/payments/timeline.ts';
import type { Db } from '../storage/schema.ts';
import { expectedShown } from './payments.ts';
import { isoTime, showAmount } from './values.ts';

export const timelineKinds = ['quote', 'deposit', 'event', 'delivery', 'action', 'refund', 'end'] as const;

/** One thing that happened to a payment, in words for people. */
export type TimelineEntry = {
  at: string;
  kind: (typeof timelineKinds)[number];
  title: string;
  detail: string;
  tx_hash: string | null;
  network: Network | null;
  delivery_id: number | null;
  actor: string | null;
};

type Found = Pick<TimelineEntry, 'kind' | 'title' | 'detail'> & { at: number } & Partial<
    Omit<TimelineEntry, 'at'>
  >;

/** Of each sort: nobody reads more, and a payment may be sent dust without end. */
const most = 200;

/** Everything that happened to a payment, oldest first. */
export async function presentTimeline(db: Db, view: PaymentView): Promise<TimelineEntry[]> {
  const { id, paymentNumber } = view.payment;
  const deposits = await listDepositsOf(db, id, most);
  const told = await listTold(db, id, most);
  const actions = await listAudit(db, { subject: paymentNumber, beforeId: null, limit: most });
  const refunds = await listRefundRecords(db, id, most);
  const events = new Map(told.map((one) => [`${one.type} ${one.at}`, one]));
  const found: Found[] = [
    ...beginning(view),
    ...deposits.map((deposit): Found => {
      const amount = showAmount(
        { currency: deposit.currency as Currency, decimals: deposit.decimals },
        BigInt(deposit.amount),
      );
      const block = `block ${deposit.height}, ${isoTime(deposit.block_time * 1000)}`;
      return {
        at: deposit.seen_at,
        kind: 'deposit',
        title: `${amount} ${deposit.currency} ${depositWords(deposit)}`,
        detail: deposit.reported_by === null ? block : `${block}; shown by ${deposit.reported_by}`,
        tx_hash: deposit.tx_hash === '' ? null : deposit.tx_hash,
        network: deposit.network as Network,
      };
    }),
    ...[...events.values()].map(({ type, at }): Found => ({ at, kind: 'event', title: type, detail: '' })),
    ...told.flatMap(({ type, delivery }): Found[] =>
      delivery === null
        ? []
        : [
            {
              at: delivery.finishedAt ?? delivery.at,
              kind: 'delivery',
              title: `${type}: ${delivery.state}`,
              detail: `${hostOf(delivery.url)}, ${counted(delivery.attempts, 'attempt')}${answered(delivery)}`,
              delivery_id: delivery.id,
            },
          ],
    ),
    ...refunds.flatMap(({ amount, address, txHash, network, block }): Found[] =>
      block === null
        ? []
        : [
            {
              at: block.time,
              kind: 'refund',
              title: `${showAmount(view.payment, amount)} ${view.payment.currency} sent back`,
              detail: `to ${address}, block ${block.height}`,
              tx_hash: txHash,
              network,
            },
          ],
    ),
    ...actions.map(({ at, actor, action, detail }): Found => {
      const { reason } = detail;
      return { at, kind: 'action', title: action, detail: typeof reason === 'string' ? reason : '', actor };
    }),
  ];
  return found
    .toSorted((a, b) => a.at - b.at)
    .map((entry) => ({
      tx_hash: null,
      network: null,
      delivery_id: null,
      actor: null,
      ...entry,
      at: isoTime(entry.at),
    }));
}

function beginning(view: PaymentView): Found[] {
  const { payment } = view;
  const quote = `${expectedShown(view)} ${payment.currency}`;
  if (view.kind === 'provider')
    return [
      { at: payment.createdAt, kind: 'quote', title: `${quote} asked for by ${payment.network}`, detail: '' },
    ];
  const { usdPerCoin, address, lockHead } = view.payment;
  return [
    {
      at: payment.createdAt,
      kind: 'quote',
      title: `${quote} asked for`,
      detail: `at ${usdPerCoin} USD each; ${address} held from block ${lockHead.height} on`,
    },
  ];
}

function depositWords({ status, role }: { status: string; role: string }): string {
  if (status === 'orphaned') return 'came, and was taken back by the chain';
  const how =
    { counted: '', late: ', too late', accepted: ', taken as enough', unmatched: ', not matched' }[role] ??
    '';
  return status === 'confirmed' ? `confirmed${how}` : `seen${how}`;
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : 'an endpoint that was removed';
}

function answered({ lastStatus, lastError }: NonNullable<Told['delivery']>): string {
  if (lastStatus !== null) return `, answered ${lastStatus}`;
  return lastError === null ? '' : `, ${lastError}`;
}
