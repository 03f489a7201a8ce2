import type { Currency, KnownToken } from '../core/assets.ts';
import { knownChains } from '../core/chains/known.ts';
import { parseAmount } from '../core/money.ts';
import { CommandError } from '../errors.ts';
import { type Anvil, startAnvil } from './anvil.ts';
import { mintCall, placeToken, transferCall } from './token.ts';

type EvmNetwork = 'bsc' | 'ethereum';

export type DemoNetwork = EvmNetwork | 'tron';

/** A chain on this machine, its tokens, and a customer who is rich in all of them. */
export type DemoChain = {
  network: DemoNetwork;
  url: string;
  chainId: number;
  /** Sends `amount` (a decimal) from the customer to an address; answers the transaction's hash. */
  pay(currency: Currency, address: string, amount: string): Promise<string>;
  stop(): Promise<void>;
};

/** Older blocks than any that a payment is made in. */
const firstBlocks = 20;

/** Makes a block every `blockSeconds`. */
export async function startDemoChain(
  network: EvmNetwork,
  { blockSeconds, folder }: { blockSeconds: number; folder: string },
): Promise<DemoChain> {
  const { chainId } = knownChains[network];
  const anvil = await startAnvil({ chainId, slotsInAnEpoch: 1, blockSeconds, folder, withParent: true });
  try {
    const customer = await firstAccount(anvil);
    for (const token of Object.values(knownChains[network].tokens)) {
      await placeToken(anvil, token.address, token.decimals);
      await send(anvil, customer, mintCall(token.address, customer, 10n ** BigInt(token.decimals + 9)));
    }
    await anvil.rpc('anvil_mine', [`0x${firstBlocks.toString(16)}`]);
    return {
      network,
      url: anvil.url,
      chainId,
      pay: (currency, address, decimal) =>
        send(anvil, customer, transfer(network, currency, address, decimal)),
      stop: () => anvil.stop(),
    };
  } catch (error) {
    await anvil.stop();
    throw error;
  }
}

type Call = { to: string; data?: string; value?: string };

/**
 * Base units of a decimal amount, and the token that they are of; null: the native coin.
 *
 * @throws CommandError when there is no such coin, or it has not so many digits.
 */
export function amountOf(network: DemoNetwork, currency: Currency, decimal: string) {
  const token = currency === 'native' ? null : knownChains[network].tokens[currency as KnownToken];
  if (token === undefined) throw new CommandError(`there is no ${currency} on ${network}`);
  const amount = parseAmount(decimal, token?.decimals ?? knownChains[network].native.decimals);
  if (amount === null) throw new CommandError(`${decimal} is not an amount of ${currency}`);
  return { token, amount };
}

function transfer(network: EvmNetwork, currency: Currency, to: string, decimal: string): Call {
  const { token, amount } = amountOf(network, currency, decimal);
  return token === null ? { to, value: `0x${amount.toString(16)}` } : transferCall(token.address, to, amount);
}

async function send(anvil: Anvil, from: string, call: Call): Promise<string> {
  return (await anvil.rpc('eth_sendTransaction', [{ from, ...call }])) as string;
}

async function firstAccount(anvil: Anvil): Promise<string> {
  const [account] = (await anvil.rpc('eth_accounts')) as string[];
  if (account === undefined) throw new CommandError('anvil has no accounts');
  return account;
}
