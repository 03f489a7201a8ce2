import { readAssets } from '../../src/checkout/assets.ts';
import type { Brand } from '../../src/checkout/brand.ts';
import type { ChoiceMethod } from '../../src/checkout/choice.ts';
import type { ChoicePage } from '../../src/checkout/choice-page.ts';
import type { PaymentPage } from '../../src/checkout/document.ts';
import type { CheckoutState } from '../../src/checkout/languages/messages.ts';
import { tokenName } from '../../src/checkout/naming.ts';
import { type Facts, viewPayment } from '../../src/checkout/view.ts';
import type { CheckoutConfig } from '../../src/config.ts';
import type { Currency } from '../../src/core/assets.ts';
import type { Network } from '../../src/core/networks.ts';
import type { Deposit, OnchainPayment, ProviderPayment } from '../../src/core/payment.ts';
import { createdAt, expiresAt, testDeposit, testPayment, testView, usdt } from './payments.ts';

/** Ten minutes before the end. */
const inTime = expiresAt - 10 * 60_000;

export const testBrand: Brand = {
  name: 'Blue Fox Books',
  logo: null,
  accent: null,
  supportEmail: 'help@shop.example',
  supportUrl: '',
};

/** A payment of 50 USDT on BSC with what came for it, as the page's facts. */
export function testFacts(
  change: Partial<OnchainPayment> = {},
  deposits: Partial<Deposit>[] = [],
  more: Partial<Facts> & { head?: number } = {},
): Facts {
  const { head = 120, ...facts } = more;
  return {
    payment: testView(
      testPayment(change),
      deposits.map((deposit, n) => testDeposit({ id: n + 1, ...deposit })),
      { bsc: head },
    ),
    now: inTime,
    chain: { available: true, blockSeconds: 0.45, finalizedHeight: null },
    instead: [],
    tookBack: false,
    coins: { bsc: 'bnb', ethereum: 'eth' },
    ...facts,
  };
}

export function testInstead(amount: bigint, currency: Currency, network: Network): Deposit {
  return testDeposit({
    role: 'unmatched',
    amount,
    currency,
    network,
    decimals: 6,
    unmatchedReason: 'wrong_network',
  });
}

export function testProviderPayment(change: Partial<ProviderPayment> = {}): ProviderPayment {
  const { paymentNumber, merchantId, price, amountUsdCents, externalOrderId, customerEmail } = testPayment();
  const { locale, checkoutSession, replaces, replacedBy, requotes } = testPayment();
  return {
    id: 2,
    kind: 'provider',
    paymentNumber,
    merchantId,
    status: 'pending',
    reason: null,
    network: 'moncash' as Network,
    chain: 'MonCash',
    currency: 'htg' as Currency,
    decimals: 2,
    expectedAmount: 6_600_00n,
    price,
    amountUsdCents,
    externalOrderId,
    customerEmail,
    redirectUrl: 'https://shop.example/thanks',
    metadata: {},
    locale,
    checkoutSession,
    replaces,
    replacedBy,
    requotes,
    livemode: true,
    paymentToken: 'token-of-the-checkout',
    createdAt,
    expiresAt,
    confirmedAt: null,
    endedAt: null,
    acceptedAt: null,
    providerType: 'forhopp',
    mode: 'live',
    reference: 'ref',
    chargeId: null,
    chargeStatus: 'pending',
    statusText: 'pending',
    checkoutUrl: 'https://provider.example/pay/1',
    fee: null,
    net: null,
    refunded: 0n,
    disputed: false,
    capture: 'none',
    ...change,
  };
}

