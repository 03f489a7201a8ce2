import { type PaymentPage, renderDocument } from './document.ts';
import { asksForHelp, contactUrl, helpBlock, requoteBlock } from './help.ts';
import { type Content, type Html, html } from './html.ts';
import { instructionBlock, isolate, walletBlock } from './instructions.ts';
import { messagesIn } from './languages/languages.ts';
import type { CheckoutState, Messages, StateMessages, Words } from './languages/messages.ts';
import { sandboxPanel } from './sandbox.ts';
import { presentStatus } from './status.ts';
import type { CheckoutView } from './view.ts';

/** How often the page loads itself again where there is no JavaScript, seconds. */
const refreshSeconds = 15;

/** The page of a payment, whatever has become of it. */
export function renderPayment(page: PaymentPage): string {
  const { view, language, brand } = page;
  const words = messagesIn(language);
  const told = words.states[view.state];
  const shop = brand.name === '' ? '' : ` · ${words.titleFor(brand.name)}`;
  return renderDocument(
    {
      language,
      brand,
      assets: page.assets,
      title: `${told.title}${shop}`,
      aside: priceBlock(view, words),
      refreshSeconds: view.final ? null : refreshSeconds,
      embedOrigins: page.settings.embedOrigins,
    },
    mainBlock(page, words, told),
  );
}

function mainBlock(page: PaymentPage, words: Messages, told: StateMessages): Html {
  const { view, now, settings } = page;
  const { version } = presentStatus(view);
  const isPaid = view.state === 'paid' || view.state === 'overpaid';
  const redirect = isPaid && view.backUrl !== null ? settings.redirectSeconds : null;
  return html`<main
    id="payment"
    data-state=${view.state}
    data-status=${view.status}
    data-final=${String(view.final)}
    data-version=${version}
    data-number=${view.paymentNumber}
    data-now=${String(now)}
    data-redirect=${redirect ?? undefined}
  >
    <p id="offline" class="offline" hidden>${words.connectionLost}</p>
    ${statusBlock(page, words, told, redirect)}
    ${timerBlock(page, words)}
    ${instructionBlock(page, words)}
    <div class="more">
      ${walletBlock(page, words)}
      ${helpBlock(page, words)}
    </div>
    ${page.assets.sandbox && view.providerUrl === null ? sandboxPanel(new URL(page.url).pathname, view.network, view.state) : null}
  </main>`;
}

/** How each state looks; never by its colour alone: the mark and the words say the same. */
const looks: Record<CheckoutState, 'busy' | 'good' | 'warn' | ''> = {
  waiting: 'busy',
  seen: 'busy',
  confirming: 'busy',
  partly_paid: 'warn',
  paid: 'good',
  overpaid: 'good',
  closing: '',
  expired: '',
  late: 'warn',
  underpaid: 'warn',
  wrong_asset: 'warn',
  cancelled: '',
  reverted: 'warn',
  provider: 'busy',
  declined: 'warn',
};

function statusBlock(page: PaymentPage, words: Messages, told: StateMessages, redirect: number | null): Html {
  const { view, explorerUrl } = page;
  const { state, confirmedInSeconds } = view;
  const isolated = words.direction === 'rtl' ? isolateAll(view.words) : view.words;
  const { confirmations, required } = view.words;
  return html`<div class=${`status ${looks[state]}`}>
    <h1>${told.title}</h1>
    <p class="text">${told.text(isolated)}</p>
    ${
      state === 'seen' || state === 'confirming'
        ? html`<progress aria-label=${words.states.confirming.title} value=${confirmations} max=${required}></progress>`
        : null
    }
    ${confirmedInSeconds === null ? null : html`<p class="hint">${words.about(duration(confirmedInSeconds, words))}</p>`}
    <p>${told.next}</p>
    ${state === 'expired' ? requoteBlock(page) : null}
    ${view.delayed ? html`<p class="alert">${words.delayed}</p>` : null}
    ${nextStep(page, words, redirect)}
    ${
      explorerUrl === null || view.txHash === ''
        ? null
        : html`<p><a href=${explorerUrl} rel="noopener noreferrer" target="_blank">${words.viewTransaction}</a></p>`
    }
  </div>`;
}

