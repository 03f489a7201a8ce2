import { createHash } from 'node:crypto';
import { type ExpressionBuilder, sql } from 'kysely';
import type { Currency } from '../../core/assets.ts';
import type {
  CheckoutSession,
  Method,
  SessionPayment,
  SessionStatus,
  SessionView,
} from '../../core/checkout-session.ts';
import type { Network } from '../../core/networks.ts';
import { InvariantError } from '../../errors.ts';
import { isPostgres } from '../database.ts';
import type { Db, Schema, Trx } from '../schema.ts';
import { longSpan } from '../spans.ts';

const columns = [
  'id',
  'session_id',
  'merchant_id',
  'status',
  'price_amount',
  'price_currency',
  'amount_usd_cents',
  'methods',
  'external_order_id',
  'customer_email',
  'redirect_url',
  'cancel_url',
  'metadata',
  'locale',
  'token',
  'livemode',
  'created_at',
  'expires_at',
  'ended_at',
] as const;

type Row = Awaited<ReturnType<ReturnType<typeof selectSessions>['executeTakeFirstOrThrow']>>;

function selectSessions(db: Db) {
  return db.selectFrom('checkout_sessions').select(columns);
}

/** How a token is looked up: two that begin alike cannot be told apart by how long that takes. */
function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

export async function insertSession(
  trx: Trx,
  session: Omit<CheckoutSession, 'rowId'>,
): Promise<CheckoutSession> {
  const { id } = await trx
    .insertInto('checkout_sessions')
    .values({
      session_id: session.id,
      merchant_id: session.merchantId,
      status: session.status,
      price_amount: session.price.minorUnits,
      price_currency: session.price.currency,
      amount_usd_cents: session.amountUsdCents,
      methods: JSON.stringify(session.methods),
      external_order_id: session.externalOrderId,
      customer_email: session.customerEmail,
      redirect_url: session.redirectUrl,
      cancel_url: session.cancelUrl,
      metadata: JSON.stringify(session.metadata),
      locale: session.locale,
      token: session.token,
      token_hash: hashToken(session.token),
      livemode: Number(session.livemode),
      created_at: session.createdAt,
      expires_at: session.expiresAt,
      ended_at: session.endedAt,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return { ...session, rowId: id };
}

/** A merchant's session as it stands; null also when it is another merchant's. */
export async function findSession(db: Db, merchantId: string, id: string): Promise<SessionView | null> {
  const row = await selectSessions(db)
    .where('session_id', '=', id)
    .where('merchant_id', '=', merchantId)
    .executeTakeFirst();
  return row === undefined ? null : viewOf(db, toSession(row));
}

/** The session that a checkout link leads to; null when there is none. */
export async function findSessionByToken(db: Db, token: string): Promise<SessionView | null> {
  const row = await selectSessions(db).where('token_hash', '=', hashToken(token)).executeTakeFirst();
  return row === undefined ? null : viewOf(db, toSession(row));
}

/** @throws InvariantError when there is none: ids come from our own rows. */
export async function sessionById(db: Db, id: string): Promise<SessionView> {
  const row = await selectSessions(db).where('session_id', '=', id).executeTakeFirst();
  if (row === undefined) throw new InvariantError(`checkout session ${id} does not exist`);
  return viewOf(db, toSession(row));
}

/**
 * Reads a session and holds it until the transaction ends. Who holds payments too holds them first: that is the order in
 * which a confirmation needs them.
 */
export async function lockSession(trx: Trx, id: string): Promise<SessionView> {
  await lockSessions(trx, [id]);
  return sessionById(trx, id);
}

async function lockSessions(trx: Trx, ids: readonly string[]): Promise<void> {
  if (!isPostgres(trx) || ids.length === 0) return;
  await trx
    .selectFrom('checkout_sessions')
    .select('id')
    .where('session_id', 'in', ids)
    .orderBy('id')
    .forUpdate()
    .execute();
}

/** Holds the sessions of payments that are held already. */
export async function lockSessionsOf(trx: Trx, paymentIds: readonly number[]): Promise<void> {
  if (!isPostgres(trx) || paymentIds.length === 0) return;
  const rows = await trx
    .selectFrom('payments')
    .select('checkout_session')
    .where('id', 'in', paymentIds)
    .where('checkout_session', 'is not', null)
    .execute();
  const ids = rows.flatMap(({ checkout_session: id }) => id ?? []);
  await lockSessions(trx, [...new Set(ids)]);
}

/**
 * The guarded update: it ends a session only while it is in one of these states.
 *
 * @returns false when it was in another.
 */
export async function endSession(
  trx: Trx,
  id: string,
  { from, to, at }: { from: readonly SessionStatus[]; to: SessionStatus; at: number },
): Promise<boolean> {
  const result = await trx
    .updateTable('checkout_sessions')
    .set({ status: to, ended_at: at })
    .where('session_id', '=', id)
    .where('status', 'in', from)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/**
 * Sessions whose time is over at `now` (Unix ms) and in which nobody is paying, held until the transaction ends. One that
 * somebody else holds is left to the next look.
 */
export async function lockOverdueSessions(trx: Trx, now: number, limit: number): Promise<SessionView[]> {
  let query = selectSessions(trx)
    .where('status', '=', sql.lit('open'))
    .where('expires_at', '<=', now)
    .where((eb) => eb.not(eb.exists(openPayments(eb))))
    .orderBy('expires_at')
    .limit(limit);
  if (isPostgres(trx)) query = query.forUpdate().skipLocked();
  const rows = await query.execute();
  // A payment that was made while the rows were waited for is seen only by a second look.
  const views = await viewsOf(trx, rows.map(toSession));
  return views.filter(({ payments }) => payments.every(({ status }) => status !== 'pending'));
}

export type SessionFilter = {
  merchantId: string;
  status?: SessionStatus;
  externalOrderId?: string;
  /** Unix ms, exclusive. */
  createdAfter?: number;
  createdBefore?: number;
  limit: number;
  /** Only sessions that come after the one with this place: the last of the page before. */
  beforeId?: number;
  /** When they are looked at, Unix ms. */
  now: number;
};

/** Newest first. `nextId` continues where this page ended; null at the end. */
export async function listSessions(
  db: Db,
  filter: SessionFilter,
): Promise<{ views: SessionView[]; nextId: number | null }> {
  const { status, limit } = filter;
  const query = status === 'expired' ? expiredSessions(db, filter) : sessionsOfKind(db, filter, status);
  const rows = await query.execute();
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    views: await viewsOf(db, page.map(toSession)),
    nextId: rows.length > limit && last !== undefined ? last.id : null,
  };
}

/**
 * Those that are stored as expired and those that are about to be, each kind by its own index: asked for in one condition
 * they would be looked for among all of a merchant's sessions. In one statement: one may become the other meanwhile.
 */
function expiredSessions(db: Db, filter: SessionFilter) {
  const stored = sessionsOfKind(db, filter, 'expired').as('stored');
  const overdue = sessionsOfKind(db, filter, 'overdue').as('overdue');
  return db
    .selectFrom(stored)
    .selectAll()
    .unionAll(db.selectFrom(overdue).selectAll())
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(filter.limit + 1);
}

/** Of one status as it is stored, or open and over (`overdue`): one more than fit on a page. */
function sessionsOfKind(db: Db, filter: SessionFilter, kind: SessionStatus | 'overdue' | undefined) {
  const { now } = filter;
  let query = selectSessions(db)
    .where('merchant_id', '=', filter.merchantId)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(filter.limit + 1);
  if (kind !== undefined) query = query.where('status', '=', kind === 'overdue' ? 'open' : kind);
  if (kind === 'overdue' || kind === 'open') {
    query = query.where((eb) => {
      const overdue = eb.and([eb('expires_at', '<=', now), eb.not(eb.exists(openPayments(eb)))]);
      return kind === 'overdue' ? overdue : eb.not(overdue);
    });
  }
  if (filter.externalOrderId !== undefined) {
    query = query.where('external_order_id', '=', filter.externalOrderId);
  }
  if (filter.createdAfter !== undefined)
    query = query.where(longSpan(db, 'checkout_sessions.created_at', '>', filter.createdAfter));
  if (filter.createdBefore !== undefined)
    query = query.where(longSpan(db, 'checkout_sessions.created_at', '<', filter.createdBefore));
  if (filter.beforeId !== undefined) {
    const last = db
      .selectFrom('checkout_sessions as last')
      .select('last.created_at')
      .where('last.id', '=', filter.beforeId);
    query = query.where(
      sql<boolean>`(checkout_sessions.created_at, checkout_sessions.id) < (${last}, ${filter.beforeId})`,
    );
  }
  return query;
}

function openPayments(eb: ExpressionBuilder<Schema, 'checkout_sessions'>) {
  return eb
    .selectFrom('payments')
    .select('payments.id')
    .whereRef('payments.checkout_session', '=', 'checkout_sessions.session_id')
    .where('payments.status', '=', sql.lit('pending'));
}

async function viewOf(db: Db, session: CheckoutSession): Promise<SessionView> {
  const [view] = await viewsOf(db, [session]);
  if (view === undefined) throw new InvariantError('a checkout session without a view');
  return view;
}

async function viewsOf(db: Db, sessions: readonly CheckoutSession[]): Promise<SessionView[]> {
  if (sessions.length === 0) return [];
  const rows = await db
    .selectFrom('payments')
    .select([
      'id',
      'kind',
      'payment_number',
      'network',
      'currency',
      'status',
      'payment_token',
      'checkout_session',
    ])
    .where(
      'checkout_session',
      'in',
      sessions.map(({ id }) => id),
    )
    .orderBy('id')
    .execute();
  const bySession = Map.groupBy(rows, (row) => row.checkout_session);
  return sessions.map((session) => ({
    session,
    payments: (bySession.get(session.id) ?? []).map(
      (row): SessionPayment => ({
        id: row.id,
        kind: row.kind as SessionPayment['kind'],
        paymentNumber: row.payment_number,
        network: row.network as Network,
        currency: row.currency as Currency,
        status: row.status as SessionPayment['status'],
        paymentToken: row.payment_token,
      }),
    ),
  }));
}

function toSession(row: Row): CheckoutSession {
  return {
    rowId: row.id,
    id: row.session_id,
    merchantId: row.merchant_id,
    status: row.status as SessionStatus,
    price: { minorUnits: row.price_amount, currency: row.price_currency },
    amountUsdCents: row.amount_usd_cents,
    methods: JSON.parse(row.methods) as Method[],
    externalOrderId: row.external_order_id,
    customerEmail: row.customer_email,
    redirectUrl: row.redirect_url,
    cancelUrl: row.cancel_url,
    metadata: JSON.parse(row.metadata) as Record<string, unknown>,
    locale: row.locale,
    token: row.token,
    livemode: row.livemode === 1,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    endedAt: row.ended_at,
  };
}
