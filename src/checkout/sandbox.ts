import type { Network } from '../core/networks.ts';
import { type Html, html } from './html.ts';
import type { CheckoutState } from './languages/messages.ts';

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

/** States of a payment whose time is over: whoever pays now is late. */
const over: readonly CheckoutState[] = ['closing', 'expired', 'late', 'underpaid', 'cancelled'];

/** The wallet of a sandbox, below the page of a payment, which is at `path`. */
export function sandboxPanel(path: string, network: Network, state: CheckoutState): Html {
  const labelOf = (act: SandboxAct) => (act === 'exact' && over.includes(state) ? 'Pay late' : labels[act]);
  return html`<section id="sandbox" class="more" lang="en" dir="ltr">
    <h2>Sandbox wallet</h2>
    ${network === 'tron' ? html`<p class="hint">TRON is simulated here: the wallet pays on the node of <code>depositd demo</code> alone.</p>` : null}
    <form class="links" method="post" action=${`${path}/sandbox`}>
      ${sandboxActs.map((act) => html`<button name="act" value=${act}>${labelOf(act)}</button>`)}
    </form>
  </section>`;
}