/** A page of each state. */
export function testPages(): Record<CheckoutState, Facts> {
  const after = { now: expiresAt + 60_000 };
  const whole = { amount: usdt(50), height: 115 };
  const ended = { endedAt: expiresAt + 30_000 };
  const provider = (change: Partial<ProviderPayment>): Facts => ({
    ...testFacts(),
    payment: { kind: 'provider', payment: testProviderPayment(change) },
  });
  const usdcOnEthereum = testInstead(25_000_000n, 'usdc', 'ethereum');
  return {
    waiting: testFacts(),
    seen: testFacts({}, [whole], { head: 115 }),
    confirming: testFacts({}, [whole]),
    partly_paid: testFacts({}, [{ amount: usdt(20), height: 115 }]),
    paid: testFacts({ status: 'confirmed', confirmedAt: inTime }, [{ ...whole, status: 'confirmed' }]),
    overpaid: testFacts({ status: 'confirmed', reason: 'overpaid', confirmedAt: inTime }, [
      { amount: usdt(55), height: 115, status: 'confirmed' },
    ]),
    closing: testFacts({}, [], after),
    expired: testFacts({ status: 'expired', ...ended }, [], after),
    late: testFacts({ status: 'expired', reason: 'late', ...ended }, [{ ...whole, role: 'late' }], after),
    underpaid: testFacts(
      { status: 'failed', reason: 'underpaid', ...ended },
      [{ amount: usdt(20), height: 115 }],
      after,
    ),
    wrong_asset: testFacts({}, [], { instead: [usdcOnEthereum] }),
    cancelled: testFacts({ status: 'cancelled', endedAt: inTime }),
    reverted: testFacts({ status: 'failed', reason: 'reorged', reopened: true }, []),
    provider: provider({}),
    declined: provider({ status: 'failed', reason: 'declined' }),
  };
}

export const testAssets = readAssets('', { sandbox: false });

export function testPage(facts: Facts, change: Partial<PaymentPage> = {}): PaymentPage {
  const settings: Pick<CheckoutConfig, 'paymentUris' | 'redirectSeconds' | 'embedOrigins'> = {
    paymentUris: true,
    redirectSeconds: null,
    embedOrigins: [],
  };
  const { network } = facts.payment.payment;
  return {
    view: viewPayment(facts),
    language: 'en',
    brand: testBrand,
    assets: testAssets,
    now: facts.now,
    url: 'https://pay.example.com/pay/token',
    chain: network === 'bsc' ? { family: 'evm', chainId: 56 } : null,
    explorerUrl: 'https://bscscan.com/tx/0x1',
    settings,
    offers: { requote: facts.payment.payment.status === 'expired', find: true, choicePath: null },
    ...change,
  };
}

/** A choice of two tokens on three chains, one of which cannot be had, and of a provider. */
export function testChoice(): Pick<ChoicePage, 'view' | 'choice'> {
  const { price, amountUsdCents } = testPayment();
  const method = (value: string, networkName: string, more: Partial<ChoiceMethod> = {}): ChoiceMethod => ({
    value,
    networkName,
    trouble: null,
    confirmedInSeconds: 9,
    feeClass: 'low',
    ...more,
  });
  const onEthereum = { confirmedInSeconds: 144, feeClass: 'high' } as const;
  const unknown = { confirmedInSeconds: null, feeClass: null };
  return {
    view: {
      session: {
        rowId: 1,
        id: 'cs_1',
        merchantId: 'mer_1',
        status: 'open',
        price,
        amountUsdCents,
        methods: [],
        externalOrderId: 'order-9837',
        customerEmail: '',
        redirectUrl: '',
        cancelUrl: 'https://shop.example/cart',
        metadata: {},
        locale: '',
        token: 'token',
        livemode: true,
        createdAt,
        expiresAt,
        endedAt: null,
      },
      payments: [],
    },
    choice: {
      tokens: [
        {
          token: tokenName('usdt' as Currency, 'usdt', ''),
          methods: [
            method('bsc/usdt', 'BNB Smart Chain (BEP20)'),
            method('ethereum/usdt', 'Ethereum (ERC20)', onEthereum),
            method('tron/usdt', 'TRON (TRC20)', { ...unknown, trouble: 'chain' }),
          ],
        },
        {
          token: tokenName('usdc' as Currency, 'usdc', ''),
          methods: [method('ethereum/usdc', 'Ethereum (ERC20)', onEthereum)],
        },
      ],
      others: [method('moncash/htg', 'MonCash · HTG', unknown)],
      chosen: null,
    },
  };
}
