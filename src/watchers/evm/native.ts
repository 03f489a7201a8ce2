import type { AddressKey } from '../../core/address.ts';
import type { BlockRef, Transfer, TxHash } from '../../core/chain.ts';
import type { Network } from '../../core/networks.ts';
import { behind, contradiction } from '../../nodes/fault.ts';
import type { Watchlist } from '../source.ts';
import { namesWatched } from './calldata.ts';
import { type FullBlock, readReceipt, refOf } from './decode.ts';
import type { ContractCall } from './trace-decode.ts';

/*
 * The chain's own coin leaves no log: whole blocks are read, and a transaction's own target and value count. What
 * contracts pay onwards (a Safe, batch senders, exchanges) does not show there: calls whose input names a watched
 * address are found here, and tracer.ts asks what they did.
 */

/** Whole blocks read at once: a full one is some hundred kilobytes. */
export const mostFullBlocks = 20;

/** A transaction that pays a watched address, if it succeeded. */
export type NativePayment = { txHash: TxHash; recipient: AddressKey; amount: bigint; block: BlockRef };

export function matchPayments(
  blocks: readonly FullBlock[],
  watched: (key: AddressKey) => boolean,
): NativePayment[] {
  return blocks.flatMap((block) =>
    block.transactions.flatMap(({ hash, to, value }) =>
      to !== null && value > 0n && watched(to)
        ? [{ txHash: hash, recipient: to, amount: value, block: refOf(block) }]
        : [],
    ),
  );
}

/**
 * Calls in which a contract may have paid a watched address: their input names one. Not those of tokens that pay out
 * no coins, which are most of what names our addresses.
 */
export function findContractCalls(
  blocks: readonly FullBlock[],
  watch: Watchlist,
  tokens: { has(key: AddressKey): boolean },
): ContractCall[] {
  return blocks.flatMap((block) =>
    block.transactions.flatMap(({ hash, to, value, input, gas }) => {
      const tokenTransfer = to !== null && value === 0n && tokens.has(to);
      const may = !tokenTransfer && namesWatched(input, watch);
      return may ? [{ txHash: hash, to, value, gas, block: refOf(block) }] : [];
    }),
  );
}

/**
 * Whether the receipt says that the payment succeeded. A failed transaction stands in its block with its
 * value, and moves nothing.
 *
 * @throws NodeError `behind` when the node has no receipt yet, `contradiction` when it is of another block.
 */
export function judgePayment(receipt: unknown, payment: NativePayment): boolean {
  if (receipt === null)
    throw behind(`it has no receipt of a transaction in block ${payment.block.height} yet`);
  const read = readReceipt(receipt);
  if (read === null) throw contradiction('a receipt is malformed');
  if (read.txHash !== payment.txHash) throw contradiction('a receipt is of another transaction');
  if (read.blockHash !== payment.block.hash) throw contradiction('a receipt is of another block');
  return read.succeeded;
}

/** A transaction pays one address at most by its own value: the ordinal is 0. */
export function toNativeTransfer(network: Network, payment: NativePayment): Transfer {
  return { network, token: 'native', currency: 'native', ordinal: 0, logIndex: null, ...payment };
}
