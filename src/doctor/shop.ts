import type { Config } from '../config.ts';
import { reasonOf } from '../errors.ts';
import {
  listMerchantsWithoutAddresses,
  listMerchantsWithoutEndpoints,
} from '../storage/operators/incomplete-merchants.ts';
import type { Db } from '../storage/schema.ts';
import { findSealedSecret } from '../storage/webhooks/endpoints.ts';
import { type Finding, findingsOf } from './finding.ts';

/** Of more merchants in the same trouble only so many are named. */
const mostNamed = 5;

/** Throws where what was sealed cannot be opened with the key that the daemon will have. */
export type TryKey = (sealed: string) => unknown;

/** Whether merchants can be paid and hear of it, by what the database says. Of what is not wrong only the key is named. */
export async function checkShops(
  db: Db,
  { providers }: Pick<Config, 'providers'>,
  tryKey: TryKey,
): Promise<Finding[]> {
  const key = await checkKey(db, tryKey);
  const fiat = Object.keys(providers).length > 0;
  return [
    ...(key === null ? [] : [key]),
    ...(await withoutAddresses(db, fiat)),
    ...(await withoutEndpoints(db)),
  ];
}

/** Null where nothing is sealed yet: the daemon makes the key when it starts, and this changes nothing. */
async function checkKey(db: Db, tryKey: TryKey): Promise<Finding | null> {
  const sealed = await findSealedSecret(db);
  if (sealed === null) return null;
  const { well, danger } = findingsOf('sealing key', 'webhooks', {
    money: 'the daemon does not start: payments are neither made nor seen, and nobody is told',
    todo: 'bring it back from where it is kept; where it is lost, each endpoint needs a new secret',
  });
  try {
    tryKey(sealed);
    return well('it opens what the database holds');
  } catch (error) {
    return danger(reasonOf(error));
  }
}

/** Who takes fiat money alone needs none. */
async function withoutAddresses(db: Db, fiat: boolean): Promise<Finding[]> {
  const merchants = await listMerchantsWithoutAddresses(db, mostNamed);
  return merchants.flatMap(({ name, retired }) => {
    const { warning, danger } = findingsOf('addresses', name, {
      money: 'no payment to an address can be made',
      todo: 'add some (depositd address add, address import or pool add), or restore retired ones',
    });
    if (retired) return [danger('all are retired')];
    return fiat ? [] : [warning('there are none yet')];
  });
}

/** Who asks for the payments, or follows the events, needs none. */
async function withoutEndpoints(db: Db): Promise<Finding[]> {
  const merchants = await listMerchantsWithoutEndpoints(db, mostNamed);
  return merchants.map(({ name, off }) => {
    const { warning, danger } = findingsOf('webhooks', name, {
      money: 'the shop hears of no payment, unless it asks the API or follows the events',
      todo: off ? 'switch one on again (depositd webhook list)' : 'add one (depositd webhook add)',
    });
    return off ? danger('every endpoint is off') : warning('there is no endpoint yet');
  });
}
