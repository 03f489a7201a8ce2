import { dirname, join, resolve } from 'node:path';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config.ts';
import { counted } from '../core/plural.ts';
import { CommandError, reasonOf } from '../errors.ts';
import { openSecrets } from '../notify/secrets.ts';
import { type Held, holdAddresses, holdMs } from '../pool/hold.ts';
import { backUp, merchantsIn, originOf, type RowCounts, verifyBackup } from '../storage/backup.ts';
import type { OwnFile } from '../storage/backup-target.ts';
import { inTransaction, openDatabase } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { endAllSessions } from '../storage/operators/user-sessions.ts';
import { restoreBackup, settleRestore } from '../storage/restore.ts';
import { openSqlite } from '../storage/sqlite.ts';
import { type Undone, undoneBy } from '../storage/undone.ts';
import { claimDaemon } from '../storage/webhooks/claim.ts';
import { print, printJson, say } from './output.ts';
import { heldLines, presentHeld } from './pool.ts';
import { actor, type CommandOptions } from './workplace.ts';

/** Copies the database into a file, beside a running daemon. */
export async function backup(file: string, options: CommandOptions): Promise<void> {
  const config = readConfig(options);
  const path = sqlitePathOf(config, postgresBackup);
  const counts = await backUp(path, file, ownFiles(config, options));
  await noteBackup(path, counts);
  tell(options, { file, tables: counts }, [`${file} is a backup, verified: ${summary(counts)}`]);
  if (options.json !== true && config.webhooks.secretKey === null) {
    say(
      `Keep ${join(config.dataFolder, 'depositd.key')} as well, apart from it: without it no webhook can be signed.`,
    );
  }
}

/** What a backup must not replace, besides the database. */
function ownFiles({ dataFolder }: Config, { config }: CommandOptions): OwnFile[] {
  return [
    { path: join(dataFolder, 'depositd.key'), what: 'the sealing key' },
    { path: config, what: 'the configuration' },
    { path: join(dirname(resolve(config)), '.env'), what: 'the file of secrets beside the configuration' },
  ];
}

/** For the alert when the next one does not come. The copy is good also where this cannot be written. */
async function noteBackup(path: string, counts: Record<string, number>): Promise<void> {
  const db = openSqlite(path);
  try {
    const detail = { payments: counts.payments ?? 0 };
    const entry = { at: systemClock(), actor, action: 'database.backed_up', subject: 'database', detail };
    await inTransaction(db, (trx) => recordAudit(trx, entry));
  } catch (error) {
    say(`the backup is not noted in the audit log: ${reasonOf(error)}`);
  } finally {
    await db.destroy();
  }
}

/** Puts a backup in the place of the database; with `check` only looks whether it could. */
export async function restore(file: string, options: CommandOptions & { check?: boolean }): Promise<void> {
  const config = readConfig(options);
  const path = sqlitePathOf(config, postgresRestore);
  const verified = verifyBackup(file);
  compareOrigin(file, config);
  compareMerchants(file, path);
  const undone = undoneBy(file, path);
  if (options.check === true) {
    const json = { file, tables: verified, undone: presentUndone(undone) };
    return tell(options, json, [`${file} can be restored: ${summary(verified)}`, ...undoneLines(undone)]);
  }
  const claim = await claimDaemon(config.database);
  try {
    const before = settleRestore(path);
    if (before !== null) say(interrupted[before]);
    const stamp = new Date(systemClock()).toISOString().replace(/[:.]/g, '-');
    const at = systemClock();
    const held = { until: at, lastAddressId: 0, derivedAhead: 0 };
    const { kept, counts } = await restoreBackup({
      file,
      databasePath: path,
      stamp,
      complete: async (draft, { payments = 0 }) => {
        Object.assign(held, await completeRestored(draft, config, { at, payments }));
      },
    });
    const lines = [`${path} is restored: ${summary(counts)}`];
    if (kept !== null) lines.push(`what was there before is ${kept}`);
    lines.push(...heldLines(held), ...undoneLines(undone));
    const json = {
      file,
      tables: counts,
      kept,
      held: presentHeld(held),
      undone: presentUndone(undone),
    };
    tell(options, json, lines);
  } finally {
    claim.release();
  }
}

/**
 * Payments that were made after the backup are unknown in it, and their customers have the addresses. Written before the copy has
 * the database's place: whenever the restore is killed, there is no restored database without it.
 */
async function completeRestored(
  draft: string,
  config: Config,
  { at, payments }: { at: number; payments: number },
): Promise<Held> {
  const db = await openDatabase(`sqlite:${draft}`);
  try {
    const entry = { at, actor, action: 'database.restored', subject: 'database', detail: { payments } };
    await inTransaction(db, async (trx) => {
      await recordAudit(trx, entry);
      await endAllSessions(trx);
    });
    const reason = 'a backup was restored';
    const until = at + (await holdMs(db, config.payments));
    return await holdAddresses(db, config.chains, { at, until, reason, actor });
  } finally {
    await db.destroy();
  }
}

