import type { ChainConfig, Config } from '../config.ts';
import { writeAddress } from '../core/address.ts';
import type { Asset } from '../core/assets.ts';
import { type Deposit, isOpen, type OnchainView } from '../core/payment.ts';
import { CommandError } from '../errors.ts';
import { remainingAmount } from '../present/payments.ts';
import { type Html, html } from './html.ts';
import { encodeTransfer } from './wallets.ts';

/** What the wallet of a sandbox does for a payment; `exact` is what is missing, in time or late. */
export const sandboxActs = [
  'exact',
  'less',
  'more',
  'twice',
  'wrong_token',
  'wrong_network',
  'reorg',
] as const;

export type SandboxAct = (typeof sandboxActs)[number];

/** A reorg takes no more blocks than this. */
const deepestReorg = 64;

/** Asks the first node of a chain for something that only a local node does. */
export type AskNode = (chain: ChainConfig, method: string, params: readonly unknown[]) => Promise<unknown>;

/** Pays from the first account of the chain's node, which must hold the coins and sign by itself, as anvil's do. */
export function createSandboxWallet({ chains }: Pick<Config, 'chains'>, ask: AskNode) {
  async function send(chain: ChainConfig, asset: Asset, to: string, amount: bigint): Promise<void> {
    const [from] = (await ask(chain, 'eth_accounts', [])) as string[];
    const call =
      asset.token === 'native'
        ? { to, value: `0x${amount.toString(16)}` }
        : { to: writeAddress('evm', asset.token), data: encodeTransfer(to, amount) };
    await ask(chain, 'eth_sendTransaction', [{ from, ...call }]);
  }

  /** Replaces the blocks from the newest transfer on by empty ones. */
  async function reorg(deposits: readonly Deposit[]): Promise<void> {
    const last = deposits.toSorted((a, b) => b.seenAt - a.seenAt)[0];
    const chain = last === undefined ? undefined : chains[last.network];
    if (last === undefined || chain === undefined)
      throw new CommandError('nothing was received yet that the chain could take back');
    const depth = Number(await ask(chain, 'eth_blockNumber', [])) - last.height + 1;
    if (depth > deepestReorg)
      throw new CommandError('the transfer is too deep in the chain for a reorg of this node');
    const before = await headTime(chain);
    await ask(chain, 'anvil_reorg', [Math.max(1, depth), []]);
    // Anvil sets its clock back to the fork, which no reorg does to a chain's.
    const lost = before - (await headTime(chain));
    if (lost > 0) await ask(chain, 'evm_increaseTime', [`0x${lost.toString(16)}`]);
  }

  async function headTime(chain: ChainConfig): Promise<number> {
    const head = (await ask(chain, 'eth_getBlockByNumber', ['latest', false])) as { timestamp: string };
    return Number(head.timestamp);
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
      if (chain?.family !== 'evm') throw new CommandError('the wallet of the sandbox has EVM chains only');
      const own = chain.assets.find(({ token }) => token === payment.token);
      if (own === undefined) throw new CommandError(`${payment.currency} is off`);
      const missing = isOpen(payment) ? remainingAmount(view) : payment.expectedAmount;
      const amount = missing > 0n ? missing : payment.expectedAmount;
      const pay = (coins: bigint) => send(chain, own, payment.address, coins);
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
          const other = chain.assets.find(({ token }) => token !== payment.token);
          if (other === undefined) throw new CommandError(`${chain.name} has one coin only`);
          return send(chain, other, payment.address, 10n ** BigInt(other.decimals));
        }
        case 'wrong_network': {
          const elsewhere = Object.values(chains).find(
            ({ family, network }) => family === 'evm' && network !== payment.network,
          );
          const asset =
            elsewhere?.assets.find(({ currency }) => currency === payment.currency) ?? elsewhere?.assets[0];
          if (elsewhere === undefined || asset === undefined)
            throw new CommandError('there is no other EVM chain');
          return send(elsewhere, asset, payment.address, 10n ** BigInt(asset.decimals));
        }
        case 'reorg':
          return reorg([...view.deposits.largest, ...instead]);
        default:
          return act satisfies never;
      }
    },
  };
}

/** For the integrator, not for payers: in English alone. */
const labels: Record<SandboxAct, string> = {
  exact: 'Pay exactly what is missing',
  less: 'Pay too little',
  more: 'Pay too much',
  twice: 'Pay twice',
  wrong_token: 'Pay in another token',
  wrong_network: 'Pay on another network',
  reorg: 'Take the last transfer off the chain',
};

/** The wallet of a sandbox, below the page. `path` is the payment's page. */
export function sandboxPanel(path: string): Html {
  return html`<section id="sandbox" class="more" lang="en" dir="ltr">
    <h2>Sandbox wallet</h2>
    <form class="links" method="post" action=${`${path}/sandbox`}>
      ${sandboxActs.map((act) => html`<button name="act" value=${act}>${labels[act]}</button>`)}
    </form>
  </section>`;
}
