import type { EventType } from '../core/events.ts';
import type { Endpoint } from '../storage/webhooks/endpoints.ts';

/**
 * The body of an event about an endpoint itself: the keys that every webhook has, empty, then the endpoint.
 * Without its URL's path, which may hold a key of the receiver's.
 */
export function endpointEventBody(
  event: EventType,
  endpoint: Pick<Endpoint, 'id' | 'url' | 'description' | 'disabledReason'>,
  at: number,
): string {
  return JSON.stringify({
    event,
    payment_id: null,
    external_order_id: '',
    amount: '0',
    currency: '',
    chain: '',
    tx_hash: '',
    confirmed_at: null,
    status: '',
    network: '',
    metadata: {},
    created_at: new Date(at).toISOString(),
    endpoint: {
      id: endpoint.id,
      host: new URL(endpoint.url).host,
      description: endpoint.description,
      disabled_reason: endpoint.disabledReason,
    },
  });
}
