import { type Clock, steadyClock } from '../clock.ts';
import type { ChainConfig, Config } from '../config.ts';
import type { Address } from '../core/address.ts';
import type { Asset } from '../core/assets.ts';
import { clockSkew, describeSkew, skewLimits } from '../core/chain-time.ts';
import type { Network } from '../core/networks.ts';
import { noDeposits, type OnchainPayment, type OnchainView } from '../core/payment.ts';
import { heldBackText } from '../core/pool.ts';
import { InvariantError } from '../errors.ts';
import { chooseAddress } from '../pool/choose.ts';
import { deriveAheadEveryMs } from '../pool/derive-ahead.ts';
import type { PoolHealth } from '../pool/health.ts';
import type { Rates } from '../rates/rates.ts';
import { chainUnavailable, readChain } from '../storage/chains/chains.ts';
import {
  type DatabaseTime,
  databaseTime,
  inTransaction,
  isPostgres,
  serializeByName,
} from '../storage/database.ts';
import { findIdempotencyKey, type RememberedKey } from '../storage/payments/idempotency.ts';
import { insertLockedPayment } from '../storage/payments/insert.ts';
import { findPaymentById } from '../storage/payments/payments.ts';
import { viewOf } from '../storage/payments/views.ts';
import { hasActiveAddress } from '../storage/pool/counts.ts';
import { isDerivingAhead } from '../storage/pool/derived-pools.ts';
import { findHoldOf } from '../storage/pool/holds.ts';
import { earliestExpiry, type Pool } from '../storage/pool/locks.ts';
import type { Db, Trx } from '../storage/schema.ts';
import type { LostCommits } from './lost-commits.ts';
import { type CreateRequest, lockUnder, newPayment, priceOf } from './new-payment.ts';
import { type PriceQuote, quotePrice } from './quote.ts';

/** What else belongs into the transaction that makes a payment. */
export type Within<R extends string = string> = {
  /** Comes before an address is chosen. Whatever but null ends it: then, as after any refusal, nothing is written. */
  admit: (trx: Trx, now: number) => Promise<R | null>;
  /** Instead of the choice from the pool; null when it cannot be had. */
  address?: (trx: Trx, now: number) => Promise<{ id: number; address: Address } | null>;
  /** Comes once the payment is written. */
  made?: (trx: Trx, payment: OnchainPayment) => Promise<void>;
};

export type CreateOutcome =
  | { outcome: 'created' | 'replayed'; view: OnchainView }
  | { outcome: 'idempotency_key_reused' }
  /** The merchant has no active address for this pair. */
  | { outcome: 'no_address' }
  /** `heldBack`: not by payments that are known, and why. */
  | { outcome: 'all_held'; retryAfterSeconds: number; heldBack?: string }
  | { outcome: 'rate_unavailable' }
  | { outcome: 'chain_unavailable'; reason: string }
  /** The database may have lost payments, and this is being found out. */
  | { outcome: 'database_unchecked'; reason: string }
  /** Our clock is so wrong that nothing it says about a payment can be shown to anybody. */
  | { outcome: 'clock_skew'; reason: string };

export type CreateDeps = {
  db: Db;
  config: Pick<Config, 'payments' | 'chains' | 'sandbox'>;
  rates: Rates;
  pools: PoolHealth;
  clock: Clock;
  /** For tests, whose time is their own. */
  timeOf?: DatabaseTime;
  /** Waits a while for the first reading of a chain since the start; whether there was one now. */
  untilRead?: (network: Network) => Promise<boolean>;
  /** Refuses payments while it is not known whether the database has lost some. */
  lostCommits?: Pick<LostCommits, 'committed' | 'refusal'>;
  /** Called once a payment is committed: its chain should be read at full pace. */
  wake: (network: Network) => void;
};

export type NotAdmitted<R extends string = string> = { outcome: 'not_admitted'; why: R };

export type PaymentCreator = {
  create(request: CreateRequest): Promise<CreateOutcome>;
  createWithin<R extends string>(
    request: CreateRequest,
    within: Within<R>,
  ): Promise<CreateOutcome | NotAdmitted<R>>;
};

/** Takes back what admitted a payment that was not made after all. */
class Refused<T> extends Error {
  readonly outcome: T;

  constructor(outcome: T) {
    super('refused');
    this.outcome = outcome;
  }
}

