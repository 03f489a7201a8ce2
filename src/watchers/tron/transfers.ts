import type { AddressKey } from '../../core/address.ts';
import type { Transfer, TxHash } from '../../core/chain.ts';
import { readInt64 } from '../../core/lossless-json.ts';
import type { Network } from '../../core/networks.ts';
import { contradiction } from '../../nodes/fault.ts';
import { isRecord } from '../../nodes/json-rpc.ts';
import { withOrdinals } from '../evm/logs.ts';
import type { Tokens, Watchlist } from '../source.ts';
import {
  type Contract,
  type Info,
  isHex,
  isWord,
  type Log,
  readAddress,
  type Transaction,
} from './decode.ts';
import { txIdOf } from './hashes.ts';
import { onlyBytes, onlyVarint, readFields } from './protobuf.ts';
import type { ProvenBlock } from './validate.ts';

/** What is looked for in a block. */
export type Search = {
  network: Network;
  currencies: Tokens;
  watch: Pick<Watchlist, 'has' | 'hasAt'>;
  /** Whether transfers of the chain's own coin count, and those that contracts make. */
  native: boolean;
  internal: boolean;
};

type Match = Pick<Transfer, 'txHash' | 'token' | 'currency' | 'recipient' | 'amount' | 'logIndex'>;

/** Types of contracts that run code: for these a receipt must say that it went well. */
const callTypes = new Set(['TriggerSmartContract', 'CreateSmartContract']);

export function isCall({ type }: Contract): boolean {
  return callTypes.has(type);
}

/**
 * Everything that a block moves to watched addresses, in its order. Only what a transaction did that succeeded by the word
 * of its body and of its info: after a time-out a node may keep the logs of a transfer that never was.
 *
 * @throws NodeError where a match is not in what the transaction's owner signed.
 */
export function transfersOf({ block, infos, payees }: ProvenBlock, search: Search): Transfer[] {
  if (!paysAny(payees, search.watch)) return [];
  const matches: Match[] = [];
  let logs = 0;
  for (const [i, transaction] of block.transactions.entries()) {
    const info = infos[i];
    const { contract } = transaction;
    if (info === undefined || contract === null || !succeeded(contract, info)) continue;
    const before = matches.length;
    if (contract.transfer !== null) matchTransfer(transaction, contract.transfer, search, matches);
    else if (isCall(contract)) matchCall(info, search, logs, matches);
    logs += info.logs.length;
    if (matches.length > before) requireSigned(transaction);
  }
  const { height, hash, time } = block;
  return withOrdinals(matches).map((match) => ({
    ...match,
    network: search.network,
    block: { height, hash, time },
  }));
}

function paysAny(payees: Uint8Array, watch: Search['watch']): boolean {
  if (watch.hasAt === undefined) return true;
  for (let at = 0; at < payees.length; at += 20) if (watch.hasAt(payees, at)) return true;
  return false;
}

/** Three marks, of which each alone has been seen to be wrong or missing. */
function succeeded(contract: Contract, { receiptResult, failed }: Info): boolean {
  if (!contract.succeeded || failed) return false;
  return isCall(contract) ? receiptResult === 'SUCCESS' : (receiptResult ?? 'SUCCESS') === 'SUCCESS';
}

/** A plain transfer of TRX, as its owner signed it. */
function matchTransfer(
  { txID, rawHex }: Transaction,
  { recipient, amount }: NonNullable<Contract['transfer']>,
  { watch, native }: Search,
  matches: Match[],
): void {
  if (!native || recipient === null || !watch.has(recipient)) return;
  const signed = signedTransfer(rawHex);
  if (signed?.recipient !== recipient || signed.amount !== amount)
    throw contradiction(`transaction ${txID} is not what its owner signed`);
  if (amount !== null && amount > 0n) matches.push(coin(txID, recipient, amount));
}

function matchCall(info: Info, search: Search, firstLog: number, matches: Match[]): void {
  for (const [i, log] of info.logs.entries()) {
    const match = matchLog(log, info.txHash, search, firstLog + i);
    if (match !== null) matches.push(match);
  }
  if (search.native && search.internal) matches.push(...matchInternals(info, search));
}

/** `raw_data`: contract (11) { type (1) 1, parameter (2) { value (2): TransferContract { to (2), amount (3) } } }. */
function signedTransfer(rawHex: unknown): { recipient: AddressKey | null; amount: bigint | null } | null {
  const raw = isHex(rawHex) ? readFields(Buffer.from(rawHex, 'hex')) : null;
  const contract = within(raw, 11);
  if (contract === null || onlyVarint(contract, 1) !== 1n) return null;
  const transfer = within(within(contract, 2), 2);
  const to = transfer === null ? null : onlyBytes(transfer, 2);
  if (transfer === null || to === null) return null;
  return { recipient: readAddress(Buffer.from(to).toString('hex')), amount: onlyVarint(transfer, 3) };
}

function within(fields: ReturnType<typeof readFields>, number: number): ReturnType<typeof readFields> {
  const bytes = fields === null ? null : onlyBytes(fields, number);
  return bytes === null ? null : readFields(bytes);
}

/** A TRC-20 `Transfer` of 32 bytes of data. */
function matchLog(
  { address, recipient, data }: Log,
  txHash: TxHash,
  { currencies, watch }: Search,
  logIndex: number,
): Match | null {
  const token = address as AddressKey;
  const currency = recipient === null ? undefined : currencies.get(token);
  if (recipient === null || currency === undefined || !watch.has(recipient) || !isWord(data)) return null;
  const amount = BigInt(`0x${data}`);
  return amount === 0n ? null : { txHash, token, currency, recipient, amount, logIndex };
}

/** What a contract does when it pays: a call, a creation, or its end. Freezing and voting carry values too, and pay nobody. */
const payingNotes = new Set(['call', 'create', 'suicide'].map((note) => Buffer.from(note).toString('hex')));

function matchInternals({ txHash, internals }: Info, { watch }: Search): Match[] {
  return (internals ?? []).flatMap((value): Match[] => {
    if (!isRecord(value) || !payingNotes.has(value.note as string)) return [];
    if (value.rejected !== undefined && value.rejected !== false) return [];
    const recipient = readAddress(value.transferTo_address);
    if (recipient === null || !watch.has(recipient) || !Array.isArray(value.callValueInfo)) return [];
    return (value.callValueInfo as unknown[]).flatMap((info): Match[] => {
      // With a token's id the value is of a TRC-10 token.
      if (!isRecord(info) || info.tokenId !== undefined) return [];
      const amount = readInt64(info.callValue ?? 0);
      return amount === null || amount <= 0n ? [] : [coin(txHash, recipient, amount)];
    });
  });
}

function coin(txHash: TxHash, recipient: AddressKey, amount: bigint): Match {
  return { txHash, token: 'native', currency: 'native', recipient, amount, logIndex: null };
}

function requireSigned({ txID, rawHex }: Transaction): void {
  if (!isHex(rawHex) || txIdOf(rawHex) !== txID)
    throw contradiction(`transaction ${txID} is not what its owner signed`);
}
