/**
 * Pictures of the pages that payers see. `node scripts/checkout-pictures.ts` makes those of docs/checkout.md;
 * `node scripts/checkout-pictures.ts all` one of every state and of each other page in every look, in screenshots/, for
 * people to look at.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { readAssets } from '../src/checkout/assets.ts';
import { noBrand } from '../src/checkout/brand.ts';
import { renderChoice } from '../src/checkout/choice-page.ts';
import { renderNotice } from '../src/checkout/document.ts';
import { choiceMessages } from '../src/checkout/languages/choice.ts';
import { type Language, messagesIn, parseLanguage } from '../src/checkout/languages/languages.ts';
import { checkoutStates } from '../src/checkout/languages/messages.ts';
import { renderLook } from '../src/checkout/look-page.ts';
import { renderPayment } from '../src/checkout/page.ts';
import { renderReceived } from '../src/demo/shop-page.ts';
import { openBrowser } from '../test/support/browser.ts';
import { testAssets, testBrand, testChoice, testPage, testPages } from '../test/support/checkout.ts';

const root = join(import.meta.dirname, '..');
const facts = testPages();
const phone = { viewport: { width: 360, height: 740 } };
const desk = { viewport: { width: 1100, height: 800 } };

const looks = {
  phone: { ...phone, lang: 'en' },
  desktop: { ...desk, lang: 'en' },
  dark: { ...phone, colorScheme: 'dark', lang: 'en' },
  arabic: { ...phone, lang: 'ar' },
} as const;

/** What payers see but the states of a payment, and the shop of the demo. */
const others: Record<string, (language: Language) => string> = {
  choice: (language) =>
    renderChoice({
      ...testChoice(),
      language,
      brand: testBrand,
      assets: testAssets,
      paths: { form: '/checkout/token', pay: '/pay' },
      embedOrigins: [],
      alert: choiceMessages[language].failed,
    }),
  not_found: (language) =>
    renderNotice({ language, assets: testAssets, brand: noBrand }, messagesIn(language).notFound),
  look_right: (language) =>
    look(language, {
      outcome: 'looked',
      verdict: { kind: 'right', confirmations: 3, required: 15 },
      nextAt: 0,
    }),
  look_not_found: (language) =>
    look(language, { outcome: 'looked', verdict: { kind: 'not_found' }, nextAt: 20_000 }),
  sandbox: (language) =>
    renderPayment(testPage(facts.waiting, { language, assets: readAssets('', { sandbox: true }) })),
  receiver: () =>
    renderReceived(
      ['payment.detected', 'payment.partially_paid', 'payment.confirmed', 'payment.late'].map((event, n) => ({
        at: n * 7_000,
        event,
        paymentNumber: 'PAY-2026-7K2M9QXW4T',
        orderId: 'a-scarf',
        amount: '25.000000 USDT on BNB Smart Chain',
        verified: event !== 'payment.late',
      })),
    ),
};

function look(language: Language, outcome: Parameters<typeof renderLook>[0]['outcome']): string {
  const payPath = '/pay/token';
  return renderLook({ outcome, language, brand: testBrand, assets: testAssets, payPath, now: 0 });
}

const all = [...checkoutStates, ...Object.keys(others)].flatMap((state) =>
  Object.keys(looks).map((look) => ({ state, look: look as keyof typeof looks })),
);
const ofTheDocuments = [
  { state: 'waiting', look: 'desktop' },
  { state: 'confirming', look: 'dark' },
  { state: 'partly_paid', look: 'phone' },
  { state: 'wrong_asset', look: 'arabic' },
] as const;

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const asset = [testAssets.style, testAssets.script].find(({ path }) => path === url.pathname);
  const name = url.pathname.slice(1);
  const state = checkoutStates.find((one) => one === name);
  const language = parseLanguage(url.searchParams.get('lang') ?? '') ?? 'en';
  const page =
    state === undefined ? others[name]?.(language) : renderPayment(testPage(facts[state], { language }));
  if (asset !== undefined) response.setHeader('content-type', asset.type).end(asset.body);
  else if (page === undefined) response.writeHead(404).end();
  else response.setHeader('content-type', 'text/html; charset=utf-8').end(page);
});
server.listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));
const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const whole = process.argv[2] === 'all';
const folder = join(root, whole ? 'screenshots' : 'docs/pictures');
mkdirSync(folder, { recursive: true });
const browser = await openBrowser();
for (const { state, look } of whole ? all : ofTheDocuments) {
  const { lang, ...window } = looks[look];
  const page = await browser.newPage({ ...window, javaScriptEnabled: false });
  await page.goto(`${base}/${state}?lang=${lang}`);
  writeFileSync(join(folder, `checkout-${state}-${look}.png`), await page.screenshot({ fullPage: true }));
  await page.close();
}
await browser.close();
server.close();
