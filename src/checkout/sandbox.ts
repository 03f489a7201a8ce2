import type { ChainConfig, Config } from '../config.ts';
import { writeAddress } from '../core/address.ts';
import type { Asset } from '../core/assets.ts';
import { isOpen, type OnchainView } from '../core/payment.ts';
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

  async function reorg(chain: ChainConfig, { payment, deposits }: OnchainView): Promise<void> {
    const heights = deposits.largest
      .filter(({ network }) => network === payment.network)
      .map(({ height }) => height);
    const head = Number(await ask(chain, 'eth_blockNumber', []));
    const depth = heights.length === 0 ? 1 : head - Math.max(...heights) + 1;
    await ask(chain, 'anvil_reorg', [Math.min(deepestReorg, Math.max(1, depth)), []]);
  }

  return {
    /** @throws CommandError where the chain cannot do it. */
    async act(view: OnchainView, act: SandboxAct): Promise<void> {
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
          return reorg(chain, view);
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
