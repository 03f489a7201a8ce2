import Sqlite from 'better-sqlite3';

/** What was done after a backup was made, and is undone by it: names by which an operator does it again. */
export type Undone = {
  /** Keys that were revoked: their ids. */
  apiKeys: string[];
  /** Addresses that were retired. */
  addresses: string[];
  /** Derived pools that were removed, such as those of a wrong key: their ids. */
  derivedPools: string[];
  /** Endpoints that were removed: their ids. */
  endpoints: string[];
  /** Endpoints whose secret was changed: their ids. Their receivers do not know the old one any more. */
  rotated: string[];
  /** Users who were disabled, or have another password since: their names. */
  users: string[];
  /** Payments that were accepted as they are: their numbers. */
  accepted: string[];
  /** What was added, and is still of use: ids, and names of users; addresses, which lost payments may have, with their network. */
  addedMerchants: string[];
  addedApiKeys: string[];
  addedAddresses: string[];
  addedPools: string[];
  addedEndpoints: string[];
  addedUsers: string[];
};

/** Of each: the database that is there is `main`, the backup `old`. */
const queries: Record<keyof Undone, string> = {
  apiKeys: `select id from main.api_keys as now join old.api_keys as was using (id)
    where now.revoked_at is not null and was.revoked_at is null`,
  addresses: `select distinct now.address from main.addresses as now join old.addresses as was using (network, address_key)
    where now.active = 0 and was.active = 1`,
  derivedPools: `select cast(was.id as text) from main.derived_pools as now join old.derived_pools as was using (network, xpub)
    where now.removed_at is not null and was.removed_at is null`,
  endpoints: `select id from main.webhook_endpoints as now join old.webhook_endpoints as was using (id)
    where now.deleted_at is not null and was.deleted_at is null`,
  rotated: `select id from main.webhook_endpoints as now join old.webhook_endpoints as was using (id)
    where now.deleted_at is null and now.rotated_at is not was.rotated_at`,
  users: `select now.name from main.users as now join old.users as was using (id)
    where was.disabled_at is null and (now.disabled_at is not null or now.password is not was.password)`,
  accepted: `select payment_number from main.payments as now join old.payments as was using (payment_number)
    where now.accepted_at is not null and was.accepted_at is null`,
  addedMerchants: added('id', 'merchants', 'id', 'removed_at is null'),
  addedApiKeys: added('id', 'api_keys', 'id', 'revoked_at is null'),
  addedAddresses: added(
    `network || ' ' || address`,
    'addresses',
    'network, address_key',
    `source = 'static'`,
  ),
  addedPools: added('id', 'derived_pools', 'network, xpub', 'removed_at is null'),
  addedEndpoints: added('id', 'webhook_endpoints', 'id', 'deleted_at is null'),
  addedUsers: added('name', 'users', 'id', 'disabled_at is null'),
};

function added(shown: string, table: string, key: string, condition: string): string {
  return `select cast(${shown} as text) from main.${table}
    where ${condition} and (${key}) not in (select ${key} from old.${table})`;
}

/** Null where there is nothing to compare: no database is there, or a damaged one, or one without any of the backup's merchants. */
export function undoneBy(backup: string, databasePath: string): Undone | null {
  let present: Sqlite.Database | undefined;
  try {
    const opened = new Sqlite(databasePath, { readonly: true, fileMustExist: true });
    present = opened;
    opened.prepare('attach ? as old').run(backup);
    const shared = opened.prepare('select 1 from main.merchants join old.merchants using (id) limit 1');
    if (shared.get() === undefined) return null;
    const found = Object.entries(queries).map(([name, query]) => [name, opened.prepare(query).pluck().all()]);
    return Object.fromEntries(found) as Undone;
  } catch {
    return null;
  } finally {
    present?.close();
  }
}