/** Quotes, locks one address and writes the payment, in one transaction with its idempotency key. */
export function createPayments(deps: CreateDeps): PaymentCreator {
  const { db, config, rates, pools, clock, wake, untilRead, lostCommits, timeOf = databaseTime } = deps;
  const steady = steadyClock(clock);

  async function create(request: CreateRequest): Promise<CreateOutcome> {
    const outcome = await createWithin<never>(request, { admit: async () => null });
    if (outcome.outcome === 'not_admitted') throw new InvariantError('whatever asks is admitted');
    return outcome;
  }

  async function createWithin<R extends string>(
    request: CreateRequest,
    within: Within<R>,
  ): Promise<CreateOutcome | NotAdmitted<R>> {
    const now = clock();
    const chain = config.chains[request.network];
    const asset = chain?.assets.find((candidate) => candidate.currency === request.currency);
    if (!chain?.enabled || asset === undefined) {
      // It may have been offered when the key was first used.
      const remembered = await findRemembered(db, request, now);
      return remembered === null ? { outcome: 'no_address' } : replay(db, request, remembered);
    }

    const { confirmationTiers } = chain;
    const policy = { ...config.payments, confirmationTiers };
    const quote = quotePrice(rates, asset, priceOf(request), policy);
    const terms = { chain, asset, quote };
    let outcome = await orNothing((trx) => createIn(trx, request, terms, within, now));
    // What has not been read yet, because the daemon has just come, is no reason to turn a customer away.
    if (outcome.outcome === 'chain_unavailable' && (await untilRead?.(request.network)) === true)
      outcome = await orNothing((trx) => createIn(trx, request, terms, within, clock()));
    const pool = poolOf(request);
    switch (outcome.outcome) {
      case 'created':
        lostCommits?.committed(outcome.view.payment);
        wake(request.network);
        pools.afterLock(pool);
        break;
      case 'all_held':
        pools.afterRefusal(pool);
        break;
    }
    return outcome;
  }

  /** Commits what makes a payment, and nothing of what does not. */
  async function orNothing<T extends { outcome: string }>(work: (trx: Trx) => Promise<T>): Promise<T> {
    try {
      return await inTransaction(db, async (trx) => {
        const outcome = await work(trx);
        if (outcome.outcome !== 'created') throw new Refused(outcome);
        return outcome;
      });
    } catch (error) {
      if (error instanceof Refused) return error.outcome as T;
      throw error;
    }
  }

  async function createIn<R extends string>(
    trx: Trx,
    request: CreateRequest,
    { chain, asset, quote }: { chain: ChainConfig; asset: Asset; quote: PriceQuote | null },
    { admit, address, made }: Within<R>,
    now: number,
  ): Promise<CreateOutcome | NotAdmitted<R>> {
    // Asked here, where the connection has begun: its server may be another one than before.
    const refusal = lostCommits?.refusal() ?? null;
    if (refusal !== null) return { outcome: 'database_unchecked', reason: refusal };
    if (request.idempotency !== null) {
      // Whoever else has this key in hand, in whatever process, is waited for.
      await serializeByName(trx, `idempotency ${request.merchantId} ${request.idempotency.key}`);
      const remembered = await findRemembered(trx, request, now);
      if (remembered !== null) return replay(trx, request, remembered);
    }
    const pool = poolOf(request);
    const state = await readChain(trx, request.network);
    const readNow = await timeOf(trx, clock);
    const unavailable = chainUnavailable(state, readNow);
    // Each of these is asked before an address is held: one held for nothing would look taken to everybody else.
    if (unavailable !== null) return refuse(trx, pool, { outcome: 'chain_unavailable', reason: unavailable });
    if (state === null || quote === null) return refuse(trx, pool, { outcome: 'rate_unavailable' });
    // The database's clock is the same for both.
    const steadyNow = isPostgres(trx) && timeOf === databaseTime ? readNow : await timeOf(trx, steady);
    const wrong = describeSkew(clockSkew(state.time, { now: steadyNow, clock: now }), skewLimits.refuseMs);
    if (wrong !== null) return refuse(trx, pool, { outcome: 'clock_skew', reason: wrong });
    const why = await admit(trx, now);
    if (why !== null) return { outcome: 'not_admitted', why };
    const free = await (address?.(trx, now) ??
      chooseAddress(trx, { ...pool, family: chain.family }, config.payments, now));
    if (free === null) return refuse(trx, pool, await allHeld(trx, pool, now));

    const written = {
      livemode: !config.sandbox,
      ...newPayment(request, asset, quote, now),
      ...lockUnder(state, steadyNow, now, config.payments.lifetimeSeconds),
      chain: chain.name,
      requiredConfirmations: chain.requiredConfirmations,
      addressId: free.id,
      address: free.address,
    };
    const payment = await insertLockedPayment(trx, written, request.idempotency);
    await made?.(trx, payment);
    return {
      outcome: 'created',
      // Nothing can have come to a payment that nobody knows of yet.
      view: {
        kind: 'onchain',
        payment,
        deposits: noDeposits,
        heads: { [payment.network]: state.head.height },
      },
    };
  }

  return { create, createWithin };
}

async function findRemembered(db: Db, request: CreateRequest, now: number): Promise<RememberedKey | null> {
  if (request.idempotency === null) return null;
  return findIdempotencyKey(db, request.merchantId, request.idempotency.key, now);
}

async function replay(db: Db, request: CreateRequest, remembered: RememberedKey): Promise<CreateOutcome> {
  if (remembered.fingerprint !== request.idempotency?.fingerprint || remembered.paymentId === undefined) {
    return { outcome: 'idempotency_key_reused' };
  }
  const payment = await findPaymentById(db, remembered.paymentId);
  return { outcome: 'replayed', view: await viewOf(db, payment) };
}

/** A merchant without any address is told that first: no other reason would ever pass. */
async function refuse(trx: Trx, pool: Pool, outcome: CreateOutcome): Promise<CreateOutcome> {
  return (await hasActiveAddress(trx, pool)) ? outcome : { outcome: 'no_address' };
}

async function allHeld(trx: Trx, pool: Pool, now: number): Promise<CreateOutcome> {
  if (await isDerivingAhead(trx, pool))
    return { outcome: 'all_held', retryAfterSeconds: deriveAheadEveryMs / 1000 };
  const hold = await findHoldOf(trx, pool, now);
  if (hold === null) return { outcome: 'all_held', retryAfterSeconds: await retryAfter(trx, pool, now) };
  const retryAfterSeconds = Math.ceil((hold.until - now) / 1000);
  return { outcome: 'all_held', retryAfterSeconds, heldBack: heldBackText(hold.until) };
}

/** Until the first holder's time is over, but not so long that new addresses would go unnoticed. */
async function retryAfter(trx: Trx, pool: Pool, now: number): Promise<number> {
  const expiry = await earliestExpiry(trx, pool);
  const seconds = expiry === null ? 60 : Math.ceil((expiry - now) / 1000);
  return Math.min(60, Math.max(1, seconds));
}

function poolOf(request: CreateRequest): Pool {
  return { merchantId: request.merchantId, network: request.network, currency: request.currency };
}
