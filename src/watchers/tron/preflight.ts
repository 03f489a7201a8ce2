import type { ChainConfig } from '../../config.ts';
import { type AddressKey, writeAddress } from '../../core/address.ts';
import { counted } from '../../core/plural.ts';
import { contradiction } from '../../nodes/fault.ts';
import { isRecord } from '../../nodes/json-rpc.ts';
import { isWord } from './decode.ts';
import type { TronNode } from './node.ts';
import { readHeaderAt } from './read.ts';

/**
 * The chain that a node belongs to: the last four bytes of its first block's id, which is what its JSON-RPC calls chain id.
 *
 * @throws NodeError when it does not say.
 */
export async function readChainId(node: TronNode, signal: AbortSignal): Promise<number> {
  const genesis = await readHeaderAt(node, 'wallet', 0, signal);
  if (genesis === null) throw contradiction('it has no first block');
  return Number.parseInt(genesis.hash.slice(-8), 16);
}

/**
 * Reads each token's decimals from its contract, and says of every token that is not as configured what is wrong.
 *
 * @throws NodeError when the node does not say.
 */
export async function findOtherTokens(
  node: TronNode,
  chain: ChainConfig,
  signal: AbortSignal,
): Promise<string[]> {
  const faults: string[] = [];
  for (const { token, currency, decimals } of chain.assets) {
    if (token === 'native') continue;
    const fault = judgeToken({ token, decimals }, await askDecimals(node, token, signal));
    if (fault !== null) faults.push(`chains.${chain.network}.tokens.${currency}: ${fault}`);
  }
  return faults;
}

/** Who calls does not matter: nothing is sent. */
const nobody = `41${'0'.repeat(40)}`;

function askDecimals({ api }: TronNode, token: AddressKey, signal: AbortSignal): Promise<unknown> {
  const call = { owner_address: nobody, contract_address: `41${token}`, function_selector: 'decimals()' };
  return api.call('wallet', 'triggerconstantcontract', call, signal);
}

/**
 * What is wrong with a token; null when its contract agrees with the configuration. A call that reverted says `result: true`
 * too, with a message beside it.
 */
export function judgeToken(
  { token, decimals }: { token: AddressKey; decimals: number },
  answer: unknown,
): string | null {
  const address = writeAddress('tron', token);
  const result = isRecord(answer) && isRecord(answer.result) ? answer.result : null;
  if (!isRecord(answer) || result === null) throw contradiction(`the decimals of ${address} are malformed`);
  const message = typeof result.message === 'string' ? Buffer.from(result.message, 'hex').toString() : '';
  if (result.code === 'CONTRACT_VALIDATE_ERROR' && /not exist/i.test(message))
    return `there is no contract at ${address}`;
  if (result.result !== true) throw contradiction(`the decimals of ${address} cannot be asked for`);
  const [word] = Array.isArray(answer.constant_result) ? (answer.constant_result as unknown[]) : [];
  if (message !== '' || word === '') return `the contract at ${address} has no decimals(); is it a token?`;
  if (!isWord(word)) throw contradiction(`the decimals of ${address} are malformed`);
  const actual = BigInt(`0x${word}`);
  return actual === BigInt(decimals)
    ? null
    : `the contract at ${address} has ${counted(actual, 'decimal')}, not ${decimals}`;
}
