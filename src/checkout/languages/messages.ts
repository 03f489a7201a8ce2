/** What a payer is told of a payment: a title, one sentence, and what to do next. */
export type StateMessages = {
  title: string;
  text: (words: Words) => string;
  next: string;
};

/** Amounts come with their token, and never change with the language. */
export type Words = {
  expected: string;
  received: string;
  remaining: string;
  surplus: string;
  /** "25 USDC · Ethereum (ERC20)": what came instead of what was asked for. */
  instead: string;
  token: string;
  /** As exchanges name it, or the provider. */
  network: string;
  confirmations: number;
  required: number;
};

/** What becomes of a payment, as its payer sees it. */
export const checkoutStates = [
  'waiting',
  'seen',
  'confirming',
  'partly_paid',
  'paid',
  'overpaid',
  'closing',
  'expired',
  'late',
  'underpaid',
  'wrong_asset',
  'cancelled',
  'reverted',
  'provider',
  'declined',
] as const;

export type CheckoutState = (typeof checkoutStates)[number];

/** Everything that a payer reads, in one language. A language that lacks a text does not compile. */
export type Messages = {
  /** The language's own name. */
  name: string;
  direction: 'ltr' | 'rtl';
  /** For `Intl`, which writes prices; not every language is known to it. */
  locale: string;
  states: Record<CheckoutState, StateMessages>;
  titleFor: (shop: string) => string;
  order: (id: string) => string;
  amount: string;
  network: string;
  address: string;
  copyAmount: string;
  copyAddress: string;
  copied: string;
  /** Read out for the picture. */
  qrOfAddress: string;
  only: (token: string, network: string) => string;
  inFull: string;
  timeLeft: string;
  minutes: (n: number) => string;
  seconds: (n: number) => string;
  /** How long the confirmations still take. */
  about: (duration: string) => string;
  received: string;
  remaining: string;
  transaction: string;
  viewTransaction: string;
  delayed: string;
  updatesByItself: string;
  checkNow: string;
  connectionLost: string;
  help: string;
  contactShop: string;
  backToShop: string;
  returningIn: string;
  toProvider: (name: string) => string;
  language: string;
  linkQr: string;
  linkQrHint: string;
  wallet: string;
  payWith: (wallet: string) => string;
  openIn: (wallet: string) => string;
  walletSent: string;
  walletRefused: string;
  walletNetwork: (network: string) => string;
  showInstructions: string;
  notFound: { title: string; text: string };
  tooMany: { title: string; text: string };
  unavailable: { title: string; text: string };
  badRequest: { title: string; text: string };
};
