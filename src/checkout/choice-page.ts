import type { SessionView } from '../core/checkout-session.ts';
import { presentPrice } from '../present/payments.ts';
import type { Assets } from './assets.ts';
import type { Brand } from './brand.ts';
import type { Choice, ChoiceMethod, ChoiceToken } from './choice.ts';
import { renderDocument } from './document.ts';
import { type Content, type Html, html } from './html.ts';
import { tokenBadge } from './instructions.ts';
import { type ChoiceMessages, choiceMessages } from './languages/choice.ts';
import { type Language, messagesIn } from './languages/languages.ts';
import type { Messages } from './languages/messages.ts';
import { duration, priceBlock } from './page.ts';

export type ChoicePage = {
  view: SessionView;
  choice: Choice;
  language: Language;
  brand: Brand;
  assets: Assets;
  /** Where the form goes, and where a payment's page is: `/checkout/…`, `/pay`. */
  paths: { form: string; pay: string };
  embedOrigins: readonly string[];
  /** Why what was asked for just now was not done. */
  alert: string | null;
};

/** The page on which a payer chooses how to pay. Each way is a button of one form: it needs no script. */
export function renderChoice(page: ChoicePage): string {
  const { view, choice, language, brand } = page;
  const words = messagesIn(language);
  const own = choiceMessages[language];
  const { session } = view;
  const order = { price: presentPrice(session.price), orderId: session.externalOrderId };
  const nothing = choice.tokens.length === 0 && choice.others.length === 0;
  const body = html`<main id="payment" class="choice" data-final="true">
    <div class="status">
      <h1>${own.title}</h1>
      <p class="text">${nothing ? own.nothing : own.text}</p>
    </div>
    <form class="methods" method="post" action=${`${page.paths.form}?lang=${language}`}>
      ${page.alert === null ? null : html`<p class="alert" role="alert">${page.alert}</p>`}
      ${chosenBlock(page, own)}
      ${choice.tokens.map((token) => tokenBlock(token, words, own))}
      ${
        choice.others.length === 0
          ? null
          : html`<section>
              <h2>${own.otherWays}</h2>
              ${choice.others.map((method) => methodButton(method, method.networkName, words, own))}
            </section>`
      }
    </form>
    ${
      session.cancelUrl === ''
        ? null
        : html`<div class="more"><p class="links"><a class="button" rel="noreferrer" target="_top" href=${session.cancelUrl}>${own.giveUp}</a></p></div>`
    }
  </main>`;
  return renderDocument(
    {
      language,
      brand,
      assets: page.assets,
      title: brand.name === '' ? own.title : `${own.title} · ${words.titleFor(brand.name)}`,
      aside: priceBlock(order, words),
      refreshSeconds: null,
      embedOrigins: page.embedOrigins,
    },
    body,
  );
}

function chosenBlock({ choice: { chosen }, paths, language }: ChoicePage, own: ChoiceMessages): Content {
  if (chosen === null) return null;
  const href = `${paths.pay}/${chosen.payment.paymentToken}?lang=${language}`;
  return html`<section>
    <p>${own.chosen(chosen.name)}</p>
    <p class="go"><a class="button main" href=${href}>${own.continueWith(chosen.name)}</a></p>
  </section>`;
}

function tokenBlock({ token, methods }: ChoiceToken, words: Messages, own: ChoiceMessages): Html {
  return html`<section>
    <h2 class="token">${tokenBadge(token)} <bdi>${token.symbol}</bdi> <small><bdi>${token.issuer}</bdi></small></h2>
    ${methods.map((method) => methodButton(method, `${token.symbol} · ${method.networkName}`, words, own))}
  </section>`;
}

/** `label` is read out instead of the network alone. One that cannot be chosen now says why. */
function methodButton(method: ChoiceMethod, label: string, words: Messages, own: ChoiceMessages): Html {
  const { value, networkName, trouble, confirmedInSeconds, feeClass } = method;
  const hints =
    trouble === null
      ? [
          confirmedInSeconds === null ? null : own.confirmedIn(duration(confirmedInSeconds, words)),
          feeClass === null ? null : own.fee[feeClass],
        ]
      : [own.troubles[trouble]];
  const hint = hints.filter((text) => text !== null).join(' · ');
  const spoken = hint === '' ? label : `${label}. ${hint}`;
  return html`<button
    class="method"
    name="method"
    value=${value}
    disabled=${trouble !== null}
    aria-label=${spoken}
  >
    <span><bdi>${networkName}</bdi></span>
    <small>${hint}</small>
  </button>`;
}
