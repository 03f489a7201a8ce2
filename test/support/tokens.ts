import { encodeAbiParameters, encodeFunctionData, type Hex, keccak256, pad, parseAbi } from 'viem';
import { knownChains } from '../../src/core/chains/known.ts';
import type { KnownNetwork } from '../../src/core/networks.ts';
import { mintCall, placeToken, type TokenCall, transferCall } from '../../src/demo/token.ts';
import type { TestAnvil } from './anvil.ts';
import { readRealData } from './real-data.ts';

/** What the demo's token knows, more than the demo asks of it. */
export const tokenAbi = parseAbi([
  'constructor(uint8 decimals)',
  'function decimals() view returns (uint8)',
  'function balanceOf(address owner) view returns (uint256)',
  'function mint(address to, uint256 value)',
  'function approve(address spender, uint256 value) returns (bool)',
  'function transfer(address to, uint256 value) returns (bool)',
  'function transferFrom(address from, address to, uint256 value) returns (bool)',
  'function batch(address[] to, uint256[] values)',
  'event Transfer(address indexed from, address indexed to, uint256 value)',
]);

export type TestTokens = { usdt: string; usdc: string; busd: string };

/** What the first account holds of every token placed here. */
const supply = 10n ** 40n;

/**
 * Puts a token with the issuer's decimals at each issuer's address and makes the first account rich in it.
 * Takes one block, so that no reorg of later blocks undoes it.
 */
export async function placeTokens(anvil: TestAnvil, network: 'bsc' | 'ethereum'): Promise<TestTokens> {
  const { usdt, usdc, busd } = knownChains[network as KnownNetwork].tokens;
  if (usdt === undefined || usdc === undefined || busd === undefined)
    throw new Error(`no tokens on ${network}`);
  for (const { address, decimals } of [usdt, usdc, busd]) {
    await placeToken(anvil, address, decimals);
    await anvil.send(mintCall(address, anvil.accounts[0] as string, supply));
  }
  await anvil.mine();
  return { usdt: usdt.address, usdc: usdc.address, busd: busd.address };
}

/** A token that nobody configured, with the same code and decimals as an issuer's. Takes one block. */
export async function placeLookAlike(anvil: TestAnvil, decimals: number): Promise<string> {
  const address = '0xdac17f958d2ee523a2206206994597c13d831ec8';
  await placeToken(anvil, address, decimals);
  await anvil.send(mintCall(address, anvil.accounts[0] as string, supply));
  await anvil.mine();
  return address;
}

/** The first account pays; 0 is allowed, as spammers know. Returns the transaction's hash. */
export function transferToken(anvil: TestAnvil, token: string, to: string, amount: bigint): Promise<string> {
  return anvil.send(transferCall(token, to, amount));
}

/** The second account moves what the first allowed it to: the transaction's sender is not the payer. */
export async function transferTokenFrom(
  anvil: TestAnvil,
  token: string,
  to: string,
  amount: bigint,
): Promise<string> {
  const [owner, spender] = anvil.accounts as [string, string];
  const approve = { functionName: 'approve', args: [spender as Hex, amount] } as const;
  await anvil.send({ to: token, data: encodeFunctionData({ abi: tokenAbi, ...approve }) });
  const transfer = { functionName: 'transferFrom', args: [owner as Hex, to as Hex, amount] } as const;
  return anvil.send({ from: spender, to: token, data: encodeFunctionData({ abi: tokenAbi, ...transfer }) });
}

export function batchCall(token: string, transfers: readonly { to: string; amount: bigint }[]): TokenCall {
  const args = [transfers.map(({ to }) => to as Hex), transfers.map(({ amount }) => amount)] as const;
  return { to: token, data: encodeFunctionData({ abi: tokenAbi, functionName: 'batch', args }) };
}

/** Several transfers in one transaction. */
export function batchTokens(
  anvil: TestAnvil,
  token: string,
  transfers: readonly { to: string; amount: bigint }[],
): Promise<string> {
  return anvil.send(batchCall(token, transfers));
}

/** Installs a recorded mainnet contract (a file of real-data/contracts); only within `describeRealData`. */
export async function placeRealContract(anvil: TestAnvil, file: string, address: string): Promise<void> {
  await anvil.rpc('anvil_setCode', [address, readRealData(`contracts/${file}`).trim()]);
}

/** Tether's own contract of Ethereum mainnet; the first account holds some. Its transfers return nothing. */
export async function placeRealUsdt(anvil: TestAnvil, address: string): Promise<void> {
  await placeRealContract(anvil, 'eth-USDT-TetherToken.runtime.hex', address);
  await setStorage(anvil, address, pad('0x9'), 6n);
  await setStorage(anvil, address, mappingSlot(anvil.accounts[0] as string, 2n), 10n ** 18n);
  await anvil.mine();
}

/** Circle's own contract of Ethereum mainnet behind its proxy; the first account holds some. */
export async function placeRealUsdc(anvil: TestAnvil, address: string): Promise<void> {
  const implementation = '0x43506849d7c04f9138d1a2050bbf3a0c054402dd';
  await placeRealContract(anvil, 'eth-USDC-FiatTokenV2_2.runtime.hex', implementation);
  await placeRealContract(anvil, 'eth-USDC-FiatTokenProxy.runtime.hex', address);
  const implementationSlot = '0x7050c9e0f4ca769c69bd3a8ef740bc37934f8e2c036e5a723fd8ee048ed3f8c3';
  const adminSlot = '0x10d6a54a4754c8869d6886b5f5d7fbfa5b4522237ea5c60d11bc4e7a1ff9390b';
  await setStorage(anvil, address, implementationSlot, BigInt(implementation));
  // Without an admin the proxy takes calls from address zero for the admin's.
  await setStorage(anvil, address, adminSlot, 1n);
  await setStorage(anvil, address, mappingSlot(anvil.accounts[0] as string, 9n), 10n ** 18n);
  await anvil.mine();
}

async function setStorage(anvil: TestAnvil, address: string, slot: string, value: bigint): Promise<void> {
  await anvil.rpc('anvil_setStorageAt', [address, slot, `0x${value.toString(16).padStart(64, '0')}`]);
}

/** Where Solidity keeps `mapping(address => uint256)[key]` of the mapping at `slot`. */
function mappingSlot(key: string, slot: bigint): string {
  return keccak256(
    encodeAbiParameters([{ type: 'address' }, { type: 'uint256' }], [key as `0x${string}`, slot]),
  );
}
