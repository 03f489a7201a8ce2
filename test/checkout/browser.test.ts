import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import type { AxeResults } from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { encodeFunctionData, erc20Abi } from 'viem';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { renderNotice } from '../../src/checkout/document.ts';
import { choiceMessages } from '../../src/checkout/languages/choice.ts';
import type { Language } from '../../src/checkout/languages/languages.ts';
import { messagesIn } from '../../src/checkout/languages/languages.ts';
import { lookMessages } from '../../src/checkout/languages/look.ts';
import { type CheckoutState, checkoutStates } from '../../src/checkout/languages/messages.ts';
import { renderLook } from '../../src/checkout/look-page.ts';
import { renderPayment } from '../../src/checkout/page.ts';
import { keyOfHex } from '../../src/core/address.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { insertDeposit } from '../../src/storage/deposits/deposits.ts';
import { type ApiServer, openApiServer } from '../support/api-server.ts';
import { openBrowser } from '../support/browser.ts';
import { testAssets, testBrand, testFacts, testPage, testPages } from '../support/checkout.ts';
import { testConfig } from '../support/config.ts';
import { openTestSqlite } from '../support/databases.ts';
import { testDeposit, usdt } from '../support/payments.ts';
import { readQr } from '../support/read-qr.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const facts = testPages();
const en = messagesIn('en');

let browser: Browser;
beforeAll(async () => {
  browser = await openBrowser();
}, 60_000);
afterAll(() => browser.close());

/** What a busy machine needs as well. */
const soon = (look: () => unknown) => expect.poll(look, { timeout: 15_000 });

const phone = { viewport: { width: 360, height: 740 } };

/** A window, with all that the page may not do written down. */
async function openPage(options: Parameters<Browser['newContext']>[0] = phone) {
  const context = await browser.newContext(options);
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('console', (message) => {
    if (/Content Security Policy|TrustedHTML|violates/i.test(message.text())) faults.push(message.text());
  });
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('request', (request) => {
    if (!/^(data:|http:\/\/127\.0\.0\.1)/.test(request.url())) faults.push(`asked ${request.url()}`);
  });
  return { context, page, faults };
}

async function openShop(checkout: Partial<ReturnType<typeof testConfig>['checkout']> = {}) {
  const api = await openApiServer(await openTestSqlite(), {
    checkout: { ...testConfig().checkout, ...checkout },
  });
  const shop = await api.addMerchant('Blue Fox Books');
  await api.addAddresses(shop, 'bsc', 1);
  const { body } = await api.send<{
    payment_number: string;
    payment_token: string;
    assigned_address: string;
  }>('POST', '/api/v1/payments/', {
    key: shop.key,
    json: { amount_usd_cents: 5000, network: 'bsc', currency: 'usdt' },
  });
  const arrive = (coins: number, ordinal = 0) =>
    inTransaction(api.db, (trx) =>
      insertDeposit(trx, {
        ...testDeposit({ amount: usdt(coins), height: 1000, merchantId: shop.id, ordinal }),
        recipient: keyOfHex(body.assigned_address),
      }),
    );
  return {
    api,
    shop,
    made: body,
    url: `${api.url}/pay/${body.payment_token}`,
    path: `/pay/${body.payment_token}`,
    arrive,
  };
}

/** Any state under a page's own address and headers, without its having happened. */
async function showState(
  page: Page,
  shop: { url: string; api: ApiServer },
  state: CheckoutState,
  language: Language,
) {
  const { headers } = await fetch(shop.url);
  await page.unrouteAll();
  await page.route(/\/pay\/[\w-]{43}(\?.*)?$/, (route) =>
    route.fulfill({
      headers: Object.fromEntries(headers),
      body: renderPayment(testPage(facts[state], { language })),
    }),
  );
  await page.goto(shop.url);
}

