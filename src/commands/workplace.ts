import type { Clock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import { createScrubber, secretsOf } from '../config/scrub.ts';
import type { Config } from '../config.ts';
import { CommandError, DepositdError, reasonOf } from '../errors.ts';
import { openDatabase } from '../storage/database.ts';
import { createDatabaseClock } from '../storage/database-clock.ts';
import { getMerchant, type Merchant } from '../storage/operators/merchants.ts';
import type { Db } from '../storage/schema.ts';

/** What most commands work on: the configuration and its database, beside a running daemon or without one. */
export type Workplace = { config: Config; db: Db; clock: Clock };

/** What every command is told. */
export type CommandOptions = { config: string; json?: boolean; debug?: boolean };

/** Who changed something, for the audit log. */
export const actor = 'cli';

/** @throws CommandError whose message holds no secret of the configuration. */
export async function atWork<T>(
  options: CommandOptions,
  work: (workplace: Workplace) => Promise<T>,
): Promise<T> {
  const config = loadConfig(options.config, process.env, { adminToken: 'unused' });
  try {
    const db = await openDatabase(config.database);
    try {
      const { clock } = await createDatabaseClock(db);
      return await work({ config, db, clock });
    } finally {
      await db.destroy();
    }
  } catch (error) {
    if (error instanceof DepositdError) throw error;
    const clean = createScrubber(secretsOf(config));
    throw new CommandError(clean(`the database failed: ${reasonOf(error)}`), { cause: error });
  }
}

/** Also one that was removed. @throws CommandError when there is none. */
export async function requireMerchant(db: Db, id: string): Promise<Merchant> {
  const merchant = await getMerchant(db, id);
  if (merchant === null) {
    throw new CommandError(
      `there is no merchant ${JSON.stringify(id)}; "depositd merchant list" shows them all`,
    );
  }
  return merchant;
}

/** One to which something is added. @throws CommandError when there is none, or it was removed. */
export async function requireMerchantInUse(db: Db, id: string): Promise<Merchant> {
  const merchant = await requireMerchant(db, id);
  if (merchant.removedAt !== null) throw new CommandError(`the merchant ${id} was removed`);
  return merchant;
}
