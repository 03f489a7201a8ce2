import type { PaymentPage } from './document.ts';
import { type Content, type Html, html } from './html.ts';
import type { Messages } from './languages/messages.ts';
import type { TokenName } from './naming.ts';
import { qrCode } from './qr.ts';
import type { CheckoutView, Instructions } from './view.ts';
import { paymentUri, walletLinks, walletRequest } from './wallets.ts';

/** Left to right, whatever is around it. */
export function isolate(text: string): string {
  return text === '' ? '' : `\u2066${text}\u2069`;
}

/**
 * What to send where, on what: as exchanges ask for it. After something else has arrived it is folded away, so that nobody
 * pays again without thinking.
 */
export function instructionBlock({ view }: PaymentPage, words: Messages): Content {
  const { instructions } = view;
  if (instructions === null) return null;
  const block = payBlock(view, instructions, words);
  if (view.state !== 'wrong_asset') return block;
  return html`<details id="instructions" class="folded"><summary>${words.showInstructions}</summary>${block}</details>`;
}

function payBlock(view: CheckoutView, instructions: Instructions, words: Messages): Html {
  const { token, networkName } = view;
  const only = words.only(isolate(token.symbol), isolate(networkName));
  return html`<div class="pay">
    <dl class="facts">
      <div>
        <dt>${view.state === 'partly_paid' ? words.remaining : words.amount}</dt>
        <dd>
          <p class="amount" dir="ltr"><span id="amount">${instructions.amountText}</span> ${token.symbol}</p>
          ${copyButton('amount', words.copyAmount, words)}
        </dd>
      </div>
      <div>
        <dt>${words.network}</dt>
        <dd class="token">
          ${tokenBadge(token)}
          <span><bdi>${networkName}</bdi> <small><bdi>${token.symbol} · ${token.issuer}</bdi></small></span>
        </dd>
      </div>
      <div>
        <dt id="address-label">${words.address}</dt>
        <dd>
          <p class="address" id="address" dir="ltr" translate="no">${emphasised(instructions.address)}</p>
          ${copyButton('address', words.copyAddress, words)}
        </dd>
      </div>
    </dl>
    <p class="alert">${only}</p>
    <div class="scan">
      ${qrCode(instructions.address, words.qrOfAddress, 'qr')}
      <p class="hint">${words.inFull}</p>
    </div>
  </div>`;
}

function copyButton(source: string, label: string, words: Messages): Html {
  return html`<button type="button" class="copy" id=${`copy-${source}`} data-copy=${source} data-done=${words.copied}>${label}</button>`;
}

/** What people compare: the first six and the last six characters. */
function emphasised(address: string): Html[] {
  return [
    html`<b>${address.slice(0, 6)}</b>`,
    html`<span>${address.slice(6, -6)}</span>`,
    html`<b>${address.slice(-6)}</b>`,
  ];
}

const colours: Record<TokenName['look'], { ground: string; shape: 'round' | 'square' }> = {
  usdt: { ground: '#0b7a5a', shape: 'round' },
  usdc: { ground: '#1f5fbf', shape: 'square' },
  busd: { ground: '#7a5a00', shape: 'round' },
  coin: { ground: '#50565f', shape: 'round' },
};

/** A mark of its own for each token: another sign, another colour, another shape. */
export function tokenBadge({ look, mark }: TokenName): Html {
  const { ground, shape } = colours[look];
  return html`<svg class="badge" viewBox="0 0 28 28" aria-hidden="true">
    <rect width="28" height="28" rx=${shape === 'round' ? 14 : 7} fill=${ground} />
    <text x="14" y="20" fill="#fff" font-size="17" font-weight="700" text-anchor="middle">${mark}</text>
  </svg>`;
}

/** Buttons for the wallets that the browser has, and links into those of a phone; a second code for those that read it. */
export function walletBlock(page: PaymentPage, words: Messages): Content {
  const { view, chain, url } = page;
  if (view.instructions === null || chain === null || view.state === 'wrong_asset') return null;
  const request = Object.entries(walletRequest(view.instructions, chain));
  const texts = {
    'data-with': words.payWith('{}'),
    'data-any': words.wallet,
    'data-sent': words.walletSent,
    'data-refused': words.walletRefused,
    'data-network': words.walletNetwork(view.networkName),
  };
  const uri = page.settings.paymentUris ? paymentUri(view.instructions, chain) : null;
  return html`
    <div id="wallets" class="wallets" hidden ...${Object.fromEntries(request.map(([name, value]) => [`data-${name}`, value]))} ...${texts}>
      <h2>${words.wallet}</h2>
      <div class="links"></div>
      <p class="hint"></p>
    </div>
    <div class="links phones">
      ${walletLinks(url, chain).map(({ name, href }) => html`<a class="button" href=${href} rel="noreferrer">${words.openIn(name)}</a>`)}
    </div>
    ${
      uri === null
        ? null
        : html`<details id="link-qr">
            <summary>${words.linkQr}</summary>
            <div class="inside">${qrCode(uri, words.linkQr, 'qr-link', 'first')}<p class="hint">${words.linkQrHint}</p></div>
          </details>`
    }
  `;
}
