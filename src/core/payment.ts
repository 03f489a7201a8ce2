import type { Address, AddressKey } from './address.ts';
import type { Coin, Currency } from './assets.ts';
import type { BlockHash, BlockRef, TxHash } from './chain.ts';
import type { ChargeStatus, Mode } from './charge.ts';
import type { Network } from './networks.ts';

/** `pending` leads to one of the other four. What may still follow those is told in `payments/decide.ts`. */
export type PaymentStatus = 'pending' | 'confirmed' | 'expired' | 'cancelled' | 'failed';

export const paymentStatuses: readonly PaymentStatus[] = [
  'pending',
  'confirmed',
  'expired',
  'cancelled',
  'failed',
];

/** Why a payment failed, or what is unusual about it. The last two are of payments by a provider. */
export const paymentReasons = ['underpaid', 'overpaid', 'late', 'reorged', 'declined', 'voided'] as const;

export type PaymentReason = (typeof paymentReasons)[number];

/** An amount of money in minor units of its currency (ISO 4217): 4500 and `USD` are 45 dollars. */
export type FiatAmount = { minorUnits: number; currency: string };

/** A payment, by the way it is paid. */
export type Payment = OnchainPayment | ProviderPayment;

/** What every payment has. All times are Unix milliseconds by our clock, but where a block's time is meant. */
type CommonPayment = {
  id: number;
  paymentNumber: string;
  merchantId: string;
  status: PaymentStatus;
  reason: PaymentReason | null;
  /** The chain, or the provider by its name in the configuration. */
  network: Network;
  /** The name people read of where it is paid, and the `chain` of its webhooks. */
  chain: string;
  currency: Currency;
  /** Decimals of every amount of this payment. */
  decimals: number;
  /** What the customer is asked for, in base units. */
  expectedAmount: bigint;
  /** What the shop asked for. */
  price: FiatAmount;
  amountUsdCents: number;
  externalOrderId: string;
  customerEmail: string;
  redirectUrl: string;
  metadata: Record<string, unknown>;
  /** The payer's language by its BCP 47 tag; empty where it is not known. */
  locale: string;
  /** The id of the checkout session in which it was chosen; null for none. */
  checkoutSession: string | null;
  /** Numbers of the payment whose fresh quote this is, and of the one that is a fresh quote of this. */
  replaces: string | null;
  replacedBy: string | null;
  /** How many fresh quotes the order has had up to this one. */
  requotes: number;
  /** False in a sandbox, whose money is worth nothing. */
  livemode: boolean;
  paymentToken: string;
  createdAt: number;
  expiresAt: number;
  confirmedAt: number | null;
  endedAt: number | null;
  /** When an operator accepted what had come; null when nobody did. */
  acceptedAt: number | null;
};

/** Paid by transfers to an address that it holds while it is live. */
export type OnchainPayment = CommonPayment & {
  kind: 'onchain';
  coin: Coin;
  /** Key of the token's contract at creation, or `native`. */
  token: AddressKey | 'native';
  usdPerCoin: string;
  /** What suffices to confirm: the expected amount less the tolerance, or what an operator accepted. */
  requiredAmount: bigint;
  /** Less than this in all counts as nothing received; at least 1, at most the required amount. */
  dustAmount: bigint;
  /** How many its transfers need, as it was promised when it was made, where no {@link tier} says less. */
  requiredConfirmations: number;
  /** Fewer are enough, by depth alone, while no more than `upToAmount` has come; null for what is no small payment. */
  tier: { confirmations: number; upToAmount: bigint } | null;
  /** Whether more than that has come, as of when it was settled last. */
  exceedsTier: boolean;
  /** What counted when it was settled last, and what the last `payment.partially_paid` told. */
  countedAmount: bigint;
  toldAmount: bigint;
  /** The transfer that completed the amount, once confirmed. */
  completedBy: TxHash | null;
  addressId: number;
  address: Address;
  /** The head that the address was locked under. */
  lockHead: BlockRef;
  /** The chain's own time at the lock, Unix ms: what was mined before it does not count. See core/chain-time.ts. */
  lockChainTime: number;
  /** The last block time (Unix seconds) at which money is in time: never before `expiresAt`. */
  blockTimeLimit: number;
  /** Whether it was reverted, holds its address again and can be paid anew until `blockTimeLimit`. */
  reopened: boolean;
};

