import type { Asset } from '../core/assets.ts';
import { confirmationsAt } from '../core/confirmations.ts';
import type { Network } from '../core/networks.ts';
import {
  confirmationsNeeded,
  type Deposit,
  isOpen,
  type OnchainView,
  type PaymentStatus,
  type PaymentView,
  type ProviderView,
} from '../core/payment.ts';
import { expectedShown, knownTx, presentPrice, remainingAmount } from '../present/payments.ts';
import { showAmount } from '../present/values.ts';
import type { CheckoutState, Words } from './languages/messages.ts';
import { networkName, type TokenName, tokenName } from './naming.ts';

/** What is known of a payment, at one moment, when its page is made. */
export type Facts = {
  payment: PaymentView;
  /** Unix ms. */
  now: number;
  /** Of a payment on a chain; null where that chain is not configured any more, or was never read. */
  chain: ChainFacts | null;
  /** What reached its address in another token or on another chain, newest first. */
  instead: readonly Deposit[];
  /** Whether the chain took back something that had come for it. */
  tookBack: boolean;
  /** The symbol of each chain's own coin. */
  coins: Partial<Record<Network, string>>;
};

export type ChainFacts = {
  /** Whether it is read as it should be. */
  available: boolean;
  /** Between two blocks, measured; null while it is not known. */
  blockSeconds: number | null;
  /** The highest block that the chain calls final, where that is waited for. */
  finalizedHeight: number | null;
};

/** A payment as its payer sees it. No text in it depends on the language. */
export type CheckoutView = {
  state: CheckoutState;
  status: PaymentStatus;
  /** Whether nothing is expected to happen any more. */
  final: boolean;
  paymentNumber: string;
  orderId: string;
  price: { amount: string; currency: string };
  network: Network;
  /** As exchanges name it, or the provider. */
  networkName: string;
  token: TokenName;
  words: Words;
  /** What is to be sent where; null when nothing is to be sent. */
  instructions: Instructions | null;
  /** When the time to pay ends, Unix ms; null where that says nothing. */
  endsAt: number | null;
  expiresAt: number;
  /** Until it is confirmed, seconds; null where it is not known. */
  confirmedInSeconds: number | null;
  /** Whether the chain is not read at the moment. */
  delayed: boolean;
  /** The transaction it is known by; empty without one. */
  txHash: string;
  /** The shop's page; null without one. */
  backUrl: string | null;
  /** The provider's page; null when nothing is to be paid there. */
  providerUrl: string | null;
};

export type Instructions = {
  address: string;
  /** What is still to be sent. */
  amount: bigint;
  /** A plain decimal with a dot. */
  amountText: string;
  asset: Pick<Asset, 'token' | 'currency' | 'decimals'>;
};

export function viewPayment(facts: Facts): CheckoutView {
  return facts.payment.kind === 'onchain' ? viewOnchain(facts.payment, facts) : viewProvider(facts.payment);
}

function viewOnchain(view: OnchainView, facts: Facts): CheckoutView {
  const { payment, deposits } = view;
  const state = stateOf(view, facts);
  const token = tokenName(payment.currency, payment.coin, payment.chain);
  const depth = depthOf(view);
  const remaining = remainingAmount(view);
  const surplus = deposits.counted - payment.expectedAmount;
  const asset = { token: payment.token, currency: payment.currency, decimals: payment.decimals };
  const withSymbol = (amount: bigint) => `${showAmount(payment, amount)} ${token.symbol}`;
  const asked = asksForMoney(state) && isOpen(payment) && facts.now < payment.expiresAt;
  return {
    ...common(view),
    state,
    final: !isOpen(payment),
    network: payment.network,
    networkName: networkName(payment.network, payment.chain),
    token,
    words: {
      expected: withSymbol(payment.expectedAmount),
      received: withSymbol(deposits.received),
      remaining: withSymbol(remaining),
      surplus: withSymbol(surplus > 0n ? surplus : 0n),
      instead: namesOf(facts.instead, facts.coins).join(', '),
      token: token.symbol,
      network: networkName(payment.network, payment.chain),
      ...depth,
    },
    instructions: asked
      ? { address: payment.address, amount: remaining, amountText: showAmount(payment, remaining), asset }
      : null,
    endsAt: asked ? payment.expiresAt : null,
    confirmedInSeconds:
      state === 'seen' || state === 'confirming' ? untilConfirmed(depth, view, facts.chain) : null,
    delayed: isOpen(payment) && facts.chain?.available !== true,
    providerUrl: null,
  };
}

/** While money is expected, and its payer is told where to send it. */
function asksForMoney(state: CheckoutState): boolean {
  return state === 'waiting' || state === 'partly_paid' || state === 'wrong_asset';
}

/**
 * What a payer is told, the most certain first. What has ended says how. While it is pending, what came in time decides;
 * when nothing has, what came instead; then the clock. Once a transfer was seen it never "expires": it is late, too little,
 * or the network took it back.
 */
