import type { Currency } from '../core/assets.ts';
import type { FeeClass } from '../core/chains/known.ts';
import {
  allowsMethod,
  openPaymentOf,
  type SessionPayment,
  type SessionView,
} from '../core/checkout-session.ts';
import type { Network } from '../core/networks.ts';
import type { MethodTrouble, OfferedMethod } from '../payments/methods.ts';
import { networkName, type TokenName, tokenName } from './naming.ts';

/** A way to pay, as who chooses sees it. */
export type ChoiceMethod = {
  /** `bsc/usdt`, as the form sends it. */
  value: string;
  /** As exchanges name the network, or the provider. */
  networkName: string;
  trouble: MethodTrouble['kind'] | null;
  /** How long it usually takes until it is confirmed; null where that is not known. */
  confirmedInSeconds: number | null;
  feeClass: FeeClass | null;
};

/** One token with the networks that take it. */
export type ChoiceToken = { token: TokenName; methods: ChoiceMethod[] };

export type Choice = {
  tokens: ChoiceToken[];
  /** Of fiat providers. */
  others: ChoiceMethod[];
  /** The payment that was chosen before and can be paid still, and what it is called. */
  chosen: { payment: SessionPayment; name: string } | null;
};

/** What can be chosen in a session. `blockSeconds`: between two blocks of each chain, as measured. */
export function viewChoice(
  view: SessionView,
  offered: readonly OfferedMethod[],
  blockSeconds: Partial<Record<Network, number | null>>,
): Choice {
  const tokens = new Map<string, ChoiceToken>();
  const others: ChoiceMethod[] = [];
  for (const method of offered.filter((one) => allowsMethod(view.session, one))) {
    const { network, currency, name, onchain, trouble } = method;
    const common = { value: formValue({ network, currency }), trouble: trouble?.kind ?? null };
    if (onchain === null) {
      const label = `${name} · ${currency.toUpperCase()}`;
      others.push({ ...common, networkName: label, confirmedInSeconds: null, feeClass: null });
      continue;
    }
    const { chain, asset } = onchain;
    const token = tokenName(currency, asset.coin, name);
    const seconds = blockSeconds[network] ?? null;
    const shown: ChoiceMethod = {
      ...common,
      networkName: networkName(network, name),
      confirmedInSeconds: seconds === null ? null : Math.ceil(seconds * chain.requiredConfirmations),
      feeClass: chain.feeClass,
    };
    // The same symbol is the same token, but coins of chains, which may share one.
    const key = currency === 'native' ? `${network} ${currency}` : currency;
    const known = tokens.get(key) ?? { token, methods: [] };
    known.methods.push(shown);
    tokens.set(key, known);
  }
  const open = openPaymentOf(view);
  const chosen = open === null ? null : { payment: open, name: nameOf(open, offered) };
  return { tokens: [...tokens.values()], others, chosen };
}

function nameOf(payment: SessionPayment, offered: readonly OfferedMethod[]): string {
  const { network, currency } = payment;
  const method = offered.find((one) => one.network === network && one.currency === currency);
  if (method === undefined) return network;
  if (method.onchain === null) return method.name;
  const { symbol } = tokenName(currency, method.onchain.asset.coin, method.name);
  return `${symbol} · ${networkName(network, method.name)}`;
}

function formValue({ network, currency }: { network: Network; currency: Currency }): string {
  return `${network}/${currency}`;
}
