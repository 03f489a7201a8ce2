import { onTestFinished } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import type { ChainConfig, RpcEndpoint } from '../../src/config.ts';
import type { AddressKey } from '../../src/core/address.ts';
import type { Asset } from '../../src/core/assets.ts';
import type { BlockRef } from '../../src/core/chain.ts';
import type { Finality } from '../../src/core/networks.ts';
import type { Logger } from '../../src/log.ts';
import { createEvmSource } from '../../src/watchers/evm/source.ts';
import type { ChainSource, PollRequest, Span, Watchlist } from '../../src/watchers/source.ts';
import { knownTokens, testChain } from './config.ts';
import { silentLog } from './log.ts';

/** A clock that stands still until it is moved. */
export type TestClock = Clock & { advance(ms: number): void };

export function testClock(startMs = Date.UTC(2026, 10, 20)): TestClock {
  let now = startMs;
  return Object.assign(() => now, {
    advance: (ms: number) => {
      now += ms;
    },
  });
}

export function endpointOf(url: string, more: Partial<RpcEndpoint> = {}): RpcEndpoint {
  return {
    ...{
      url,
      headers: {},
      requestsPerSecond: null,
      requestsPerDay: null,
      maxLogRange: null,
      wsUrl: null,
      solidityUrl: null,
    },
    ...more,
  };
}

/** The issuers' tokens and the coin of a network. */
export function assetsOf(network: 'bsc' | 'ethereum'): Asset[] {
  const { native } = testChain(network);
  return [...knownTokens(network), { network, currency: 'native', token: 'native', ...native }];
}

export type TestChainOptions = {
  network?: 'bsc' | 'ethereum';
  chainId?: number;
  finality?: Finality;
  assets?: readonly Asset[];
};

export function chainConfig(rpc: readonly RpcEndpoint[], options: TestChainOptions = {}): ChainConfig {
  const { network = 'bsc', chainId = network === 'bsc' ? 56 : 1, finality = 'finalized' } = options;
  const { assets = assetsOf(network) } = options;
  return testChain(network, { rpc, chainId, requiredConfirmations: 15, finality, pollSeconds: 1, assets });
}

export type TestSourceOptions = TestChainOptions & { clock?: Clock; log?: Logger; timeoutMs?: number };

/** A source over these nodes (URLs or endpoints), closed when the test ends. */
export function evmSourceForTest(
  nodes: readonly (string | RpcEndpoint)[],
  options: TestSourceOptions = {},
): ChainSource {
  const { clock = testClock(), log = silentLog, timeoutMs = 5000 } = options;
  const rpc = nodes.map((node) => (typeof node === 'string' ? endpointOf(node) : node));
  const source = createEvmSource({ chain: chainConfig(rpc, options), clock, log, timeoutMs });
  onTestFinished(() => source.close());
  return source;
}

/** A watchlist of these addresses, in any spelling. */
export function watching(...addresses: readonly string[]): Watchlist {
  const keys = new Set(addresses.map(keyOf));
  return { has: (key) => keys.has(key), size: keys.size, keys: () => keys.values() };
}

export function keyOf(address: string): AddressKey {
  return address.replace(/^0x/, '').toLowerCase() as AddressKey;
}

/** A poll with nothing known beyond the cursor, unless given. */
export function pollOf(
  request: Partial<PollRequest> & { cursor: BlockRef; head: BlockRef; watch: Watchlist },
): PollRequest {
  return { finalizedHeight: null, native: false, signal: new AbortController().signal, ...request };
}

/** Polls as the watcher does, from the cursor until the head is read, and returns every span. */
export async function readToHead(
  source: ChainSource,
  cursor: BlockRef,
  watch: Watchlist,
  { native = false, mostPolls = 1000 }: { native?: boolean; mostPolls?: number } = {},
): Promise<Span[]> {
  const spans: Span[] = [];
  let state = { cursor, head: cursor, finalizedHeight: null as number | null };
  for (let polls = 0; polls < mostPolls; polls++) {
    const outcome = await source.poll(pollOf({ ...state, watch, native }));
    if (outcome.kind !== 'span') {
      throw new Error(
        `poll from ${state.cursor.height}: ${outcome.kind === 'failed' ? outcome.reason : outcome.kind}`,
      );
    }
    const { span } = outcome;
    spans.push(span);
    state = { cursor: span.to, head: span.head, finalizedHeight: span.finalizedHeight };
    if (polls > 0 && span.to.height === span.head.height) return spans;
  }
  throw new Error('the head was not reached');
}
