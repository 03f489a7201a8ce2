import { CommandError } from '../errors.ts';
import { presentKey } from '../present/merchants.ts';
import { inTransaction } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { addApiKey, listKeys, revokeKey } from '../storage/operators/merchants.ts';
import { print, printJson, printTable, say, shortTime } from './output.ts';
import { actor, atWork, type CommandOptions, requireMerchant } from './workplace.ts';

type MerchantOptions = CommandOptions & { merchant: string };

export async function keyAdd(options: MerchantOptions): Promise<void> {
  await atWork(options, async ({ db, clock }) => {
    const merchant = await requireMerchant(db, options.merchant);
    const at = clock();
    const { apiKey, secret } = await inTransaction(db, async (trx) => {
      const added = await addApiKey(trx, { merchantId: merchant.id, at });
      const detail = { key: added.apiKey.id, prefix: added.apiKey.prefix };
      await recordAudit(trx, { at, actor, action: 'key.added', subject: merchant.id, detail });
      return added;
    });
    if (options.json) return printJson({ ...presentKey(apiKey), api_key: secret });
    print(`key      ${apiKey.id}`);
    print(`API key  ${secret}`);
    say('Keep the key: it is not shown again.');
  });
}

export async function keyList(options: MerchantOptions): Promise<void> {
  await atWork(options, async ({ db }) => {
    const merchant = await requireMerchant(db, options.merchant);
    const keys = await listKeys(db, merchant.id);
    if (options.json) return printJson({ data: keys.map(presentKey) });
    printTable(
      ['ID', 'BEGINS WITH', 'ADDED', 'REVOKED'],
      keys.map(({ id, prefix, createdAt, revokedAt }) => [
        id,
        `${prefix}…`,
        shortTime(createdAt),
        revokedAt === null ? '' : shortTime(revokedAt),
      ]),
    );
  });
}

export async function keyRevoke(id: string, options: CommandOptions): Promise<void> {
  await atWork(options, async ({ db, clock }) => {
    const at = clock();
    const key = await inTransaction(db, async (trx) => {
      const revoked = await revokeKey(trx, { id, at });
      if (revoked === null) return null;
      const detail = { key: revoked.id, prefix: revoked.prefix };
      await recordAudit(trx, { at, actor, action: 'key.revoked', subject: revoked.merchantId, detail });
      return revoked;
    });
    if (key === null) {
      throw new CommandError(
        `there is no key with the id ${JSON.stringify(id)} that could be revoked; "depositd key list" shows a merchant's`,
      );
    }
    if (options.json) return printJson(presentKey(key));
    print(`revoked ${key.id} (${key.prefix}…): it is refused from now on`);
  });
}
