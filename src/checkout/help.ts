import type { PaymentPage } from './document.ts';
import { type Content, type Html, html } from './html.ts';
import { choiceMessages } from './languages/choice.ts';
import { lookMessages } from './languages/look.ts';
import type { Messages } from './languages/messages.ts';

/** Where a payer turns when something is not as it should be, and a button for those without JavaScript. */
export function helpBlock(page: PaymentPage, words: Messages): Html {
  const { view, brand, offers, language } = page;
  const choice = choiceMessages[language];
  const subject = encodeURIComponent(view.paymentNumber);
  const contact =
    brand.supportUrl !== ''
      ? brand.supportUrl
      : brand.supportEmail === ''
        ? null
        : `mailto:${brand.supportEmail}?subject=${subject}`;
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
    ${
      view.backUrl === null || view.final
        ? null
        : html`<a class="button" href=${view.backUrl} rel="noreferrer">${words.backToShop}</a>`
    }
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
