import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config.ts';
import { quarantineStart } from '../../core/pool.ts';
import { setRetired } from '../../pool/retire.ts';
import { presentAddress } from '../../present/pools.ts';
import { listAddresses } from '../../storage/pool/addresses.ts';
import { readQuarantine } from '../../storage/pool/holds.ts';
import type { Db } from '../../storage/schema.ts';
import { notFound } from '../http/errors.ts';
import { bodyErrors } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { addressSchema } from './addresses.ts';
import { merchantPath, requireMerchant, rowId } from './paths.ts';

const addressPath = merchantPath.extend({ address_id: z.string() });

/** Retires addresses and makes them active again. */
export function registerRetireRoutes(
  api: Api,
  { db, clock, config }: { db: Db; clock: Clock; config: Pick<Config, 'payments'> },
): void {
  api.route({
    method: 'POST',
    url: '/merchants/:merchant_id/addresses/:address_id/retire/',
    config: { access: 'merchant' },
    schema: {
      tags: ['Pool'],
      operationId: 'retireAddress',
      summary: 'Retire an address',
      description:
        'No further payment gets it; one that holds it goes on. It is watched for some time after its last use.',
      params: addressPath,
      body: z.strictObject({}).optional(),
      response: { ...bodyErrors, 200: addressSchema },
    },
    handler: async (request) => change(request, true),
  });

  api.route({
    method: 'POST',
    url: '/merchants/:merchant_id/addresses/:address_id/restore/',
    config: { access: 'merchant' },
    schema: {
      tags: ['Pool'],
      operationId: 'restoreAddress',
      summary: 'Make a retired address active again',
      params: addressPath,
      body: z.strictObject({}).optional(),
      response: { ...bodyErrors, 200: addressSchema },
    },
    handler: async (request) => change(request, false),
  });

  async function change(
    { params: path, actor }: { params: z.output<typeof addressPath>; actor: string },
    retired: boolean,
  ): Promise<z.output<typeof addressSchema>> {
    const { id: merchantId } = await requireMerchant(db, path.merchant_id);
    const addressId = rowId(path.address_id);
    const found = await setRetired({ db, clock }, { merchantId, addressId, retired, actor });
    if (!found) throw notFound();
    const [address] = await listAddresses(db, {
      merchantId,
      network: null,
      afterId: addressId - 1,
      limit: 1,
    });
    if (address === undefined) throw notFound();
    const now = clock();
    return presentAddress(address, await readQuarantine(db, quarantineStart(config.payments, now), now));
  }
}
