import type { PaymentPage } from './document.ts';
import { type Html, html } from './html.ts';
import type { Messages } from './languages/messages.ts';

/** Where a payer turns when something is not as it should be, and a button for those without JavaScript. */
export function helpBlock({ view, brand }: PaymentPage, words: Messages): Html {
  const subject = encodeURIComponent(view.paymentNumber);
  const contact =
    brand.supportUrl !== ''
      ? brand.supportUrl
      : brand.supportEmail === ''
        ? null
        : `mailto:${brand.supportEmail}?subject=${subject}`;
  return html`<div class="links help">
    ${
      view.final
        ? null
        : html`<noscript><form method="get"><button id="check">${words.checkNow}</button></form></noscript>`
    }
    ${contact === null ? null : html`<a class="button" href=${contact} rel="noreferrer">${words.contactShop}</a>`}
    ${
      view.backUrl === null || view.final
        ? null
        : html`<a class="button" href=${view.backUrl} rel="noreferrer">${words.backToShop}</a>`
    }
    <p class="hint"><bdi>${view.paymentNumber}</bdi></p>
  </div>`;
}
