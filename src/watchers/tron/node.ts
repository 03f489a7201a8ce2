import type { BlockHash } from '../../core/chain.ts';
import { createWalletApi, type WalletApi, type WalletApiOptions } from '../../nodes/wallet-api.ts';
import { type Ahead, createAhead } from './ahead.ts';
import { createSlots, type Slots } from './slots.ts';

/** One node and what is known of it. */
export type TronNode = {
  /** Its host name, which may be logged. */
  host: string;
  api: WalletApi;
  /** Most blocks asked for at once. */
  width: number;
  /** Blocks that were asked for before they were wanted. */
  ahead: Ahead;
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
export const mostBlocks = 10;

export function createTronNode(options: WalletApiOptions): TronNode {
  const api = createWalletApi(options);
  const node: TronNode = {
    host: new URL(options.endpoint.url).host,
    api,
    width: mostBlocks,
    ahead: createAhead(),
    slots: createSlots(),
    shown: null,
    solid: null,
    forgetAhead: () => node.ahead.forget(),
    latencyMs: api.latencyMs,
    limits: () => null,
    close: api.close,
  };
  return node;
}
