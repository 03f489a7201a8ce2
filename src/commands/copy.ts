import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fillArgument, loadConfig } from '../config/load.ts';
import { createScrubber, secretsOf } from '../config/scrub.ts';
import type { Config } from '../config.ts';
import { CommandError, DepositdError, reasonOf } from '../errors.ts';
import type { RowCounts } from '../storage/backup.ts';
import { copyToPostgres } from '../storage/copy.ts';
import { openDatabase } from '../storage/database.ts';
import { createDatabaseClock } from '../storage/database-clock.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { migrationLimits, openPostgres } from '../storage/postgres.ts';
import { claimDaemon } from '../storage/webhooks/claim.ts';
import { summary } from './backup.ts';
import { print, printJson, say } from './output.ts';
import { showProgress, tellProgress } from './progress.ts';
import { actor, type CommandOptions } from './workplace.ts';

/** Moves from SQLite to PostgreSQL: copies everything, compares both, and says what else it takes. */
export async function copy(options: CommandOptions & { to: string }): Promise<void> {
  const config = loadConfig(options.config, process.env, { adminToken: 'unused' });
  if (!config.database.startsWith('sqlite:')) {
    throw new CommandError(
      'the database is PostgreSQL already; its own tools copy it: pg_dump --format=custom, then pg_restore',
    );
  }
  if (!existsSync(pathOf(config))) throw new CommandError(`there is no database ${pathOf(config)} to copy`);
  const to = fillArgument(options.to, options.config);
  if (!/^postgres(ql)?:\/\//.test(to) || !URL.canParse(to)) {
    throw new CommandError('--to: expected postgres://user:password@host/name');
  }
  const claim = await claimDaemon(config.database);
  try {
    const counts = await copyTo(to, config);
    if (options.json) return printJson({ tables: counts });
    print(`copied, and compared with ${pathOf(config)}: ${summary(counts)}`);
    for (const line of whatElse(config)) say(line);
  } catch (error) {
    const clean = createScrubber([...secretsOf(config), to, new URL(to).password]);
    const reason = clean(reasonOf(error));
    if (error instanceof DepositdError)
      throw new CommandError(`nothing was copied: ${reason}`, { cause: error });
    throw new CommandError(`nothing was copied: the database failed: ${reason}`, { cause: error });
  } finally {
    claim.release();
  }
}

async function copyTo(to: string, config: Config): Promise<RowCounts> {
  // Both with the tables of this version.
  await (await openDatabase(config.database)).destroy();
  await (await openDatabase(to)).destroy();
  const target = openPostgres(to, migrationLimits);
  const progress = process.stderr.isTTY ? showProgress('copying') : tellProgress('copying', say);
  try {
    const { clock } = await createDatabaseClock(target);
    return await copyToPostgres(pathOf(config), target, {
      note: (trx, counts) =>
        recordAudit(trx, {
          at: clock(),
          actor,
          action: 'database.copied',
          subject: 'database',
          detail: { payments: counts.payments ?? 0, deposits: counts.deposits ?? 0 },
        }),
      progress: progress.update,
    });
  } finally {
    progress.end();
    await target.destroy();
  }
}

function pathOf({ database }: Config): string {
  return database.slice('sqlite:'.length);
}

function whatElse(config: Config): string[] {
  const key = join(config.dataFolder, 'depositd.key');
  return [
    config.webhooks.secretKey === null
      ? `Not in the database: ${key}, without which no webhook can be signed. Set webhooks.secretKey to its text, or put it beside the configuration.`
      : 'Not in the database: webhooks.secretKey, without which no webhook can be signed. Keep it in the configuration.',
    `Then set "database" to the new one and start the daemon. Never start one on ${pathOf(config)} again: it would take payments at the same addresses.`,
  ];
}
