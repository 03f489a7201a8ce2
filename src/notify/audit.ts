import { recordAudit } from '../storage/operators/audit.ts';
import type { Trx } from '../storage/schema.ts';
import type { Endpoint } from '../storage/webhooks/endpoints.ts';

/** Who does something, and when (Unix ms). */
export type Act = { at: number; actor: string };

export type EndpointVerb =
  | 'added'
  | 'changed'
  | 'enabled'
  | 'disabled'
  | 'removed'
  | 'rotated'
  | 'rotation_finished'
  | 'tested';

/** Enters what an operator did with an endpoint. Without its secret, and of its URL the host alone: the rest can be one. */
export async function auditEndpoint(
  trx: Trx,
  verb: EndpointVerb,
  endpoint: Endpoint,
  { at, actor }: Act,
  more: Record<string, unknown> = {},
): Promise<void> {
  await recordAudit(trx, {
    at,
    actor,
    action: `webhook.${verb}`,
    subject: endpoint.id,
    detail: { merchant_id: endpoint.merchantId, host: new URL(endpoint.url).host, ...more },
  });
}