async function faultsOf(page: Page): Promise<string[]> {
  await page.evaluate(axeSource);
  const { violations } = (await page.evaluate(
    'axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] })',
  )) as AxeResults;
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

const some: readonly CheckoutState[] = ['waiting', 'confirming', 'wrong_asset', 'paid'];
const looks = [
  ['on a phone', phone, 'en', checkoutStates],
  ['on a phone, dark, right to left', { ...phone, colorScheme: 'dark' }, 'ar', some],
  ['on a desk, dark', { viewport: { width: 1100, height: 800 }, colorScheme: 'dark' }, 'en', some],
  // A browser shows a window of 640 at 200 % as one of 320.
  ['at 200 %', { viewport: { width: 320, height: 480 }, deviceScaleFactor: 2 }, 'ru', some],
] as const;

test.each(looks)(
  'every state can be read %s: axe finds nothing, and nothing is wider than the window',
  async (_, options, language, states) => {
    const shop = await openShop();
    const { page, faults } = await openPage(options);
    for (const state of states) {
      await showState(page, shop, state, language);
      expect(await page.locator('h1').innerText(), state).toBe(messagesIn(language).states[state].title);
      expect(await faultsOf(page), state).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), state).toBe(true);
      const small = await page.evaluate(
        `[...document.querySelectorAll('a, button, summary')].filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44).map((one) => one.outerHTML)`,
      );
      expect(small, state).toEqual([]);
    }
    expect(faults).toEqual([]);
  },
  120_000,
);

test('what is not there, the answer to a form, and the wallet of a sandbox can be read: axe finds nothing in them', async () => {
  const shop = await openShop();
  for (const [options, language] of [
    [phone, 'en'],
    [{ ...phone, colorScheme: 'dark' }, 'ar'],
  ] as const) {
    const shell = { language, assets: testAssets, brand: testBrand };
    const look = { ...shell, payPath: shop.path, now: 0 };
    const sandbox = { ...testAssets, sandbox: true };
    const pages = [
      renderNotice(shell, messagesIn(language).notFound),
      renderLook({ ...look, outcome: { outcome: 'looked', verdict: { kind: 'not_found' }, nextAt: 20_000 } }),
      renderLook({ ...look, outcome: { outcome: 'not_one' } }),
      renderPayment(testPage(facts.expired, { language, assets: sandbox })),
    ];
    const { page, faults } = await openPage(options);
    for (const body of pages) {
      await page.unrouteAll();
      await page.route(/\/pay\/[\w-]{43}$/, (route) => route.fulfill({ contentType: 'text/html', body }));
      await page.goto(shop.url);
      expect(await faultsOf(page)).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    }
    expect(faults).toEqual([]);
  }
});

test('every state can be read without JavaScript, and axe finds nothing in what is shown then', async () => {
  const shop = await openShop();
  const silent = await openPage({ ...phone, javaScriptEnabled: false });
  const { page } = await openPage();
  for (const state of some) {
    await showState(silent.page, shop, state, 'en');
    expect(await silent.page.locator('h1').innerText()).toBe(en.states[state].title);
    expect(await silent.page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    // axe is a script: what stands in <noscript> is shown to it as a browser without scripts shows it.
    const html = (await silent.page.content()).replace(/<script.*?<\/script>|<meta http-equiv[^>]*>/g, '');
    await page.unrouteAll();
    await page.route(/\/pay\/[\w-]{43}$/, (route) =>
      route.fulfill({ contentType: 'text/html', body: html.replaceAll(/<\/?noscript>/g, '') }),
    );
    await page.goto(shop.url);
    expect(await faultsOf(page), state).toEqual([]);
  }
  expect(silent.faults).toEqual([]);
});

test('the QR code holds the address and nothing else, in the light and in the dark', async () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const shop = await openShop();
    const { page } = await openPage({ ...phone, colorScheme });
    await page.goto(shop.url);
    const picture = await page.locator('#qr').screenshot();
    expect(await readQr(page.context(), picture)).toBe(shop.made.assigned_address);
    await page.locator('#link-qr summary').click();
    const link = await page.locator('#qr-link').screenshot();
    expect(await readQr(page.context(), link)).toContain(
      `@56/transfer?address=${shop.made.assigned_address}`,
    );
  }
});

