import type { NodeLimits } from '../../core/node.ts';
import { createRpcClient, type RpcClient, type RpcClientOptions } from '../../nodes/json-rpc.ts';
import { createRangeControl, type RangeControl } from '../../nodes/log-range.ts';
import { createPrefetch, type Prefetch } from './prefetch.ts';

/** One node and what is known of its limits. */
export type EvmNode = {
  /** Its host name, which may be logged. */
  host: string;
  client: RpcClient;
  prefetch: Prefetch;
  range: RangeControl;
  /** Whether it takes a list of recipients in the filter. */
  recipientFilter: boolean;
  /** The height of what it showed to be final last. */
  finalized: number | null;
  forgetAhead(): void;
  latencyMs(): number | null;
  limits(): NodeLimits;
  close(): Promise<void>;
};

export function createEvmNode(options: RpcClientOptions): EvmNode {
  const { endpoint } = options;
  const client = createRpcClient(options);
  const node: EvmNode = {
    host: new URL(endpoint.url).host,
    client,
    prefetch: createPrefetch(client),
    range: createRangeControl(endpoint.maxLogRange),
    recipientFilter: true,
    finalized: null,
    forgetAhead: () => node.prefetch.forget(),
    latencyMs: client.latencyMs,
    limits: () => ({
      blocksPerQuery: node.range.width(),
      callsPerRequest: client.callsPerRequest(),
      recipientFilter: node.recipientFilter,
    }),
    close: client.close,
  };
  return node;
}
