import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import { auditEndpoint, type EndpointVerb } from '../../notify/audit.ts';
import { inTransaction } from '../../storage/database.ts';
import type { Db, Trx } from '../../storage/schema.ts';
import { type Endpoint, getEndpoint } from '../../storage/webhooks/endpoints.ts';
import { type HttpError, notFound, serviceError } from '../http/errors.ts';
import { isId, merchantPath } from './paths.ts';

export const endpointPath = merchantPath.extend({ endpoint_id: z.string() });

/**
 * Does `work` on an endpoint of this merchant, in one transaction with its entry in the audit log.
 *
 * @throws HttpError 404 when the merchant has no such endpoint.
 */
export type EndpointChange = <T>(
  request: { params: z.output<typeof endpointPath>; actor: string },
  verb: EndpointVerb,
  work: (trx: Trx, endpoint: Endpoint, at: number) => Promise<{ result: T; detail: Record<string, unknown> }>,
) => Promise<T>;

export function createEndpointChange({ db, clock }: { db: Db; clock: Clock }): EndpointChange {
  return async ({ params: path, actor }, verb, work) => {
    if (!isId(path.endpoint_id)) throw notFound();
    const at = clock();
    return inTransaction(db, async (trx) => {
      const endpoint = await getEndpoint(trx, path.endpoint_id);
      if (endpoint === null || endpoint.merchantId !== path.merchant_id) throw notFound();
      const { result, detail } = await work(trx, endpoint, at);
      await auditEndpoint(trx, verb, endpoint, { at, actor }, detail);
      return result;
    });
  };
}

export function endpointDisabled(): HttpError {
  return serviceError(
    409,
    'endpoint_disabled',
    'The endpoint is disabled or removed: nothing can be sent to it.',
  );
}
