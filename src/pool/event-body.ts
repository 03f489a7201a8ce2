import type { ChainConfig } from '../config.ts';
import type { EventType } from '../core/events.ts';
import type { PoolLoad } from '../storage/pool/counts.ts';
import type { Pool } from '../storage/pool/locks.ts';

/** The body of `pool.low` and `pool.exhausted`: the keys that every event has, then the pool. */
export function poolEventBody(
  event: Extract<EventType, 'pool.low' | 'pool.exhausted'>,
  { network, currency }: Pool,
  { total, held }: PoolLoad,
  chain: Pick<ChainConfig, 'name' | 'native'>,
  at: number,
): string {
  return JSON.stringify({
    event,
    payment_id: null,
    external_order_id: '',
    amount: null,
    currency: (currency === 'native' ? chain.native.coin : currency).toUpperCase(),
    chain: chain.name,
    tx_hash: '',
    confirmed_at: null,
    status: event === 'pool.low' ? 'low' : 'exhausted',
    network,
    metadata: {},
    created_at: `${new Date(at).toISOString().slice(0, 19)}Z`,
    pool: { network, currency, total, held, free: total - held },
  });
}
