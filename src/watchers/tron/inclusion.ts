import type { ChainConfig } from '../../config.ts';
import type { AddressKey } from '../../core/address.ts';
import type { Currency } from '../../core/assets.ts';
import { type BlockRef, noTransaction, type Transfer, type TxHash } from '../../core/chain.ts';
import { behind, contradiction } from '../../nodes/fault.ts';
import type { Inclusion, InclusionQuery, NodeHead, TxLocation } from '../source.ts';
import { readInfo } from './decode.ts';
import type { TronNode } from './node.ts';
import { fewAtOnce, infosAtOnce, readHeaderAt, readProven } from './read.ts';
import { isCall, transfersOf } from './transfers.ts';
import { isNothing, type ProvenBlock } from './validate.ts';

type Looks = Map<InclusionQuery, Inclusion>;

/**
 * The look at transfers before a confirmation, by one node: each block that holds one is read anew, as a whole, and must
 * prove itself like the first time. Where finality decides it is read from the state of the last solid block, and what lies
 * above what the node itself calls solid is not known yet: `walletsolidity` has been seen to show more than that. What a
 * tier lets depth alone decide is read from the state of the head.
 */
export async function lookAt(
  node: TronNode,
  heads: NodeHead,
  queries: readonly InclusionQuery[],
  chain: Pick<ChainConfig, 'finality' | 'network'>,
  signal: AbortSignal,
): Promise<Looks> {
  const looks: Looks = new Map();
  const viewOf = ({ byDepth }: InclusionQuery) =>
    chain.finality === 'finalized' && byDepth !== true ? 'walletsolidity' : 'wallet';
  const lookAtBlock = fewAtOnce(infosAtOnce, async (here: readonly InclusionQuery[]): Promise<void> => {
    const [first] = here;
    if (first === undefined) return;
    const { height } = first.block;
    const view = viewOf(first);
    const solid = heads.finalized?.height ?? -1;
    const early = view === 'walletsolidity' && height > solid;
    const proven = early ? null : await readProven(node, view, height, signal);
    const header = proven?.block ?? (await readHeaderAt(node, 'wallet', height, signal));
    const found = proven === null ? new Map<string, Transfer>() : transfersIn(proven, here, chain);
    for (const query of here) {
      if (header === null) looks.set(query, unknown(`the node has no block ${height}`));
      else if (header.hash !== query.block.hash) looks.set(query, { kind: 'absent' });
      else if (proven === null) looks.set(query, unknown(`block ${height} is not solid yet`));
      else looks.set(query, judge(query, proven, found, heads.latest));
    }
  });
  const blocks = Map.groupBy(queries, (query) => `${query.block.height} ${viewOf(query)}`);
  await Promise.all([...blocks.values()].map(lookAtBlock));
  return looks;
}

function transfersIn(
  proven: ProvenBlock,
  queries: readonly InclusionQuery[],
  { network }: Pick<ChainConfig, 'network'>,
): Map<string, Transfer> {
  const recipients = new Set(queries.map(({ recipient }) => recipient));
  const tokens = queries.flatMap(({ token }) => (token === 'native' ? [] : [token]));
  // Of which currency they are is known to whoever asks.
  const currencies = new Map<AddressKey, Currency>(tokens.map((token) => [token, 'usdt']));
  const transfers = transfersOf(proven, {
    network,
    currencies,
    watch: recipients,
    native: true,
    internal: true,
  });
  return new Map(transfers.map((transfer) => [placeOf(transfer), transfer]));
}

function judge(
  query: InclusionQuery,
  { block, infos }: ProvenBlock,
  found: ReadonlyMap<string, Transfer>,
  { height: head }: BlockRef,
): Inclusion {
  const { txHash } = query;
  const { height, hash, time } = block;
  const ref = { height, hash, time };
  // What a balance shows is true as long as its block stands.
  if (txHash === noTransaction) return { kind: 'included', block: ref, amount: query.amount, head };
  const transfer = found.get(placeOf(query));
  if (transfer !== undefined) return { kind: 'included', block: ref, amount: transfer.amount, head };
  const at = block.transactions.findIndex(({ txID }) => txID === txHash);
  const contract = block.transactions[at]?.contract ?? null;
  // What contracts pay is kept only by nodes that are told to.
  const silent = query.token === 'native' && infos[at]?.internals === null;
  if (silent && contract?.succeeded === true && isCall(contract))
    return unknown('the node stores no internal transactions');
  return { kind: 'absent' };
}

function placeOf({
  txHash,
  token,
  recipient,
  ordinal,
}: Pick<InclusionQuery, 'txHash' | 'token' | 'recipient' | 'ordinal'>): string {
  return [txHash, token, recipient, ordinal].join(' ');
}

function unknown(reason: string): Inclusion {
  return { kind: 'unknown', reason };
}

/**
 * Where a node's chain has a transaction. That it is known by its id says nothing, for a pending one is known as successful
 * too: only its info names a block.
 */
export async function locate(node: TronNode, txHash: TxHash, signal: AbortSignal): Promise<TxLocation> {
  const answer = await node.api.call('wallet', 'gettransactioninfobyid', { value: txHash }, signal);
  if (isNothing(answer)) {
    const known = await node.api.call('wallet', 'gettransactionbyid', { value: txHash }, signal);
    return { kind: isNothing(known) ? 'unknown' : 'pending' };
  }
  const info = readInfo(answer);
  if (info?.txHash !== txHash) throw contradiction('its info of the transaction is malformed');
  const block = await readHeaderAt(node, 'wallet', info.height, signal);
  if (block === null) throw behind(`it has no block ${info.height}, which it names`);
  const { height, hash } = block;
  const failed = info.failed || (info.receiptResult ?? 'SUCCESS') !== 'SUCCESS';
  return { kind: 'mined', block: { height, hash }, failed };
}