/** Paid on the page of a fiat provider. Amounts in minor units of its currency. */
export type ProviderPayment = CommonPayment & {
  kind: 'provider';
  /** The provider's type when it was made. */
  providerType: string;
  mode: Mode;
  /** Ours, by which the provider knows the payment where it keeps such a thing. */
  reference: string;
  /** The provider's own id; null until it is known. */
  chargeId: string | null;
  chargeStatus: ChargeStatus;
  /** The provider's own word for it. */
  statusText: string;
  /** The provider's page. */
  checkoutUrl: string;
  fee: bigint | null;
  net: bigint | null;
  refunded: bigint;
  disputed: boolean;
  /** Whether a capture was asked for, and whether of a part alone: then no answer tells how much was taken. */
  capture: 'none' | 'whole' | 'part';
};

/** Whether it holds its address and what comes in time counts. */
export function isOpen({ status, reopened }: Pick<OnchainPayment, 'status' | 'reopened'>): boolean {
  return status === 'pending' || reopened;
}

/** How many confirmations what came for it in time needs, as things are. What comes late needs all of them. */
export function confirmationsNeeded({ requiredConfirmations, tier, exceedsTier }: OnchainPayment): number {
  return tier === null || exceedsTier ? requiredConfirmations : tier.confirmations;
}

/** `seen` on the chain, `confirmed` beyond doubt, `orphaned` when the chain took it back. */
export type DepositStatus = 'seen' | 'confirmed' | 'orphaned';

/**
 * `counted`: it reached its payment in time. `late`: it belongs to its payment and does not count. `accepted`: it
 * did not reach its payment in time, or in another asset, and counts because the policy or an operator says so.
 * `unmatched`: nobody's until an operator says so.
 */
export type DepositRole = 'counted' | 'late' | 'accepted' | 'unmatched';

export const depositRoles: readonly DepositRole[] = ['counted', 'late', 'accepted', 'unmatched'];

/** `unexplained`: the balance grew by more than transfers explain. */
export type UnmatchedReason = 'no_payment' | 'wrong_token' | 'wrong_network' | 'before_lock' | 'unexplained';

/** A transfer that we recorded. */
export type Deposit = {
  id: number;
  network: Network;
  txHash: TxHash;
  token: AddressKey | 'native';
  currency: Currency;
  decimals: number;
  recipient: AddressKey;
  ordinal: number;
  amount: bigint;
  height: number;
  blockHash: BlockHash;
  /** The block's time, Unix seconds. */
  blockTime: number;
  logIndex: number | null;
  status: DepositStatus;
  role: DepositRole;
  unmatchedReason: UnmatchedReason | null;
  merchantId: string;
  addressId: number;
  paymentId: number | null;
  seenAt: number;
  /** Host name of the node whose word it is that it is in its block; null where that is no single one's. */
  reportedBy: string | null;
};

/** Paid in what was asked for. Only such amounts have the payment's decimals and may be added up. */
export function isOwnAsset(payment: OnchainPayment, deposit: Pick<Deposit, 'network' | 'token'>): boolean {
  return deposit.network === payment.network && deposit.token === payment.token;
}

/** Whether it adds to what its payment needs. */
export function counts({ role }: Pick<Deposit, 'role'>): boolean {
  return role === 'counted' || role === 'accepted';
}

/** Deposits of a payment that are alike, added up. */
export type DepositSum = Pick<Deposit, 'network' | 'token' | 'status' | 'role' | 'amount'> & {
  /** How many they are. */
  total: number;
};

/** What the deposits of a payment come to, however many there are. */
export type Tally = {
  sums: readonly DepositSum[];
  /** Of what counted and a reorg threw out so lately that it may be mined again. */
  missing: readonly DepositSum[];
  /** Whether something counts as in time that the chain has put past the end since. */
  countsLate: boolean;
  /** The transactions with which what is confirmed suffices: what counts, and all of it. Null while it does not. */
  completedBy: { counted: TxHash | null; all: TxHash | null };
};

/** What the chains show of a payment's deposits. What they took back is not among it. */
export type PaymentDeposits = {
  /** Those that are shown, the largest first. */
  largest: Deposit[];
  /** How many there are. */
  total: number;
  /** The sum of what came in the asked asset, whatever it counts as. */
  received: bigint;
  /** The sum of what counts of that. */
  counted: bigint;
  /** The one the payment is known by: the one that completed it, else the first seen. */
  knownBy: Deposit | null;
};

/** What is there before anything was seen. */
export const noDeposits: PaymentDeposits = {
  largest: [],
  total: 0,
  received: 0n,
  counted: 0n,
  knownBy: null,
};

/** A payment with what belongs to it, as of one moment. */
export type PaymentView = OnchainView | ProviderView;

export type OnchainView = {
  kind: 'onchain';
  payment: OnchainPayment;
  deposits: PaymentDeposits;
  /** The heads of the chains that were read. A deposit that an operator attached may lie on a chain of its own. */
  heads: Partial<Record<Network, number>>;
};

export type ProviderView = { kind: 'provider'; payment: ProviderPayment };
