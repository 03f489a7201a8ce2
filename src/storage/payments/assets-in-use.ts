import { sql } from 'kysely';
import type { Asset, Coin, Currency } from '../../core/assets.ts';
import type { Network } from '../../core/networks.ts';
import type { Db } from '../schema.ts';

type Token = Asset['token'];

/** What payments are in, as they say it themselves. */
export type PayableAsset = Omit<Asset, 'rate'>;

/** What payments were made in that are open, or ended a short while ago; `open`: how many are. */
export type AssetInUse = PayableAsset & { open: number };

/** Payments live for this long at most (`payments.lifetimeSeconds`), ms. */
const longestLifeMs = 30 * 24 * 60 * 60 * 1000;

/** So many payments are read in one statement: however many there are, none takes longer than a statement may. */
const atOnce = 20_000;

/** Of all networks, also those that are not configured. Reads as many payments as were made since: for the start. */
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

/** When the `nth` payment after a time was made, Unix ms; null where there are not so many. */
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

/** What payments of a network were made in after a time (Unix ms), whatever became of them. Reads as many as there are of them. */
export async function listAssetsMadeSince(db: Db, network: Network, after: number): Promise<PayableAsset[]> {
  const rows = await inUse(db)
    .where('payments.created_at', '>', after)
    .where('payments.network', '=', network)
    .execute();
  return rows.map(toAsset);
}

/** What an open payment of a network says of the token that it is in; null where none is in it. */
export async function findOpenAsset(db: Db, network: Network, token: Token): Promise<PayableAsset | null> {
  const row = await selectAssets(db)
    .where('onchain_payments.network', '=', network)
    .where('onchain_payments.token', '=', token)
    .where('onchain_payments.released_at', 'is', null)
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? null : toAsset(row);
}

/** Each token that open payments of a network are in. Costs as much as there are of these, however many payments are open. */
export async function listOpenTokens(db: Db, network: Network): Promise<Token[]> {
  // A database that is asked for distinct values reads all of them: so each is asked for after the one before.
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
