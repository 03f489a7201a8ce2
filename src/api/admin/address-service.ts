import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import { setInService } from '../../pool/service.ts';
import { presentAddress } from '../../present/pools.ts';
import { listAddresses } from '../../storage/pool/addresses.ts';
import type { Db } from '../../storage/schema.ts';
import { notFound } from '../http/errors.ts';
import { bodyErrors } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { addressSchema } from './addresses.ts';
import { merchantPath, requireMerchant, rowId } from './paths.ts';

const addressPath = merchantPath.extend({ address_id: z.string() });

/** Takes addresses out of service and puts them back. */
export function registerAddressServiceRoutes(api: Api, { db, clock }: { db: Db; clock: Clock }): void {
  api.route({
    method: 'POST',
    url: '/merchants/:merchant_id/addresses/:address_id/retire/',
    schema: {
      tags: ['Pool'],
      operationId: 'retireAddress',
      summary: 'Take an address out of service',
      description:
        'No further payment gets it; one that holds it goes on. It is watched for some time after its last use.',
      params: addressPath,
      body: z.strictObject({}).optional(),
      response: { ...bodyErrors, 200: addressSchema },
    },
    handler: async (request) => change(request.params, false),
  });

  api.route({
    method: 'POST',
    url: '/merchants/:merchant_id/addresses/:address_id/restore/',
    schema: {
      tags: ['Pool'],
      operationId: 'restoreAddress',
      summary: 'Put an address back into service',
      params: addressPath,
      body: z.strictObject({}).optional(),
      response: { ...bodyErrors, 200: addressSchema },
    },
    handler: async (request) => change(request.params, true),
  });

  async function change(
    path: z.output<typeof addressPath>,
    inService: boolean,
  ): Promise<z.output<typeof addressSchema>> {
    const { id: merchantId } = await requireMerchant(db, path.merchant_id);
    const addressId = rowId(path.address_id);
    const found = await setInService({ db, clock }, { merchantId, addressId, inService, actor: 'admin' });
    if (!found) throw notFound();
    const [address] = await listAddresses(db, {
      merchantId,
      network: null,
      afterId: addressId - 1,
      limit: 1,
    });
    if (address === undefined) throw notFound();
    return presentAddress(address);
  }
}
