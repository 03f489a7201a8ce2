import { sql } from 'kysely';
import type { Asset, Coin, Currency } from '../../core/assets.ts';
import type { Network } from '../../core/networks.ts';
import type { Db } from '../schema.ts';

type Token = Asset['token'];

/** The asset that a payment is in, as its own row says, whatever the configuration says now. */
export type PayableAsset = Omit<Asset, 'rate'>;

/** An asset of payments that are open, or ended a short while ago; `open`: how many are open. */
export type AssetInUse = PayableAsset & { open: number };

/** Payments live for this long at most (`payments.lifetimeSeconds`), ms. */
const longestLifeMs = 30 * 24 * 60 * 60 * 1000;

/** Payments read in one statement, so that none of them exceeds the time limit of statements. */
const atOnce = 20_000;

/**
 * The assets of every network, also of those that are not configured any more. For the start: it reads every payment that may have
 * ended after `endedAfter` (Unix ms).
 */
export async function listAssetsInUse(db: Db, endedAfter: number, limit = atOnce): Promise<AssetInUse[]> {
  const pending = await inUse(db).where('payments.status', '=', sql.lit('pending')).execute();
  const ended: typeof pending = [];
  for (let from: number | null = endedAfter - longestLifeMs; from !== null; ) {
    const upTo: number | null = await createdAtOf(db, { after: from, nth: limit });
    let query = inUse(db).where('payments.created_at', '>', from).where('payments.ended_at', '>', endedAfter);
    if (upTo !== null) query = query.where('payments.created_at', '<=', upTo);
    ended.push(...(await query.execute()));
    from = upTo;
  }
  const assets = new Map<string, AssetInUse>();
  for (const row of [...pending, ...ended]) {
    const key = `${row.network} ${row.currency} ${row.token} ${row.decimals}`;
    const asset = assets.get(key) ?? { ...toAsset(row), open: 0 };
    assets.set(key, asset);
    if (pending.includes(row)) asset.open += Number(row.payments);
  }
  return [...assets.values()];
}

/** When the `nth` payment created after a time was created, Unix ms; null where there are fewer. */
async function createdAtOf(db: Db, { after, nth }: { after: number; nth: number }): Promise<number | null> {
  const row = await db
    .selectFrom('payments')
    .select('created_at')
    .where('created_at', '>', after)
    .orderBy('created_at')
    .orderBy('id')
    .limit(1)
    .offset(nth - 1)
    .executeTakeFirst();
  return row?.created_at ?? null;
}

/** The assets of a network's payments created after a time (Unix ms), whatever became of them. Reads each of these payments. */
export async function listAssetsMadeSince(db: Db, network: Network, after: number): Promise<PayableAsset[]> {
  const rows = await inUse(db)
    .where('payments.created_at', '>', after)
    .where('payments.network', '=', network)
    .execute();
  return rows.map(toAsset);
}

/** The asset behind a token, as an open payment in it says; null where there is none. */
export async function findOpenAsset(db: Db, network: Network, token: Token): Promise<PayableAsset | null> {
  const row = await selectAssets(db)
    .where('onchain_payments.network', '=', network)
    .where('onchain_payments.token', '=', token)
    .where('onchain_payments.released_at', 'is', null)
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? null : toAsset(row);
}

/** The tokens of a network's open payments. The cost grows with the number of tokens, not with the number of payments. */
export async function listOpenTokens(db: Db, network: Network): Promise<Token[]> {
  // `select distinct` would read every open payment. This asks for the smallest token, then for the next one, and so on.
  const { rows } = await sql<{ token: string }>`
    with recursive tokens (token) as (
      select min(token) from onchain_payments where network = ${network} and released_at is null
      union all
      select (select min(token) from onchain_payments
        where network = ${network} and released_at is null and token > tokens.token)
      from tokens where tokens.token is not null
    )
    select token from tokens where token is not null`.execute(db);
  return rows.map(({ token }) => token as Token);
}

function selectAssets(db: Db) {
  return db
    .selectFrom('payments')
    .innerJoin('onchain_payments', 'onchain_payments.payment_id', 'payments.id')
    .select([
      'payments.network',
      'payments.currency',
      'payments.decimals',
      'onchain_payments.coin',
      'onchain_payments.token',
    ]);
}

function inUse(db: Db) {
  return selectAssets(db)
    .select((eb) => eb.fn.countAll<number>().as('payments'))
    .groupBy([
      'payments.network',
      'payments.currency',
      'payments.decimals',
      'onchain_payments.coin',
      'onchain_payments.token',
    ]);
}

function toAsset(
  row: Record<'network' | 'currency' | 'coin' | 'token', string> & { decimals: number },
): PayableAsset {
  return {
    network: row.network as Network,
    currency: row.currency as Currency,
    coin: row.coin as Coin,
    token: row.token as Token,
    decimals: row.decimals,
  };
}
