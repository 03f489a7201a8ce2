import { html as template } from 'htm/preact';
import type { VNode } from 'preact';
import { renderToString } from 'preact-render-to-string';

const html: (strings: TemplateStringsArray, ...values: unknown[]) => VNode = template;

/** A webhook as the shop received it; texts that its body does not have are empty. */
export type Told = {
  /** Unix ms. */
  at: number;
  event: string;
  paymentNumber: string;
  orderId: string;
  /** With its coin and chain. */
  amount: string;
  verified: boolean;
};

/** Whoever looks sees what came within this time, seconds. */
const refreshSeconds = 2;

const style = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
div { overflow-x: auto }
table { border-collapse: collapse; width: 100% }
th, td { text-align: start; padding: .5rem .75rem; border-bottom: 1px solid #8884; white-space: nowrap }
td:last-child { white-space: normal; min-width: 12rem; font-variant-numeric: tabular-nums }
.refused { color: light-dark(#b00020, #ff8a80) }
`;

/** What the shop's receiver was told, the newest first. The bodies of those that are wrongly signed are not believed. */
export function renderReceived(received: readonly Told[]): string {
  const page = html`<html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta http-equiv="refresh" content=${String(refreshSeconds)} />
      <title>Demo Shop: webhooks</title>
      <style>${style}</style>
    </head>
    <body>
      <main>
        <h1>Demo Shop: webhooks</h1>
        <p>What depositd told the shop, the newest first. Deliver when <code>payment.confirmed</code> has come.</p>
        ${
          received.length === 0
            ? html`<p>Nothing has come yet.</p>`
            : html`<div tabindex="0"><table>
                <thead><tr><th>Time</th><th>Event</th><th>Signature</th><th>Payment</th><th>Order</th><th>Amount</th></tr></thead>
                <tbody>${received.toReversed().map(rowOf)}</tbody>
              </table></div>`
        }
      </main>
    </body>
  </html>`;
  return `<!doctype html>${renderToString(page)}`;
}

function rowOf({ at, event, paymentNumber, orderId, amount, verified }: Told): VNode {
  const time = new Date(at).toISOString().slice(11, 19);
  if (!verified)
    return html`<tr class="refused"><td>${time}</td><td>?</td><td>wrong: refused</td><td></td><td></td><td></td></tr>`;
  return html`<tr>
    <td>${time}</td><td><code>${event}</code></td><td>verified</td><td>${paymentNumber}</td><td>${orderId}</td><td>${amount}</td>
  </tr>`;
}
