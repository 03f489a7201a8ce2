/**
 * Pictures of the page that payers see. `node scripts/checkout-pictures.ts` makes those of docs/checkout.md;
 * `node scripts/checkout-pictures.ts all` one of every state in every look, in screenshots/, for people to look at.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseLanguage } from '../src/checkout/languages/languages.ts';
import { checkoutStates } from '../src/checkout/languages/messages.ts';
import { renderPayment } from '../src/checkout/page.ts';
import { openBrowser } from '../test/support/browser.ts';
import { testAssets, testPage, testPages } from '../test/support/checkout.ts';

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

const all = checkoutStates.flatMap((state) =>
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
  const state = checkoutStates.find((name) => url.pathname === `/${name}`);
  if (asset !== undefined) response.setHeader('content-type', asset.type).end(asset.body);
  else if (state === undefined) response.writeHead(404).end();
  else {
    const language = parseLanguage(url.searchParams.get('lang') ?? '') ?? 'en';
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(renderPayment(testPage(facts[state], { language })));
  }
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
