import { labelFault } from '../core/labels.ts';
import { CommandError } from '../errors.ts';
import { namesakeWarning, registerMerchant, removeMerchant } from '../payments/merchants.ts';
import { presentMerchant } from '../present/merchants.ts';
import { listMerchants } from '../storage/operators/merchants.ts';
import { print, printJson, printTable, say, shortTime } from './output.ts';
import { actor, atWork, type CommandOptions, requireMerchantInUse } from './workplace.ts';

export async function merchantAdd(name: string, options: CommandOptions): Promise<void> {
  const fault = name.trim() === '' ? 'expected a name' : labelFault(name);
  if (fault !== null) throw new CommandError(`the merchant's name is not usable: ${fault}`);
  await atWork(options, async (workplace) => {
    const { merchant, secret, namesake } = await registerMerchant(workplace, { name, actor });
    if (namesake !== null) say(`warning: ${namesakeWarning(namesake)}`);
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
      ['ID', 'NAME', 'ADDED', 'REMOVED'],
      merchants.map(({ id, name, createdAt, removedAt }) => [
        id,
        name,
        shortTime(createdAt),
        removedAt === null ? '' : shortTime(removedAt),
      ]),
    );
  });
}

export async function merchantRemove(
  merchantId: string,
  options: CommandOptions & { force?: boolean },
): Promise<void> {
  await atWork(options, async (workplace) => {
    const { name } = await requireMerchantInUse(workplace.db, merchantId);
    const removal = await removeMerchant(workplace, { merchantId, force: options.force ?? false, actor });
    switch (removal.outcome) {
      case 'removed':
        if (options.json) return printJson(presentMerchant(removal.merchant));
        return print(`removed ${merchantId} (${name}): its keys are refused from now on`);
      case 'not_found':
        throw new CommandError(`the merchant ${merchantId} was removed`);
      case 'not_removable':
        throw new CommandError(`the merchant ${merchantId} (${name}) was not removed: ${removal.why}`);
      default:
        return removal satisfies never;
    }
  });
}
