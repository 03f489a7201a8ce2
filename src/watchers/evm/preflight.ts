import type { ChainConfig } from '../../config.ts';
import { type Address, writeAddress } from '../../core/address.ts';
import { counted } from '../../core/plural.ts';
import { contradiction, NodeError } from '../../nodes/fault.ts';
import type { RpcAnswer, RpcClient } from '../../nodes/json-rpc.ts';
import { getChainId, getCode, getDecimals } from './calls.ts';
import { isWord, readQuantity } from './decode.ts';

/**
 * The chain that a node belongs to.
 *
 * @throws NodeError when it does not say.
 */
export async function readChainId(client: RpcClient, signal: AbortSignal): Promise<number> {
  const [answer] = await client.send([getChainId], signal);
  const chainId = readQuantity(resultOf(answer));
  if (chainId === null) throw contradiction('its chain id is malformed');
  return chainId;
}

/**
 * Reads each token's decimals from its contract, and says of every token that is not as configured what is wrong.
 *
 * @throws NodeError when the node does not say.
 */
export async function findOtherTokens(
  client: RpcClient,
  chain: ChainConfig,
  signal: AbortSignal,
): Promise<string[]> {
  const tokens = chain.assets.flatMap(({ token, ...asset }) =>
    token === 'native' ? [] : [{ ...asset, token: writeAddress('evm', token) }],
  );
  const calls = tokens.flatMap(({ token }) => [getDecimals(token), getCode(token)]);
  const answers = await client.send(calls, signal);
  return tokens.flatMap((asset, i) => {
    const fault = judgeToken(asset, answers[2 * i], answers[2 * i + 1]);
    return fault === null ? [] : [`chains.${chain.network}.tokens.${asset.currency}: ${fault}`];
  });
}

/** What is wrong with a token; null when its contract agrees with the configuration. */
function judgeToken(
  { token, decimals }: { token: Address; decimals: number },
  decimalsAnswer: RpcAnswer | undefined,
  codeAnswer: RpcAnswer | undefined,
): string | null {
  const code = resultOf(codeAnswer);
  if (code === '0x') return `there is no contract at ${token}`;
  if (
    decimalsAnswer !== undefined &&
    'error' in decimalsAnswer &&
    decimalsAnswer.error.fault.kind === 'reverted'
  ) {
    return `the contract at ${token} has no decimals(); is it a token?`;
  }
  const result = resultOf(decimalsAnswer);
  if (result === '0x') return `the contract at ${token} has no decimals(); is it a token?`;
  // Tether says uint256, others uint8: one word either way.
  if (!isWord(result)) throw contradiction(`the decimals of ${token} are malformed`);
  const actual = BigInt(result);
  return actual === BigInt(decimals)
    ? null
    : `the contract at ${token} has ${counted(actual, 'decimal')}, not ${decimals}`;
}

/** @throws NodeError that the node gave instead. */
export function resultOf(answer: RpcAnswer | undefined): unknown {
  if (answer === undefined)
    throw new NodeError({ kind: 'unavailable', retryAfterMs: null }, 'a call was not answered');
  if ('error' in answer) throw answer.error;
  return answer.result;
}
