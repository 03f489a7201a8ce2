import { renderToString } from 'preact-render-to-string';
import type { CheckoutConfig } from '../config.ts';
import type { Assets } from './assets.ts';
import type { Brand } from './brand.ts';
import { type Content, type Html, html } from './html.ts';
import { type Language, languageTags, messagesIn } from './languages/languages.ts';
import { sandboxMessages } from './languages/sandbox.ts';
import type { CheckoutView } from './view.ts';
import type { WalletChain } from './wallets.ts';

/** What every page has around its content. */
export type Shell = {
  language: Language;
  /** Of the window. */
  title: string;
  brand: Brand;
  assets: Assets;
  /** At the top, across from the merchant's name: what is paid. */
  aside: Content;
  /** For browsers without JavaScript: when to load the page again; null: never. */
  refreshSeconds: number | null;
  /** Origins that may embed the page and are told what becomes of it. */
  embedOrigins: readonly string[];
};

/** What a payer may do beside paying. */
export type PageOffers = {
  /** Whether to ask for a fresh quote. */
  requote: boolean;
  /** Whether to have a transfer looked for. */
  find: boolean;
  /** Where another way to pay is chosen; null where none can be. */
  choicePath: string | null;
};

/** What the page of a payment is made of. */
export type PaymentPage = {
  view: CheckoutView;
  language: Language;
  brand: Brand;
  assets: Assets;
  /** Unix ms. */
  now: number;
  /** Where the page is. */
  url: string;
  /** Null where the payment's chain is not configured. */
  chain: WalletChain | null;
  /** The page of its transaction; null where there is none. */
  explorerUrl: string | null;
  offers: PageOffers;
  settings: Pick<CheckoutConfig, 'paymentUris' | 'redirectSeconds' | 'embedOrigins'>;
};

/**
 * A whole page. `body` is the `<main>` and what else the page has, which the script exchanges for a newer one. Complete
 * without JavaScript, and without anything from elsewhere.
 */
export function renderDocument(shell: Shell, body: Html): string {
  const { language, brand, assets, refreshSeconds } = shell;
  const { direction } = messagesIn(language);
  const style = brand.accent === null ? assets.style.path : `${assets.style.path}?accent=${brand.accent}`;
  const embed = shell.embedOrigins.length === 0 ? undefined : shell.embedOrigins.join(' ');
  const page = html`<html lang=${language} dir=${direction} data-embed=${embed}>
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="robots" content="noindex" />
      <meta name="color-scheme" content="light dark" />
      <meta name="format-detection" content="telephone=no" />
      <title>${shell.title}</title>
      <link rel="stylesheet" href=${style} />
      ${
        refreshSeconds === null
          ? null
          : html`<noscript><meta http-equiv="refresh" content=${String(refreshSeconds)} /></noscript>`
      }
      <script type="module" src=${assets.script.path}></script>
    </head>
    <body>
      <div class="page">
        <header>
          ${assets.sandbox ? html`<p class="alert sandbox">${sandboxMessages[language]}</p>` : null}
          ${shopName(brand)}
          ${shell.aside}
        </header>
        ${body}
        <footer>${languagePicker(language)}</footer>
      </div>
      <div id="live" class="unseen" role="status" aria-live="polite"></div>
    </body>
  </html>`;
  return `<!doctype html>${renderToString(page)}`;
}

function shopName({ name, logo }: Brand): Content {
  if (logo !== null) return html`<p class="shop"><img src=${logo} alt=${name} height="40" /></p>`;
  return name === '' ? html`<p class="shop"></p>` : html`<p class="shop"><bdi>${name}</bdi></p>`;
}

/** Links, so that it needs no script: the same page in another language. */
function languagePicker(language: Language): Html {
  const here = messagesIn(language);
  return html`<details id="languages" class="languages">
    <summary><span class="unseen">${here.language}: </span>${here.name}</summary>
    <ul>
      ${languageTags.map((tag) => {
        const current = tag === language ? 'true' : undefined;
        return html`<li><a href=${`?lang=${tag}`} lang=${tag} hreflang=${tag} aria-current=${current}>${messagesIn(tag).name}</a></li>`;
      })}
    </ul>
  </details>`;
}

/** A page that only says something: nothing is here, or not now. */
export function renderNotice(
  shell: Omit<Shell, 'title' | 'aside' | 'refreshSeconds' | 'embedOrigins'>,
  { title, text }: { title: string; text: string },
): string {
  return renderDocument(
    { ...shell, title, aside: null, refreshSeconds: null, embedOrigins: [] },
    html`<main id="payment" class="notice" data-final="true">
      <div class="status warn">
        <h1>${title}</h1>
        <p>${text}</p>
      </div>
    </main>`,
  );
}