/**
 * The one thing to do: pay at the provider, ask the shop where something is wrong, go back to it where all is done. Where
 * the page is in a frame, what it leads to is not.
 */
function nextStep({ view, brand, offers }: PaymentPage, words: Messages, redirect: number | null): Content {
  if (view.providerUrl !== null) {
    const label = words.toProvider(view.networkName);
    return html`<p class="go"><a class="button main" rel="noreferrer" target="_top" href=${view.providerUrl}>${label}</a></p>`;
  }
  const contact = asksForHelp(view.state) ? contactUrl(view, brand) : null;
  const back = view.final ? view.backUrl : null;
  if (contact === null && back === null) return null;
  const isFirst = contact === null && !offers.requote;
  return html`<p class="go">
    ${contact === null ? null : html`<a class="button main" rel="noreferrer" href=${contact}>${words.contactShop}</a>`}
    ${
      back === null
        ? null
        : html`<a id="back" class=${isFirst ? 'button main' : 'button'} rel="noreferrer" target="_top" href=${back}>${words.backToShop}</a>`
    }
    ${redirect === null ? null : html`<span class="hint">${words.returningIn} <span id="redirect">${redirect}</span></span>`}
  </p>`;
}

function isolateAll(words: Words): Words {
  const { expected, received, remaining, surplus, instead, token, network } = words;
  const texts = { expected, received, remaining, surplus, instead, token, network };
  return {
    ...words,
    ...Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, isolate(text)])),
  };
}

/** The server's clock; the script corrects the payer's by it. */
function timerBlock({ view, now }: PaymentPage, words: Messages): Content {
  if (view.endsAt === null) return null;
  const seconds = Math.max(0, Math.ceil((view.endsAt - now) / 1000));
  const left = (time: string) => `${words.timeLeft}: ${time}`;
  return html`<p class="timer">
    <span>${words.timeLeft}</span>
    <time
      id="timer"
      role="timer"
      aria-live="off"
      dir="ltr"
      data-ends=${String(view.endsAt)}
      data-five=${left(words.minutes(5))}
      data-one=${left(words.minutes(1))}
    >${clock(seconds)}</time>
  </p>`;
}

/** `4:05`, `1:00:00`. */
function clock(seconds: number): string {
  const two = (n: number) => String(n).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  return `${hours > 0 ? `${hours}:${two(minutes)}` : minutes}:${two(seconds % 60)}`;
}

export function duration(seconds: number, words: Messages): string {
  return seconds < 90 ? words.seconds(seconds) : words.minutes(Math.ceil(seconds / 60));
}

/** What is paid, across from the merchant's name. */
export function priceBlock(view: Pick<CheckoutView, 'price' | 'orderId'>, words: Messages): Html {
  return html`<p class="price">
    <b>${fiatText(view.price, words.locale)}</b>
    ${view.orderId === '' ? null : html`<span>${words.order(view.orderId)}</span>`}
  </p>`;
}

/** As people of the language write prices; the plain amount where that is not known. */
function fiatText({ amount, currency }: CheckoutView['price'], locale: string): string {
  const decimals = amount.split('.')[1]?.length ?? 0;
  const key = `${locale} ${currency} ${decimals}`;
  try {
    // Making one takes as long as all the rest of a page; there are few.
    const form = forms.get(key) ?? priceForm(locale, currency, decimals);
    forms.set(key, form);
    return form.format(amount as unknown as number);
  } catch {
    return `${amount} ${currency}`;
  }
}

const forms = new Map<string, Intl.NumberFormat>();

function priceForm(locale: string, currency: string, decimals: number): Intl.NumberFormat {
  return new Intl.NumberFormat(locale, { style: 'currency', currency, minimumFractionDigits: decimals });
}