function stateOf(view: OnchainView, facts: Facts): CheckoutState {
  const { payment, deposits } = view;
  const received = deposits.received >= payment.dustAmount;
  switch (payment.status) {
    case 'confirmed':
      return payment.reason === 'overpaid' ? 'overpaid' : 'paid';
    case 'failed':
      if (payment.reason === 'reorged') return 'reverted';
      return payment.reason === 'late' ? 'late' : 'underpaid';
    case 'cancelled':
      if (received) return 'late';
      return facts.instead.length > 0 ? 'wrong_asset' : 'cancelled';
    case 'expired':
      if (received) return 'late';
      if (facts.tookBack) return 'reverted';
      return facts.instead.length > 0 ? 'wrong_asset' : 'expired';
    case 'pending':
      return pendingState(view, facts);
    default:
      return payment.status satisfies never;
  }
}

function pendingState(view: OnchainView, facts: Facts): CheckoutState {
  const { payment, deposits } = view;
  const isOver = facts.now >= payment.expiresAt;
  if (deposits.counted >= payment.requiredAmount) {
    const { confirmations, required } = depthOf(view);
    return confirmations <= 1 && required > 1 ? 'seen' : 'confirming';
  }
  if (deposits.counted >= payment.dustAmount) return isOver ? 'underpaid' : 'partly_paid';
  if (facts.instead.length > 0) return 'wrong_asset';
  return isOver ? 'closing' : 'waiting';
}

/** How deep the transfers that count are: the one with the fewest confirmations is waited for. */
function depthOf(view: OnchainView): { confirmations: number; required: number } {
  const required = confirmationsNeeded(view.payment);
  const waiting = awaited(view);
  const depths = waiting.map(({ network, height }) => confirmationsAt(view.heads[network] ?? 0, height));
  return { confirmations: Math.min(required, ...depths), required };
}

function awaited({ deposits }: OnchainView): Deposit[] {
  return deposits.largest.filter(({ role, status }) => role === 'counted' && status === 'seen');
}

/** By the blocks that are missing, or by those until the chain calls it final, whichever are more. */
function untilConfirmed(
  { confirmations, required }: { confirmations: number; required: number },
  view: OnchainView,
  chain: ChainFacts | null,
): number | null {
  if (chain === null || !chain.available || chain.blockSeconds === null) return null;
  const highest = Math.max(...awaited(view).map(({ height }) => height));
  const head = view.heads[view.payment.network] ?? 0;
  // Finality has trailed the head by so much, and goes on doing so.
  const unfinal = chain.finalizedHeight === null ? 0 : Math.max(0, highest - chain.finalizedHeight);
  if (!Number.isFinite(highest) || head === 0) return null;
  return Math.ceil(Math.max(required - confirmations, unfinal, 1) * chain.blockSeconds);
}

/** Each once: "25 USDC · Ethereum (ERC20)". */
function namesOf(deposits: readonly Deposit[], coins: Facts['coins']): string[] {
  const names = deposits.slice(0, mostNamed).map((deposit) => {
    const { symbol } = tokenName(deposit.currency, coins[deposit.network] ?? 'coin', '');
    return `${showAmount(deposit, deposit.amount)} ${symbol} · ${networkName(deposit.network, deposit.network)}`;
  });
  return [...new Set(names)];
}

const mostNamed = 3;

function viewProvider(view: ProviderView): CheckoutView {
  const { payment } = view;
  const { symbol, ...rest } = tokenName(payment.currency, '', payment.chain);
  const expected = `${expectedShown(view)} ${symbol}`;
  const states = {
    pending: 'provider',
    confirmed: 'paid',
    expired: 'expired',
    cancelled: 'cancelled',
    failed: 'declined',
  } as const satisfies Record<PaymentStatus, CheckoutState>;
  return {
    ...common(view),
    state: states[payment.status],
    final: payment.status !== 'pending',
    network: payment.network,
    networkName: payment.chain,
    token: { symbol, ...rest },
    words: {
      expected,
      received: expected,
      remaining: expected,
      surplus: '',
      instead: '',
      token: symbol,
      network: payment.chain,
      confirmations: 0,
      required: 0,
    },
    instructions: null,
    endsAt: null,
    confirmedInSeconds: null,
    delayed: false,
    providerUrl: payment.status === 'pending' ? payment.checkoutUrl : null,
  };
}

function common(view: PaymentView) {
  const { payment } = view;
  return {
    status: payment.status,
    paymentNumber: payment.paymentNumber,
    orderId: payment.externalOrderId,
    price: presentPrice(payment.price),
    expiresAt: payment.expiresAt,
    txHash: view.kind === 'onchain' ? knownTx(view) : '',
    backUrl: webUrl(payment.redirectUrl),
  };
}

/** Null where it is none: an app may have sent what would run as a script. */
function webUrl(text: string): string | null {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) ? text : null;
}
