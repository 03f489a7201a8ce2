import type { ChainConfig, Config } from '../config.ts';
import { type AddressKey, parseAddress, writeAddress } from '../core/address.ts';
import type { Asset } from '../core/assets.ts';
import { encodeTokenCall } from '../core/erc20.ts';
import { type Deposit, isOpen, type OnchainView } from '../core/payment.ts';
import { CommandError } from '../errors.ts';
import { remainingAmount } from '../present/payments.ts';
import type { SandboxAct } from './sandbox.ts';

/** Asks the first node of a chain for something that only a node of a sandbox does. */
export type AskNode = (chain: ChainConfig, method: string, params: readonly unknown[]) => Promise<unknown>;

/** What a wallet does on one chain. */
type Hands = {
  send(asset: Asset, to: string, amount: bigint): Promise<void>;
  /** Puts other blocks, empty ones, in the place of this one and those after it. @throws CommandError for final ones. */
  reorg(height: number): Promise<void>;
};

const isFinal = 'the transfer is final: its chain takes nothing back any more that has come so far';

/** A reorg of an EVM chain takes no more blocks than this. */
const deepestReorg = 64;

/** Pays what whoever tries an integration wants to see. */
export function createSandboxWallet({ chains }: Pick<Config, 'chains'>, ask: AskNode) {
  const handsOn = (chain: ChainConfig): Hands =>
    chain.family === 'tron' ? tronHands(chain, ask) : evmHands(chain, ask);

  async function takeBack(deposits: readonly Deposit[]): Promise<void> {
    const last = deposits.toSorted((a, b) => b.seenAt - a.seenAt)[0];
    const chain = last === undefined ? undefined : chains[last.network];
    if (last === undefined || chain === undefined)
      throw new CommandError('nothing was received yet that the chain could take back');
    await handsOn(chain).reorg(last.height);
  }

  return {
    /**
     * `instead` is what reached the payment's address in another token or on another chain.
     *
     * @throws CommandError where the chain cannot do it.
     */
    async act(view: OnchainView, instead: readonly Deposit[], act: SandboxAct): Promise<void> {
      const { payment } = view;
      const chain = chains[payment.network];
      const own = chain?.assets.find(({ token }) => token === payment.token);
      if (chain === undefined || own === undefined) throw new CommandError(`${payment.currency} is off`);
      const hands = handsOn(chain);
      const missing = isOpen(payment) ? remainingAmount(view) : payment.expectedAmount;
      const amount = missing > 0n ? missing : payment.expectedAmount;
      const pay = (coins: bigint) => hands.send(own, payment.address, coins);
      // So many coins are no dust, whichever they are.
      const ten = ({ decimals }: Asset) => 10n ** BigInt(decimals + 1);
      switch (act) {
        case 'exact':
          return pay(amount);
        case 'less':
          return pay(amount / 2n);
        case 'more':
          return pay(amount + amount / 10n);
        case 'twice':
          await pay(amount);
          return pay(amount);
        case 'wrong_token': {
          const other = tokensOf(chain).find(({ token }) => token !== payment.token);
          if (other === undefined) throw new CommandError(`${chain.name} has no other token here`);
          return hands.send(other, payment.address, ten(other));
        }
        case 'wrong_network': {
          const elsewhere = Object.values(chains).find(
            ({ family, network }) => family === chain.family && network !== payment.network,
          );
          const tokens = elsewhere === undefined ? [] : tokensOf(elsewhere);
          const asset = tokens.find(({ currency }) => currency === payment.currency) ?? tokens[0];
          if (elsewhere === undefined || asset === undefined)
            throw new CommandError('no other chain has addresses like this one');
          return handsOn(elsewhere).send(asset, payment.address, ten(asset));
        }
        case 'reorg':
          return takeBack([...view.deposits.largest, ...instead]);
        default:
          return act satisfies never;
      }
    },
  };
}

/** Without the chain's own coin, which is not seen where nobody is to pay in it. */
function tokensOf({ assets }: ChainConfig): Asset[] {
  return assets.filter(({ token }) => token !== 'native');
}

/** Pays from the first account of the node, which must hold the coins and sign by itself, as anvil's do. */
function evmHands(chain: ChainConfig, ask: AskNode): Hands {
  async function block(tag: 'latest' | 'finalized') {
    return (await ask(chain, 'eth_getBlockByNumber', [tag, false])) as { number: string; timestamp: string };
  }
  const numberOf = async (tag: 'latest' | 'finalized') => Number((await block(tag)).number);
  const headTime = async () => Number((await block('latest')).timestamp);
  return {
    async send(asset, to, amount) {
      const [from] = (await ask(chain, 'eth_accounts', [])) as string[];
      const call =
        asset.token === 'native'
          ? { to, value: `0x${amount.toString(16)}` }
          : { to: writeAddress('evm', asset.token), data: encodeTokenCall('transfer', to, amount) };
      await ask(chain, 'eth_sendTransaction', [{ from, ...call }]);
    },
    async reorg(height) {
      // The daemon would stop reading a chain that breaks what it called final.
      if (chain.finality === 'finalized' && height <= (await numberOf('finalized')))
        throw new CommandError(isFinal);
      const depth = (await numberOf('latest')) - height + 1;
      if (depth > deepestReorg) throw new CommandError('the transfer is too deep in the chain for a reorg');
      const before = await headTime();
      await ask(chain, 'anvil_reorg', [Math.max(1, depth), []]);
      // Anvil sets its clock back to the fork, which no reorg does to a chain's.
      const lost = before - (await headTime());
      if (lost > 0) await ask(chain, 'evm_increaseTime', [`0x${lost.toString(16)}`]);
    },
  };
}

/** Asks a simulated TRON for what no real one does: see demo/tron/chain.ts. */
function tronHands(chain: ChainConfig, ask: AskNode): Hands {
  const hex = (key: AddressKey) => `41${key}`;
  return {
    async send({ token }, to, amount) {
      const parsed = parseAddress('tron', to);
      if ('error' in parsed) throw new CommandError(`${to}: ${parsed.error}`);
      const transfer = {
        token: token === 'native' ? token : hex(token),
        to: hex(parsed.key),
        amount: String(amount),
      };
      await ask(chain, 'send', [transfer]);
    },
    async reorg(height) {
      const solid = (await ask(chain, 'solid', [])) as { height: number };
      if (height <= solid.height) throw new CommandError(isFinal);
      await ask(chain, 'reorg', [{ height }]);
    },
  };
}
