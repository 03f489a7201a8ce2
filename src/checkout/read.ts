import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Network } from '../core/networks.ts';
import { isOpen, type OnchainPayment, type OnchainView, type PaymentView } from '../core/payment.ts';
import { refusalOf } from '../payments/choose.ts';
import { requoteRefusal } from '../payments/requote.ts';
import { chainUnavailable, measureBlockSeconds, readChain } from '../storage/chains/chains.ts';
import { sessionById } from '../storage/checkout/sessions.ts';
import { type DatabaseTime, databaseTime } from '../storage/database.ts';
import { listInstead } from '../storage/deposits/instead.ts';
import { listSums } from '../storage/deposits/sums.ts';
import { findMerchantBrand } from '../storage/operators/brands.ts';
import { getMerchant } from '../storage/operators/merchants.ts';
import type { Db } from '../storage/schema.ts';
import type { Brand } from './brand.ts';
import type { PageOffers } from './document.ts';
import type { ChainFacts, Facts } from './view.ts';

export type ReadDeps = { db: Db; config: Config; clock: Clock; timeOf?: DatabaseTime };

/** Reads what the page of a payment shows. */
export async function readFacts(deps: ReadDeps, payment: PaymentView): Promise<Facts> {
  const facts: Facts = {
    payment,
    now: deps.clock(),
    chain: null,
    instead: [],
    tookBack: false,
    coins: coinsOf(deps.config),
  };
  if (payment.kind === 'provider') return facts;
  const own = payment.payment;
  const nothing = payment.deposits.counted < own.dustAmount;
  return {
    ...facts,
    chain: isOpen(own) ? await readChainFacts(deps, own, !nothing) : null,
    instead: nothing ? await listInstead(deps.db, own) : [],
    tookBack:
      own.status === 'expired' &&
      nothing &&
      (await listSums(deps.db, own.id)).some(({ status }) => status === 'orphaned'),
  };
}

/** How fast blocks come is measured where somebody waits for them. */
async function readChainFacts(
  deps: ReadDeps,
  { network }: OnchainPayment,
  isConfirming: boolean,
): Promise<ChainFacts | null> {
  const { db, config, clock, timeOf = databaseTime } = deps;
  const state = await readChain(db, network);
  if (state === null) return null;
  return {
    available: chainUnavailable(state, await timeOf(db, clock)) === null,
    blockSeconds: isConfirming ? await measureBlockSeconds(db, network) : null,
    finalizedHeight: config.chains[network]?.finality === 'finalized' ? state.finalizedHeight : null,
  };
}

function coinsOf(config: Config): Partial<Record<Network, string>> {
  return Object.fromEntries(
    Object.values(config.chains).map(({ network, native }) => [network, native.coin]),
  );
}

/** What a payer may do beside paying. */
export async function readOffers({ db, config, clock }: ReadDeps, view: PaymentView): Promise<PageOffers> {
  const { payment } = view;
  const basePath = new URL(config.publicUrl).pathname.replace(/\/$/, '');
  const session = payment.checkoutSession === null ? null : await sessionById(db, payment.checkoutSession);
  const isOver = session !== null && refusalOf(session, clock()) !== null;
  const isUnpaid =
    payment.kind === 'provider' ? payment.status !== 'confirmed' : isOpenOrExpired(view as OnchainView);
  return {
    requote:
      payment.kind === 'onchain' &&
      (payment.replacedBy !== null || (!isOver && requoteRefusal(payment, config.payments.requote) === null)),
    find: payment.kind === 'onchain' && payment.status !== 'confirmed',
    choicePath:
      session === null || isOver || !isUnpaid ? null : `${basePath}/checkout/${session.session.token}`,
  };
}

function isOpenOrExpired({ payment, deposits }: OnchainView): boolean {
  return payment.status !== 'confirmed' && deposits.received < payment.dustAmount;
}

/** `basePath` is where the service is reached, without a slash at its end. */
export async function readBrand(db: Db, merchantId: string, basePath: string): Promise<Brand> {
  const { displayName, logoHash, accent, supportEmail, supportUrl } = await findMerchantBrand(db, merchantId);
  const name = displayName === '' ? ((await getMerchant(db, merchantId))?.name ?? '') : displayName;
  const logo = logoHash === null ? null : `${basePath}/pay/assets/logo-${logoHash}`;
  return { name, logo, accent, supportEmail, supportUrl };
}
