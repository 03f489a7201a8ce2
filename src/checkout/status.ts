import { createHash } from 'node:crypto';
import { isoTime } from '../present/values.ts';
import type { CheckoutView } from './view.ts';

/** What `GET /pay/{token}/status` answers, and each event of the stream holds. */
export type CheckoutStatus = {
  payment_number: string;
  status: CheckoutView['status'];
  state: CheckoutView['state'];
  final: boolean;
  external_order_id: string;
  price: { amount: string; currency: string };
  network: string;
  chain: string;
  currency: string;
  address: string | null;
  amount: string | null;
  expected: string;
  received: string;
  remaining: string;
  instead: string;
  confirmations: number;
  required_confirmations: number;
  tx_hash: string;
  chain_available: boolean;
  expires_at: string;
};

/** With the hash of it, by which a page and a stream know whether they show the same. */
export type Snapshot = { json: string; version: string };

/** What one who has the link may know: nothing of other payments, and nothing that only the shop and its app know. */
export function presentStatus(view: CheckoutView): Snapshot {
  const { words, instructions } = view;
  const status: CheckoutStatus = {
    payment_number: view.paymentNumber,
    status: view.status,
    state: view.state,
    final: view.final,
    external_order_id: view.orderId,
    price: view.price,
    network: view.network,
    chain: view.networkName,
    currency: view.token.symbol,
    address: instructions?.address ?? null,
    amount: instructions?.amountText ?? null,
    expected: words.expected,
    received: words.received,
    remaining: words.remaining,
    instead: words.instead,
    confirmations: words.confirmations,
    required_confirmations: words.required,
    tx_hash: view.txHash,
    chain_available: !view.delayed,
    expires_at: isoTime(view.expiresAt),
  };
  const json = JSON.stringify(status);
  return { json, version: createHash('sha256').update(json).digest('base64url').slice(0, 16) };
}