const interrupted = {
  undone: 'A restore before this one was interrupted: it is undone.',
  finished: 'A restore before this one was interrupted after it had done its work.',
};

/**
 * A sandbox and a live service never stand in for each other. Another key may be one that was lost: then the rest is still worth
 * restoring.
 *
 * @throws CommandError where money that is worth something would be mixed with money that is not.
 */
function compareOrigin(file: string, { sandbox, dataFolder, webhooks }: Config): void {
  const { livemode, sealedSecret } = originOf(file);
  if (livemode !== null && livemode === sandbox) {
    const whose = livemode ? 'a live service' : 'a sandbox';
    throw new CommandError(`${file} cannot be restored: it is a backup of ${whose}, and this is none`);
  }
  if (sealedSecret === null) return;
  try {
    openSecrets({ dataFolder, secretKey: webhooks.secretKey }, sealedSecret);
  } catch (error) {
    say(`Is it a backup of another database? The daemon will not start on it: ${reasonOf(error)}`);
  }
}

/** The key may be the same for several databases. What is there may be damaged, or be none. */
function compareMerchants(file: string, path: string): void {
  const present = new Set(merchantsIn(path));
  const kept = merchantsIn(file);
  if (present.size > 0 && kept.length > 0 && !kept.some((id) => present.has(id)))
    say(`Is it a backup of another database? None of its merchants is in ${path}.`);
}

function presentUndone(undone: Undone | null) {
  if (undone === null) return null;
  const { apiKeys, addresses, derivedPools, endpoints, rotated, users, accepted } = undone;
  return {
    api_keys: apiKeys,
    addresses,
    derived_pools: derivedPools,
    webhook_endpoints: endpoints,
    webhook_secrets: rotated,
    users,
    payments: accepted,
    added: {
      merchants: undone.addedMerchants,
      api_keys: undone.addedApiKeys,
      addresses: undone.addedAddresses,
      derived_pools: undone.addedPools,
      webhook_endpoints: undone.addedEndpoints,
      users: undone.addedUsers,
    },
  };
}

/** What an operator should do again, and how. */
function undoneLines(undone: Undone | null): string[] {
  if (undone === null) return [];
  const lines = (
    [
      [undone.apiKeys, 'revoked API key', 'key revoke'],
      [undone.addresses, 'retired address', 'address retire'],
      [undone.derivedPools, 'removed derived pool', 'address pools remove'],
      [undone.endpoints, 'removed webhook endpoint', 'webhook remove'],
      [undone.rotated, 'changed webhook secret', 'webhook rotate'],
      [undone.users, 'changed user', 'user disable, user reset-password'],
      [undone.accepted, 'accepted payment', 'payment accept'],
      [undone.addedMerchants, 'added merchant', 'merchant add'],
      [undone.addedApiKeys, 'added API key', 'key add'],
      [undone.addedAddresses, 'added address', 'address add'],
      [undone.addedPools, 'added derived pool', 'address add --xpub'],
      [undone.addedEndpoints, 'added webhook endpoint', 'webhook add'],
      [undone.addedUsers, 'added user', 'user add'],
    ] as const
  )
    .filter(([names]) => names.length > 0)
    .map(
      ([names, noun, command]) => `  ${counted(names.length, noun)}: ${listed(names)} (depositd ${command})`,
    );
  if (lines.length === 0) return [];
  return [
    'what was done after the backup is undone; do it again, before the daemon starts where that can be:',
    ...lines,
  ];
}

const mostListed = 10;

function listed(names: readonly string[]): string {
  const more = names.length - mostListed;
  return names.slice(0, mostListed).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function readConfig({ config }: CommandOptions): Config {
  return loadConfig(config, process.env, { adminToken: 'unused' });
}

const postgresBackup =
  'the database is PostgreSQL, whose own tools make backups: pg_dump --format=custom --file=FILE, with the server and password in PGSERVICE and ~/.pgpass';
const postgresRestore =
  'the database is PostgreSQL, whose own tools restore it: stop every daemon, then pg_restore --clean --if-exists --dbname=NAME FILE, then depositd pool hold, then start the daemons';

function sqlitePathOf({ database }: Config, otherwise: string): string {
  if (!database.startsWith('sqlite:')) throw new CommandError(otherwise);
  return database.slice('sqlite:'.length);
}

const summarized = {
  merchants: 'merchant',
  addresses: 'address',
  payments: 'payment',
  deposits: 'deposit',
  events: 'event',
};

export function summary(counts: RowCounts): string {
  return Object.entries(summarized)
    .map(([table, noun]) => counted(counts[table] ?? 0, noun))
    .join(', ');
}

function tell(options: CommandOptions, json: object, lines: readonly string[]): void {
  if (options.json) printJson(json);
  else for (const line of lines) print(line);
}
