import { CommandError } from '../errors.ts';
import { issueKey, withdrawKey } from '../payments/merchants.ts';
import { presentKey } from '../present/merchants.ts';
import { listKeys } from '../storage/operators/merchants.ts';
import { print, printJson, printTable, say, shortTime } from './output.ts';
import { actor, atWork, type CommandOptions, requireMerchant, requireMerchantInUse } from './workplace.ts';

type MerchantOptions = CommandOptions & { merchant: string };

export async function keyAdd(options: MerchantOptions): Promise<void> {
  await atWork(options, async (workplace) => {
    const { id: merchantId } = await requireMerchantInUse(workplace.db, options.merchant);
    const { apiKey, secret } = await issueKey(workplace, { merchantId, actor });
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
  await atWork(options, async (workplace) => {
    const key = await withdrawKey(workplace, { id, actor });
    if (key === null) {
      throw new CommandError(
        `there is no key with the id ${JSON.stringify(id)} that could be revoked; "depositd key list" shows a merchant's`,
      );
    }
    if (options.json) return printJson(presentKey(key));
    print(`revoked ${key.id} (${key.prefix}…): it is refused from now on`);
  });
}