test('what is copied is the plain amount and the address, and the button says so', async () => {
  const shop = await openShop();
  const { page, context, faults } = await openPage();
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.goto(shop.url);
  for (const [button, text] of [
    ['#copy-amount', '50.000000'],
    ['#copy-address', shop.made.assigned_address],
  ] as const) {
    await page.locator(button).click();
    await soon(() => page.locator(button).innerText()).toBe(en.copied);
    expect(await page.evaluate('navigator.clipboard.readText()')).toBe(text);
  }
  expect(faults).toEqual([]);
});

test('the time that is left is the server’s, whatever the clock of the browser says', async () => {
  const shop = await openShop();
  shop.api.advance(600);
  const { page } = await openPage();
  // Three hours, and the months between the test's time and ours.
  await page.clock.install({ time: Date.now() + 3 * 3_600_000 });
  await page.goto(shop.url);
  const left = page.locator('#timer');
  expect(await left.innerText()).toMatch(/^(20:00|19:5\d)$/);
  shop.api.advance(61);
  await page.clock.runFor(61_000);
  expect(await left.innerText()).toMatch(/^1[89]:\d\d$/);
  shop.api.advance(1140);
  await page.clock.runFor(1_200_000);
  await soon(() => page.locator('h1').innerText()).toBe(en.states.closing.title);
  expect(await page.locator('#qr, #timer, .copy').count()).toBe(0);
});

test('a page that is open shows what arrives, says it aloud, and keeps what was opened', async () => {
  const shop = await openShop();
  const { page, faults } = await openPage();
  await page.goto(shop.url);
  await page.locator('#languages summary').click();
  await page.locator('#link-qr summary').click();
  await page.locator('#copy-address').focus();
  await shop.arrive(20);
  await soon(() => page.locator('h1').innerText()).toBe(en.states.partly_paid.title);
  expect(await page.locator('#amount').innerText()).toBe('30.000000');
  expect(await page.locator('#live').innerText()).toContain('Still missing: 30.000000 USDT');
  expect(await page.locator('#link-qr').getAttribute('open')).not.toBeNull();
  expect(await page.evaluate('document.activeElement.id')).toBe('copy-address');
  expect(faults).toEqual([]);
});

test('without JavaScript the page asks again by itself and at a button', async () => {
  const shop = await openShop();
  const { page } = await openPage({ ...phone, javaScriptEnabled: false });
  await page.goto(shop.url);
  await shop.arrive(50);
  await page.locator('#check').click();
  expect(await page.locator('h1').innerText()).toBe(en.states.seen.title);
  expect(await page.content()).toContain('http-equiv="refresh" content="15"');
});

test('a page that was offline, or whose stream was cut, shows what it missed', async () => {
  const shop = await openShop();
  const proxy = await startTcpProxy({ host: '127.0.0.1', port: Number(new URL(shop.api.url).port) });
  onTestFinished(() => proxy.close());
  const { page, context } = await openPage();
  await page.goto(`http://127.0.0.1:${proxy.port}${shop.path}`);
  await context.setOffline(true);
  await soon(() => page.locator('#offline').isVisible()).toBe(true);
  await shop.arrive(20);
  await context.setOffline(false);
  await soon(() => page.locator('h1').innerText()).toBe(en.states.partly_paid.title);
  expect(await page.locator('#offline').isVisible()).toBe(false);
  proxy.cut();
  await shop.arrive(30, 1);
  await soon(() => page.locator('h1').innerText()).toBe(en.states.seen.title);
});

test('who has paid is sent back to the shop after checkout.redirectSeconds, and never where that is not set', async () => {
  const shop = await openShop();
  for (const redirectSeconds of [null, 5]) {
    const { page } = await openPage();
    await page.clock.install();
    const settings = { paymentUris: true, redirectSeconds, embedOrigins: [] };
    const body = renderPayment(testPage(facts.paid, { settings }));
    await page.route(/\/pay\/[\w-]{43}$/, (route) => route.fulfill({ contentType: 'text/html', body }));
    await page.route('https://shop.example/**', (route) => route.fulfill({ body: 'the shop' }));
    await page.goto(shop.url);
    await page.clock.runFor(4_500);
    expect(page.url()).toBe(shop.url);
    await page.clock.runFor(1_000);
    if (redirectSeconds === null) await page.clock.runFor(600_000);
    await soon(() => page.url()).toBe(redirectSeconds === null ? shop.url : 'https://shop.example/thanks');
  }
});

