import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Network } from '../core/networks.ts';
import { isOpen, type OnchainPayment, type OnchainView, type PaymentView } from '../core/payment.ts';
import { InvariantError } from '../errors.ts';
import { refusalOf } from '../payments/choose.ts';
import { requoteRefusal } from '../payments/requote.ts';
import { chainUnavailable, measureBlockSeconds, readChain } from '../storage/chains/chains.ts';
import { sessionById } from '../storage/checkout/sessions.ts';
import { type DatabaseTime, databaseTime } from '../storage/database.ts';
import { listInsteadOf } from '../storage/deposits/instead.ts';
import { listSumsOf } from '../storage/deposits/sums.ts';
import { findShownBrand } from '../storage/operators/brands.ts';
import type { Db } from '../storage/schema.ts';
import type { Brand } from './brand.ts';
import type { PageOffers } from './document.ts';
import type { ChainFacts, Facts } from './view.ts';

export type ReadDeps = { db: Db; config: Config; clock: Clock; timeOf?: DatabaseTime };

/** Reads what the page of a payment shows. */
export async function readFacts(deps: ReadDeps, payment: PaymentView): Promise<Facts> {
  const [facts] = await readFactsOf(deps, [payment]);
  if (facts === undefined) throw new InvariantError('a payment without its facts');
  return facts;
}

/** The same for many payments, in their order, with as many queries as for one. */
export async function readFactsOf(deps: ReadDeps, payments: readonly PaymentView[]): Promise<Facts[]> {
  const { db, config, clock } = deps;
  const onchain = payments.filter((view) => view.kind === 'onchain');
  const chains = await readChainFacts(
    deps,
    onchain.filter(({ payment }) => isOpen(payment)),
  );
  const unpaid = onchain.filter(gotNothing).map(({ payment }) => payment);
  const instead = await listInsteadOf(db, unpaid);
  const tookBack = await listTakenBack(db, unpaid);
  const coins = coinsOf(config);
  const now = clock();
  return payments.map((payment) => {
    const { id, network } = payment.payment;
    const isOpenOnchain = payment.kind === 'onchain' && isOpen(payment.payment);
    return {
      payment,
      now,
      chain: isOpenOnchain ? (chains.get(network) ?? null) : null,
      instead: instead.get(id) ?? [],
      tookBack: tookBack.has(id),
      coins,
    };
  });
}

function gotNothing({ payment, deposits }: OnchainView): boolean {
  return deposits.counted < payment.dustAmount;
}

/** Those that have expired after the chain took back what had come for them. */
async function listTakenBack(db: Db, unpaid: readonly OnchainPayment[]): Promise<ReadonlySet<number>> {
  const expired = unpaid.filter(({ status }) => status === 'expired');
  const sums = await listSumsOf(
    db,
    expired.map(({ id }) => id),
  );
  return new Set(sums.filter(({ status }) => status === 'orphaned').map(({ paymentId }) => paymentId));
}

/** How fast blocks come is measured where somebody waits for them. */
async function readChainFacts(
  { db, config, clock, timeOf = databaseTime }: ReadDeps,
  views: readonly OnchainView[],
): Promise<ReadonlyMap<Network, ChainFacts>> {
  const all = new Map<Network, ChainFacts>();
  for (const [network, own] of Map.groupBy(views, ({ payment }) => payment.network)) {
    const state = await readChain(db, network);
    if (state === null) continue;
    const isConfirming = !own.every(gotNothing);
    all.set(network, {
      available: chainUnavailable(state, await timeOf(db, clock)) === null,
      blockSeconds: isConfirming ? await measureBlockSeconds(db, network) : null,
      finalizedHeight: config.chains[network]?.finality === 'finalized' ? state.finalizedHeight : null,
    });
  }
  return all;
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
  const brand = await findShownBrand(db, merchantId);
  const { displayName: name, logoHash, accent, supportEmail, supportUrl } = brand;
  const logo = logoHash === null ? null : `${basePath}/pay/assets/logo-${logoHash}`;
  return { name, logo, accent, supportEmail, supportUrl };
}
