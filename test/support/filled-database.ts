import { sql } from 'kysely';
import { inTransaction, isPostgres } from '../../src/storage/database.ts';
import type { Db, Trx } from '../../src/storage/schema.ts';

/** Rare among many: what a list filtered by them must not search all the others for. All of them old. */
const rare = { failed: 5, ethereum: 7, usdc: 9, late: 11, unmatched: 13, otherMerchant: 15 };

/** Payments that are written at once. */
const portion = 40_000;

/** As many payments as the last rows of it have, pending: the newest. */
const pendingPayments = 20;

/**
 * A shop that has been running for long, written by bulk SQL: `payments` of them, `everyMs` (a minute) apart up to `now`, each with
 * a checkout session, a deposit, two events, and a delivery of each with one attempt; every tenth in the native coin, with a balance mark.
 */
export async function fillDatabase(
  db: Db,
  {
    payments,
    now,
    everyMs = 60_000,
    addresses = 1_000,
  }: { payments: number; now: number; everyMs?: number; addresses?: number },
): Promise<void> {
  const n = payments;
  /** Stands for the rows of one portion: no statement may take as long as the program allows a query. */
  const rows = '/* rows */';
  const ofAddresses = '/* addresses */';
  const between = (first: number, last: number) =>
    `with recursive n(i) as (select ${first} union all select i + 1 from n where i < ${last})`;
  const hex = isPostgres(db)
    ? (of: string) => `lpad(to_hex(${of}), 40, '0')`
    : (of: string) => `printf('%040x', ${of})`;
  const at = `${now} - cast(${n} - i as bigint) * ${Math.round(everyMs)}`;
  const ended = `case when i > ${n - pendingPayments} then null else ${at} + 600000 end`;
  const merchant = `case when i = ${rare.otherMerchant} then 'mer_2' else 'mer_1' end`;
  const network = `case when i = ${rare.ethereum} then 'ethereum' else 'bsc' end`;
  const currency = `case when i = ${rare.usdc} then 'usdc' when i % 10 = 0 then 'native' else 'usdt' end`;
  const token = `case when i % 10 = 0 then 'native' else '55d398326f99059ff775485246999027b3197955' end`;
  const status = `case when i = ${rare.failed} then 'failed' when i > ${n - pendingPayments} then 'pending'
    when i % 3 = 0 then 'expired' when i % 100 = 1 then 'cancelled' else 'confirmed' end`;
  const height = `1000 + i`;
  const tip = 1000 + n;
  const seconds = Math.floor(now / 1000);
  const statements = [
    `insert into merchants (id, name, created_at) values ('mer_1', 'Shop', 0), ('mer_2', 'Other', 0)`,
    `insert into webhook_endpoints (id, merchant_id, url, events, secret, created_at)
      values ('we_1', 'mer_1', 'https://shop.example/', '["payment.confirmed"]', 'sealed', 0)`,
    `${ofAddresses} insert into addresses (merchant_id, network, address, address_key, source, created_at)
      select 'mer_1', 'bsc', ${hex('i')}, ${hex('i')}, 'static', 0 from n`,
    `${rows} insert into checkout_sessions (session_id, merchant_id, status, price_amount, price_currency, amount_usd_cents,
        methods, external_order_id, customer_email, redirect_url, cancel_url, metadata, locale, token, token_hash,
        created_at, expires_at, ended_at)
      select 'cs_' || i, ${merchant}, case when i = ${rare.failed} then 'cancelled' when i = ${rare.usdc} then 'expired'
        when i > ${n - pendingPayments} then 'open' else 'completed' end, 5000, 'USD', 5000, '[]', 'order-' || i, '', '', '',
        '{}', '', 'session-' || i, 'session-hash-' || i, ${at}, ${at} + 86400000, ${ended} from n`,
    `${rows} insert into payments (payment_number, merchant_id, kind, status, network, chain, currency, decimals,
        expected_amount, price_amount, price_currency, amount_usd_cents, external_order_id, customer_email,
        redirect_url, metadata, checkout_session, payment_token, token_hash, created_at, expires_at, ended_at,
        confirmed_at)
      select 'PAY-' || i, ${merchant}, 'onchain', ${status}, ${network}, ${network}, ${currency}, 18, '5000', 5000, 'USD', 5000,
        'order-' || i, 'jo@example.com', 'https://shop.example/thanks', '{}', 'cs_' || i, 'token-' || i, 'hash-' || i, ${at}, ${at} + 1800000,
        ${ended}, case when (${status}) = 'confirmed' then ${ended} end from n`,
    `${rows} insert into onchain_payments (payment_id, network, coin, token, usd_per_coin, required_amount, dust_amount, required_confirmations, tier_confirmations, tier_amount, counted_amount, told_amount, reopened, address_id,
        address, lock_height, lock_hash, lock_time, lock_chain_time, block_time_limit, released_at)
      select i, ${network}, 'usdt', ${token}, '1', '5000', '5', 15, case when i % 2 = 0 then 2 else null end, case when i % 2 = 0 then '5000' else null end,
        '5000', '0', 0, 1 + i % ${addresses}, ${hex(`1 + i % ${addresses}`)}, ${height}, '0xb', (${at}) / 1000,
        (${at}) / 1000, (${at}) / 1000 + 1800, ${ended} from n`,
    `update addresses set locked_by = id where id in (select address_id from onchain_payments where released_at is null)`,
    `${rows} insert into deposits (network, tx_hash, token, currency, decimals, recipient, ordinal, amount, height,
        block_hash, block_time, log_index, status, role, merchant_id, address_id, payment_id, seen_at)
      select ${network}, '0x' || ${hex('i')}, ${token}, ${currency}, 18, ${hex(`1 + i % ${addresses}`)}, 0, '5000', ${height} + 5,
        '0xb' || i, (${at}) / 1000 + 30, 1, case when i > ${n - pendingPayments} then 'seen' else 'confirmed' end,
        case when i = ${rare.late} then 'late' when i = ${rare.unmatched} then 'unmatched' else 'counted' end,
        ${merchant}, 1 + i % ${addresses}, i, ${at} + 35000 from n`,
    // What triggers would write, one row at a time.
    `${rows} insert into deposit_sums (payment_id, network, token, status, role, total, amount, latest_block_time)
      select payment_id, network, token, status, role, 1, cast(amount as numeric), block_time from n join deposits on deposits.id = i`,
    `insert into received_sums (day, merchant_id, network, currency, total, usd_cents)
      select confirmed_at / 86400000, merchant_id, network, currency, count(*), sum(amount_usd_cents)
      from payments where status = 'confirmed' and confirmed_at is not null group by 1, 2, 3, 4`,
    `${rows} insert into balance_marks (payment_id, network, height, block_hash, balance, compared_height)
      select i, 'bsc', ${height}, '0xb' || i, '0', case when i > ${n - pendingPayments} then null else ${height} + 9 end
      from n where i % 10 = 0`,
    `${rows} insert into events (id, merchant_id, type, payment_id, body, created_at)
      select 'evt_' || i, ${merchant}, 'payment.detected', i, '{"event":"payment.detected"}', ${at} + 40000 from n`,
    `${rows} insert into events (id, merchant_id, type, payment_id, body, created_at)
      select 'evt_b' || i, ${merchant}, 'payment.confirmed', i, '{"event":"payment.confirmed"}', ${at} + 50000 from n`,
    `${rows} insert into deliveries (endpoint_id, merchant_id, event_sequence, event_type, state, lane, attempts,
        first_attempt_at, next_attempt_at, created_at, finished_at)
      select 'we_1', 'mer_1', ${n} + i, 'payment.confirmed', case when i = ${rare.failed} then 'failed'
        when i > ${n - pendingPayments} then 'pending' else 'delivered' end, 'fresh', 1, ${at} + 50000, ${at} + 50000,
        ${at} + 50000, case when i > ${n - pendingPayments} then null else ${at} + 60000 end from n`,
    `${rows} insert into delivery_attempts (delivery_id, attempt, started_at, duration_ms, status)
      select i, 1, ${at} + 50000, 120, 200 from n where i <= ${n - pendingPayments}`,
    `${rows} insert into idempotency_keys (merchant_id, key, fingerprint, payment_id, created_at)
      select 'mer_1', 'key-' || i, 'print', i, ${at} from n`,
    `insert into chain_cursors (network, first_height, height, hash, time, head_height, head_hash, head_time, time_height, time_hash,
        time_block, time_shown_at, finalized_height, read_at)
      values ('bsc', 1, ${tip}, '0xb', ${seconds}, ${tip}, '0xb', ${seconds}, ${tip}, '0xb', ${seconds}, ${now}, ${tip - 100},
        ${now})`,
  ];
  await inTransaction(db, async (trx) => {
    if (isPostgres(db)) {
      // Checking each row against its parents, as for a stranger's, takes most of the time.
      for (const setting of ['session_replication_role = replica', 'statement_timeout = 0']) {
        await sql.raw(`set local ${setting}`).execute(trx);
      }
    }
    const triggers = isPostgres(db) ? [] : await dropTriggers(trx);
    for (const statement of statements) {
      const marker = [rows, ofAddresses].find((one) => statement.startsWith(one));
      const end = marker === undefined ? 1 : marker === rows ? n : addresses;
      for (let first = 1; first <= end; first += portion) {
        const last = Math.min(end, first + portion - 1);
        const text = marker === undefined ? statement : statement.replace(marker, between(first, last));
        await sql.raw(text).execute(trx);
      }
    }
    for (const trigger of triggers) await sql.raw(trigger).execute(trx);
  });
}

/** Answers what makes them again. */
async function dropTriggers(trx: Trx): Promise<string[]> {
  const triggers = await sql<{ name: string; sql: string }>`
    select name, sql from sqlite_schema where type = 'trigger' and sql is not null`.execute(trx);
  for (const { name } of triggers.rows) await sql`drop trigger ${sql.id(name)}`.execute(trx);
  return triggers.rows.map((row) => row.sql);
}
