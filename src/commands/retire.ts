import { familyOf, parseAddress } from '../core/address.ts';
import { chainFamilies, type Network } from '../core/networks.ts';
import { CommandError } from '../errors.ts';
import { setRetired } from '../pool/retire.ts';
import { findRecipients } from '../storage/pool/recipients.ts';
import type { Db } from '../storage/schema.ts';
import { print, printJson } from './output.ts';
import { actor, atWork, type CommandOptions, requireMerchant } from './workplace.ts';

type ServiceOptions = CommandOptions & { merchant: string; network?: Network };
type Changed = { id: number; network: Network; address: string };

export async function addressRetire(addresses: readonly string[], options: ServiceOptions): Promise<void> {
  await change(addresses, options, true);
}

export async function addressRestore(addresses: readonly string[], options: ServiceOptions): Promise<void> {
  await change(addresses, options, false);
}

async function change(
  addresses: readonly string[],
  options: ServiceOptions,
  retired: boolean,
): Promise<void> {
  await atWork(options, async (workplace) => {
    const { id: merchantId } = await requireMerchant(workplace.db, options.merchant);
    // All are found before any is changed: a mistyped one changes nothing.
    const found: Changed[] = [];
    for (const address of addresses) found.push(...(await find(workplace.db, merchantId, address, options)));
    for (const { id } of found) {
      await setRetired(workplace, { merchantId, addressId: id, retired, actor });
    }
    if (options.json) return printJson({ data: found.map((one) => ({ ...one, active: !retired })) });
    for (const { network, address } of found) {
      print(`${address} on ${network} is ${retired ? 'retired' : 'active again'}`);
    }
  });
}

/** @throws CommandError when the merchant has no such address. */
async function find(
  db: Db,
  merchantId: string,
  text: string,
  { network }: ServiceOptions,
): Promise<Changed[]> {
  const found: Changed[] = [];
  for (const family of chainFamilies) {
    const parsed = parseAddress(family, text);
    if ('error' in parsed) continue;
    for (const recipient of await findRecipients(db, parsed.key)) {
      if (recipient.merchantId !== merchantId || familyOf(recipient.address) !== family) continue;
      if (network !== undefined && recipient.network !== network) continue;
      found.push({ id: recipient.id, network: recipient.network, address: recipient.address });
    }
  }
  if (found.length === 0) {
    const place = network === undefined ? '' : ` on ${network}`;
    throw new CommandError(`the merchant has no address ${JSON.stringify(text.slice(0, 60))}${place}`);
  }
  return found;
}
