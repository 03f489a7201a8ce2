import type { Address, AddressKey } from './address.ts';
import type { BlockRef, Transfer, TxHash } from './chain.ts';
import type { Network } from './networks.ts';

/**
 * `not_found`: not yet, or not yet final. `mismatch`: the transaction is final and does not make that transfer.
 * `verified`: it does.
 */
export const refundRecordStatuses = ['not_found', 'mismatch', 'verified'] as const;

export type RefundRecordStatus = (typeof refundRecordStatuses)[number];

/**
 * A refund that an operator sent from a wallet of theirs: we hold no keys and can only look whether it is on the chain. It
 * changes nothing about its payment. All times are Unix milliseconds.
 */
export type RefundRecord = {
  id: number;
  paymentId: number;
  /** In what the payment asked for, on its network. */
  network: Network;
  token: AddressKey | 'native';
  recipient: AddressKey;
  address: Address;
  txHash: TxHash;
  /** With the payment's decimals. */
  amount: bigint;
  /** Its value at the payment's quote, rounded down. */
  usdCents: number;
  reason: string;
  actor: string;
  createdAt: number;
  status: RefundRecordStatus;
  /** What the chain says of it, for people. */
  detail: string;
  checks: number;
  checkedAt: number | null;
  /** Null: it is not looked for any more. */
  nextCheckAt: number | null;
  /** The block that has the transfer, once it is verified. */
  block: { height: number; time: number } | null;
};

/** A transfer that somebody says was sent to an address that need not be ours. */
export type SentTransfer = Pick<Transfer, 'txHash' | 'token' | 'recipient' | 'amount'>;

/** What the chain shows of it; `why` for people. */
export type SentFinding =
  | { kind: 'verified'; block: BlockRef }
  | { kind: 'mismatch'; why: string }
  | { kind: 'not_found'; why: string };

export type VerifySent = (
  network: Transfer['network'],
  transfer: SentTransfer,
  signal: AbortSignal,
) => Promise<SentFinding>;
