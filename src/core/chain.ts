import type { AddressKey } from './address.ts';
import type { Currency } from './assets.ts';
import type { Network } from './networks.ts';

declare const txHashBrand: unique symbol;
declare const blockHashBrand: unique symbol;

/** Lower-case hex as the chain prints it (`0x…` on EVM chains). */
export type TxHash = string & { readonly [txHashBrand]: true };
export type BlockHash = string & { readonly [blockHashBrand]: true };

/**
 * The transaction of money that shows in a balance alone: no block read whole and no trace tells how it came. What
 * carries it is told apart by its ordinal, the id of the payment at whose end the balance was compared.
 */
export const noTransaction = '' as TxHash;

/** One block of one chain. `time` is the block's own timestamp in Unix seconds. */
export type BlockRef = { height: number; hash: BlockHash; time: number };

/** Whether both are one block. The time says nothing: it may be one node's word. */
export function sameBlock(a: Omit<BlockRef, 'time'>, b: Omit<BlockRef, 'time'>): boolean {
  return a.height === b.height && a.hash === b.hash;
}

/** Where a chain has been read to: every block up to and including it was proven complete. */
export type Cursor = BlockRef;

/**
 * Money that a chain shows arriving at an address.
 *
 * Its identity is (network, txHash, token, recipient, ordinal), where `ordinal` counts from 0 the
 * transfers of that token to that recipient within the transaction. Block and log index are attributes:
 * they change when the transaction is mined again elsewhere.
 */
export type Transfer = {
  network: Network;
  txHash: TxHash;
  /** Key of the token's contract, or `native`. */
  token: AddressKey | 'native';
  currency: Currency;
  recipient: AddressKey;
  ordinal: number;
  /** Base units; always positive. */
  amount: bigint;
  block: BlockRef;
  /** Position of the log within its block; null for the native coin. */
  logIndex: number | null;
};
