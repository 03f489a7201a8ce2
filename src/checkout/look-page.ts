import type { Assets } from './assets.ts';
import type { Brand } from './brand.ts';
import { renderDocument } from './document.ts';
import { html } from './html.ts';
import type { Language } from './languages/languages.ts';
import { lookMessages } from './languages/look.ts';
import type { LookOutcome } from './look.ts';
import { networkName } from './naming.ts';
import type { Verdict } from './verdict.ts';

export type LookPage = {
  /** `not_one`: what was typed names no transaction. */
  outcome: LookOutcome | { outcome: 'not_one' };
  language: Language;
  brand: Brand;
  assets: Assets;
  /** The payment's page. */
  payPath: string;
  /** Unix ms. */
  now: number;
};

/** The answer to "I paid, but it is not shown", with the way back to the payment. */
export function renderLook(page: LookPage): string {
  const { outcome, language, brand, assets, now } = page;
  const own = lookMessages[language];
  const until = (at: number) => Math.max(1, Math.ceil((at - now) / 1000));
  const isGood = outcome.outcome === 'looked' && outcome.verdict.kind === 'right';
  const [text, again] =
    outcome.outcome === 'not_one'
      ? [own.notOne, null]
      : outcome.outcome === 'too_soon'
        ? [own.tooSoon(until(outcome.nextAt)), null]
        : [verdictText(outcome.verdict, language), isGood ? null : own.again(until(outcome.nextAt))];
  const body = html`<main id="payment" class="notice" data-final="true">
    <div class=${`status ${isGood ? 'good' : 'warn'}`}>
      <h1>${own.title}</h1>
      <p class="text">${text}</p>
      ${again === null ? null : html`<p>${again}</p>`}
      <p class="go"><a class="button main" href=${`${page.payPath}?lang=${language}`}>${own.back}</a></p>
    </div>
  </main>`;
  const shell = { language, brand, assets, aside: null, refreshSeconds: null, embedOrigins: [] };
  return renderDocument({ ...shell, title: own.title }, body);
}

function verdictText(verdict: Verdict, language: Language): string {
  const { verdicts } = lookMessages[language];
  switch (verdict.kind) {
    case 'right':
      return verdicts.right(Math.min(verdict.confirmations, verdict.required), verdict.required);
    case 'another_network':
      return verdicts.another_network(networkName(verdict.network, verdict.network));
    default:
      return verdicts[verdict.kind];
  }
}
