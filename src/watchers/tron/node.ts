import type { BlockHash } from '../../core/chain.ts';
import { createRangeControl, type RangeControl } from '../../nodes/log-range.ts';
import { createWalletApi, type WalletApi, type WalletApiOptions } from '../../nodes/wallet-api.ts';
import { createPrefetch, type Prefetch } from './prefetch.ts';
import { createSlots, type Slots } from './slots.ts';

/** One node and what is known of it. */
export type TronNode = {
  /** Its host name, which may be logged. */
  host: string;
  api: WalletApi;
  /** How many blocks are asked for at once. */
  range: RangeControl;
  prefetch: Prefetch;
  slots: Slots;
  /** The last block that it was seen to have, and when (Unix ms). */
  shown: { hash: BlockHash; at: number } | null;
  /** The height of its solid block as it was told with this block as the last one read. */
  solid: { height: number; at: BlockHash } | null;
  forgetAhead(): void;
  latencyMs(): number | null;
  limits(): null;
  close(): Promise<void>;
};

/** `getblockbylimitnext` gives up to a hundred; ten of full size are some four megabytes. */
const mostBlocks = 10;

export function createTronNode(options: WalletApiOptions): TronNode {
  const api = createWalletApi(options);
  const node: TronNode = {
    host: new URL(options.endpoint.url).host,
    api,
    range: createRangeControl(mostBlocks),
    prefetch: createPrefetch(),
    slots: createSlots(),
    shown: null,
    solid: null,
    forgetAhead: () => node.prefetch.forget(),
    latencyMs: api.latencyMs,
    limits: () => null,
    close: api.close,
  };
  return node;
}
