import { labelFault } from '../core/labels.ts';
import { CommandError } from '../errors.ts';
import { presentMerchant } from '../present/merchants.ts';
import { inTransaction } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { addApiKey, addMerchant, listMerchants } from '../storage/operators/merchants.ts';
import { print, printJson, printTable, say, shortTime } from './output.ts';
import { actor, atWork, type CommandOptions } from './workplace.ts';

export async function merchantAdd(name: string, options: CommandOptions): Promise<void> {
  const fault = name.trim() === '' ? 'expected a name' : labelFault(name);
  if (fault !== null) throw new CommandError(`the merchant's name is not usable: ${fault}`);
  await atWork(options, async ({ db, clock }) => {
    const at = clock();
    const namesake = (await listMerchants(db)).find((one) => one.name === name);
    if (namesake !== undefined) {
      say(
        `warning: there is a merchant of this name already, ${namesake.id}; "depositd key add" gives it another key`,
      );
    }
    const { merchant, secret } = await inTransaction(db, async (trx) => {
      const merchant = await addMerchant(trx, { name, at });
      const { apiKey, secret } = await addApiKey(trx, { merchantId: merchant.id, at });
      const detail = { name, key: apiKey.id, prefix: apiKey.prefix };
      await recordAudit(trx, { at, actor, action: 'merchant.added', subject: merchant.id, detail });
      return { merchant, secret };
    });
    if (options.json) return printJson({ id: merchant.id, name: merchant.name, api_key: secret });
    print(`merchant  ${merchant.id}`);
    print(`API key   ${secret}`);
    say('Keep the key: it is not shown again.');
  });
}

export async function merchantList(options: CommandOptions): Promise<void> {
  await atWork(options, async ({ db }) => {
    const merchants = await listMerchants(db);
    if (options.json) return printJson({ data: merchants.map(presentMerchant) });
    printTable(
      ['ID', 'NAME', 'ADDED'],
      merchants.map(({ id, name, createdAt }) => [id, name, shortTime(createdAt)]),
    );
  });
}