test('a page whose stream was lost while its tab was hidden shows what it missed as soon as the tab is back', async () => {
  const shop = await openShop();
  const proxy = await startTcpProxy({ host: '127.0.0.1', port: Number(new URL(shop.api.url).port) });
  onTestFinished(() => proxy.close());
  const { page } = await openPage();
  // No timer runs, as in a tab that sleeps: what comes is not looked for by itself.
  await page.clock.install();
  await page.goto(`http://127.0.0.1:${proxy.port}${shop.path}`);
  await page.clock.pauseAt(Date.now() + 60_000);
  const show = (state: 'hidden' | 'visible') =>
    page.evaluate(`
      Object.defineProperty(document, 'visibilityState', { value: '${state}', configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    `);
  await show('hidden');
  proxy.cut();
  await shop.arrive(20);
  expect(await page.locator('h1').innerText()).toBe(en.states.waiting.title);
  await show('visible');
  await soon(() => page.locator('h1').innerText()).toBe(en.states.partly_paid.title);
  expect(await page.locator('#offline').isVisible()).toBe(false);
});

/** A wallet that announces itself and writes down what it is asked. */
const mockWallet = (announce: string, chainId: string) => `
  window.asked = [];
  const provider = { request: async ({ method, params }) => {
    asked.push({ method, params });
    if (method === 'eth_chainId') return '${chainId}';
    if (method === 'eth_requestAccounts') return ['0x00000000000000000000000000000000000000aa'];
    return null;
  }, tronWeb: {
    defaultAddress: { base58: 'TFrom' },
    trx: {
      getBlockByNumber: async () => ({ blockID: '00000000000000001ebf88508a03865c71d452e25f4d51194196a1d22b6653dc' }),
      sign: async (transaction) => ({ ...transaction, signature: 'mine' }),
      sendRawTransaction: async (transaction) => { asked.push(transaction); return { result: true }; },
    },
    transactionBuilder: {
      triggerSmartContract: async (...call) => ({ transaction: { call } }),
      sendTrx: async (...call) => ({ call }),
    },
  } };
  const tell = () => dispatchEvent(new CustomEvent('${announce}:announceProvider', {
    detail: Object.freeze({ info: { uuid: '1', name: '<b>Fox</b> Wallet', icon: 'data:,', rdns: 'a.b' }, provider }),
  }));
  addEventListener('${announce}:requestProvider', tell);
`;

test('a wallet of the browser is asked for exactly this transfer, on this chain', async () => {
  const shop = await openShop();
  const { page, faults } = await openPage();
  await page.addInitScript(mockWallet('eip6963', '0x38'));
  await page.goto(shop.url);
  await page.getByRole('button', { name: 'Pay with <b>Fox</b> Wallet' }).click();
  await soon(() => page.locator('#wallets .hint').innerText()).toBe(en.walletSent);
  const asked = (await page.evaluate('asked')) as { method: string; params: Record<string, string>[] }[];
  expect(asked.find(({ method }) => method === 'wallet_switchEthereumChain')?.params).toEqual([
    { chainId: '0x38' },
  ]);
  const call = encodeFunctionData({
    abi: erc20Abi,
    functionName: 'transfer',
    args: [shop.made.assigned_address as `0x${string}`, usdt(50)],
  });
  expect(asked.at(-1)).toEqual({
    method: 'eth_sendTransaction',
    params: [
      {
        from: '0x00000000000000000000000000000000000000aa',
        to: '0x55d398326f99059fF775485246999027B3197955',
        value: '0x0',
        data: call,
      },
    ],
  });
  expect(faults).toEqual([]);
});

test('a wallet that stays on another chain is asked for nothing', async () => {
  const shop = await openShop();
  const { page } = await openPage();
  await page.addInitScript(mockWallet('eip6963', '0x1'));
  await page.goto(shop.url);
  await page.locator('#wallets button').click();
  await soon(() => page.locator('#wallets .hint').innerText()).toContain('BNB Smart Chain (BEP20)');
  expect(JSON.stringify(await page.evaluate('asked'))).not.toContain('eth_sendTransaction');
});

