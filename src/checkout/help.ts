import type { Brand } from './brand.ts';
import type { PaymentPage } from './document.ts';
import { type Content, type Html, html } from './html.ts';
import { choiceMessages } from './languages/choice.ts';
import { lookMessages } from './languages/look.ts';
import type { CheckoutState, Messages } from './languages/messages.ts';
import type { CheckoutView } from './view.ts';

/** Where only the shop can say what becomes of the money. */
export function asksForHelp(state: CheckoutState): boolean {
  return state === 'late' || state === 'underpaid' || state === 'overpaid' || state === 'wrong_asset';
}

/** Where the shop's payers find help; null where it has said nothing of that. */
export function contactUrl(
  { paymentNumber }: CheckoutView,
  { supportUrl, supportEmail }: Brand,
): string | null {
  if (supportUrl !== '') return supportUrl;
  return supportEmail === '' ? null : `mailto:${supportEmail}?subject=${encodeURIComponent(paymentNumber)}`;
}

/** Where a payer turns when something is not as it should be, and a button for those without JavaScript. */
export function helpBlock(page: PaymentPage, words: Messages): Html {
  const { view, brand, offers, language } = page;
  const choice = choiceMessages[language];
  const contact = asksForHelp(view.state) ? null : contactUrl(view, brand);
  const back = view.final ? null : view.backUrl;
  return html`${lookBlock(page)}
  <div class="links help">
    ${
      view.final
        ? null
        : html`<noscript><form method="get"><button id="check">${words.checkNow}</button></form></noscript>`
    }
    ${
      offers.choicePath === null
        ? null
        : html`<a class="button" href=${`${offers.choicePath}?lang=${language}`}>${choice.title}</a>`
    }
    ${contact === null ? null : html`<a class="button" href=${contact} rel="noreferrer">${words.contactShop}</a>`}
    ${back === null ? null : html`<a class="button" href=${back} rel="noreferrer" target="_top">${words.backToShop}</a>`}
    <p class="hint"><bdi>${view.paymentNumber}</bdi></p>
  </div>`;
}

/** Where a payer names a transaction that is not shown. */
function lookBlock({ offers, language, url }: PaymentPage): Content {
  if (!offers.find) return null;
  const own = lookMessages[language];
  const action = `${new URL(url).pathname}/find?lang=${language}`;
  return html`<details id="find">
    <summary>${own.title}</summary>
    <form class="inside" method="post" action=${action}>
      <label for="transaction">${own.label}</label>
      <input id="transaction" name="transaction" required maxlength="2000" autocomplete="off" spellcheck="false" dir="ltr" />
      <button>${own.button}</button>
    </form>
  </details>`;
}

/** A button for who has not paid in time and wants to. */
export function requoteBlock({ offers, language, url }: PaymentPage): Content {
  if (!offers.requote) return null;
  const { requote } = lookMessages[language];
  const action = `${new URL(url).pathname}/requote?lang=${language}`;
  return html`<form class="go" method="post" action=${action}>
    <p>${requote.text}</p>
    <p><button class="main">${requote.button}</button></p>
  </form>`;
}
