import type { Clock } from '../clock.ts';
import type { ChainConfig } from '../config.ts';
import type { Logger } from '../log.ts';
import { type Sleep, systemSleep } from '../loop.ts';
import { createEndpoints, type Endpoints, type EndpointsOptions } from '../nodes/failover.ts';
import type { Node } from '../nodes/health.ts';
import type { NodeMeter } from '../nodes/measurements.ts';
import type { UsageMeter } from '../nodes/usage.ts';
import type { WalletApiOptions } from '../nodes/wallet-api.ts';

/** What a source is opened with, of whatever family its chain is. */
export type SourceOptions = {
  chain: ChainConfig;
  clock: Clock;
  log: Logger;
  /** For tests: how long one request may take, ms. */
  timeoutMs?: number;
  sleep?: Sleep;
  /** Counts what the nodes are asked. */
  meter?: UsageMeter;
  /** Measures how they answer. */
  measure?: NodeMeter;
};

/** Opens the nodes of a chain, one for each of its URLs. `create` opens one. */
export function openNodes<N extends Node>(
  { chain, clock, log, timeoutMs, sleep = systemSleep, meter, measure }: SourceOptions,
  create: (options: WalletApiOptions) => N,
  identify: EndpointsOptions<N>['identify'],
): Endpoints<N> {
  const nodes = chain.rpc.map((endpoint) => {
    const { host } = new URL(endpoint.url);
    const node = create({
      endpoint,
      clock,
      sleep,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(meter === undefined ? {} : { count: meter.counterOf(host) }),
      ...(measure === undefined ? {} : { answered: (ms: number) => measure.answered(host, ms) }),
    });
    return { host, node };
  });
  const failed = measure === undefined ? {} : { failed: measure.failed };
  return createEndpoints({ nodes, identify, clock, log, ...failed });
}