test('a TRON wallet makes the transfer with its own tronWeb, after it has shown its chain', async () => {
  const shop = await openShop();
  const { page } = await openPage();
  await page.addInitScript(mockWallet('TIP6963', ''));
  const tron = testPage(
    testFacts({ network: 'tron', decimals: 6, expectedAmount: 50_000_000n, requiredAmount: 50_000_000n }),
    {
      chain: { family: 'tron', chainId: 728126428 },
    },
  );
  await page.route(/\/pay\/[\w-]{43}$/, (route) =>
    route.fulfill({ contentType: 'text/html', body: renderPayment(tron) }),
  );
  await page.goto(shop.url);
  await page.locator('#wallets button').click();
  await soon(() => page.locator('#wallets .hint').innerText()).toBe(en.walletSent);
  const asked = (await page.evaluate('asked')) as { call?: unknown[]; signature?: string }[];
  expect(asked.at(-1)).toMatchObject({
    signature: 'mine',
    call: [
      expect.stringMatching(/^T/),
      'transfer(address,uint256)',
      { feeLimit: 100_000_000 },
      [
        { type: 'address', value: tron.view.instructions?.address },
        { type: 'uint256', value: '50000000' },
      ],
      'TFrom',
    ],
  });
});

/** A shop's page that shows another in a frame and writes down what that one says. */
async function serveEmbedding(): Promise<{ origin: string; show(url: string): void }> {
  let shown = '';
  const server = createServer((_request, response) => {
    const script = "told = []; addEventListener('message', (event) => told.push(event.data))";
    response
      .setHeader('content-type', 'text/html')
      .end(`<script>${script}</script><iframe src="${shown}"></iframe>`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    show: (url) => {
      shown = url;
    },
  };
}

test('a page in a frame tells its status to the origin that may embed it, and is shown nowhere else', async () => {
  const [own, other] = [await serveEmbedding(), await serveEmbedding()];
  const shop = await openShop({ embedOrigins: [own.origin] });
  own.show(shop.url);
  other.show(shop.url);
  const { page } = await openPage();
  await page.goto(own.origin);
  await soon(() => page.evaluate('told')).toEqual([
    { type: 'depositd:status', payment_number: shop.made.payment_number, status: 'pending' },
  ]);
  await page.goto(other.origin);
  await soon(() => page.frames()[1]?.url()).toMatch(/^chrome-error:/);
});

test('a payer chooses how to pay, and names a transaction, without JavaScript; axe finds nothing in the page of the choice', async () => {
  const { api, shop } = await openShop();
  await api.addAddresses(shop, 'bsc', 1);
  const made = await api.send<{ checkout_url: string }>('POST', '/api/v1/checkout-sessions/', {
    key: shop.key,
    json: { amount_usd_cents: 5000, cancel_url: 'https://shop.example/cart' },
  });
  const url = `${api.url}${new URL(made.body.checkout_url).pathname}`;
  for (const [options, language] of [
    [phone, 'en'],
    [{ ...phone, colorScheme: 'dark' }, 'ar'],
  ] as const) {
    const { page, faults } = await openPage(options);
    await page.goto(`${url}?lang=${language}`);
    expect(await page.locator('h1').innerText()).toBe(choiceMessages[language].title);
    expect(await faultsOf(page)).toEqual([]);
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    expect(faults).toEqual([]);
  }
  const { page, faults } = await openPage({ ...phone, javaScriptEnabled: false });
  await page.goto(url);
  await page.locator('button[value="bsc/usdt"]').click();
  expect(page.url()).toMatch(/\/pay\/[\w-]{43}/);
  expect(await page.locator('h1').innerText()).toBe(en.states.waiting.title);
  await page.locator('#find summary').click();
  await page.locator('#transaction').fill('no hash');
  await page.locator('#find button').click();
  expect(await page.locator('main').innerText()).toContain(lookMessages.en.notOne);
  expect(faults).toEqual([]);
});
