/**
 * Pictures of the page of every state, for people to look at: `node scripts/checkout-pictures.ts FOLDER`. Without a folder
 * those that the documents show are made, docs/pictures/.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { PaymentPage } from '../src/checkout/document.ts';
import { renderPayment } from '../src/checkout/page.ts';
import { openBrowser } from '../test/support/browser.ts';
import { testAssets, testPage, testPages } from '../test/support/checkout.ts';

const folder = process.argv[2] ?? 'screenshots';
mkdirSync(folder, { recursive: true });
const facts = testPages();

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const asset = [testAssets.style, testAssets.script].find(({ path }) => path === url.pathname);
  if (asset !== undefined) return response.setHeader('content-type', asset.type).end(asset.body);
  const state = url.pathname.split('/')[2] as keyof typeof facts;
  if (!(state in facts)) return response.writeHead(404).end();
  const language = (url.searchParams.get('lang') ?? 'en') as PaymentPage['language'];
  response
    .setHeader('content-type', 'text/html; charset=utf-8')
    .end(renderPayment(testPage(facts[state], { language })));
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const browser = await openBrowser();
for (const [name, options, lang] of [
  [
    'phone',
    { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true },
    'en',
  ],
  ['desktop', { viewport: { width: 1100, height: 800 } }, 'en'],
  [
    'dark',
    {
      viewport: { width: 360, height: 740 },
      deviceScaleFactor: 2,
      colorScheme: 'dark',
      hasTouch: true,
      isMobile: true,
    },
    'en',
  ],
  [
    'ar',
    { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true },
    'ar',
  ],
] as const) {
  const context = await browser.newContext({ ...options, javaScriptEnabled: false });
  const page = await context.newPage();
  for (const state of Object.keys(facts)) {
    await page.goto(`${base}/pay/${state}?lang=${lang}`);
    writeFileSync(join(folder, `${state}-${name}.png`), await page.screenshot({ fullPage: true }));
  }
  await context.close();
}
await browser.close();
server.close();
