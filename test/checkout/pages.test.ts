import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { TronWeb } from 'tronweb';
import { encode } from 'uqr';
import { encodeFunctionData, erc20Abi } from 'viem';
import { describe, expect, test } from 'vitest';
import { renderChoice } from '../../src/checkout/choice-page.ts';
import { renderNotice } from '../../src/checkout/document.ts';
import { choiceMessages } from '../../src/checkout/languages/choice.ts';
import { type Language, languageTags, messagesIn } from '../../src/checkout/languages/languages.ts';
import { lookMessages } from '../../src/checkout/languages/look.ts';
import { checkoutStates, type Messages } from '../../src/checkout/languages/messages.ts';
import { type LookPage, renderLook } from '../../src/checkout/look-page.ts';
import { renderPayment } from '../../src/checkout/page.ts';
import { bestMask, withMask } from '../../src/checkout/qr-mask.ts';
import { presentStatus } from '../../src/checkout/status.ts';
import type { Verdict } from '../../src/checkout/verdict.ts';
import { type Instructions, viewPayment } from '../../src/checkout/view.ts';
import { paymentUri, walletLinks, walletRequest } from '../../src/checkout/wallets.ts';
import { type AddressKey, writeAddress } from '../../src/core/address.ts';
import { encodeTokenCall } from '../../src/core/erc20.ts';
import { evmAddress } from '../support/addresses.ts';
import {
  testAssets,
  testBrand,
  testChoice,
  testFacts,
  testInstead,
  testPage,
  testPages,
} from '../support/checkout.ts';
import { expiresAt, testPayment, tokenKey, usdt, usdtOnBsc } from '../support/payments.ts';

const facts = testPages();

/** What people read of a page, and what is read to them. */
function textOf(html: string): string {
  const spoken = [...html.matchAll(/ (?:aria-label|data-[a-z]+|alt)="([^"]*)"/g)].map(([, text]) => text);
  const read = html.replace(/<script.*?<\/script>/gs, '').replace(/<ul>.*?<\/ul>/gs, '');
  return `${read.replace(/<[^>]*>/g, '\n')}\n${spoken.join('\n')}`
    .replaceAll('&#39;', "'")
    .replaceAll('&quot;', '"');
}

/** Every page that is not a payment's own. */
function otherPages(language: Language): string[] {
  const shell = { language, brand: testBrand, assets: testAssets };
  const { notFound, tooMany, unavailable, badRequest } = messagesIn(language);
  const { expired, cancelled, ...choice } = choiceMessages[language];
  const outcomes: LookPage['outcome'][] = [
    { outcome: 'not_one' },
    { outcome: 'too_soon', nextAt: 20_000 },
    ...verdicts.map((verdict) => ({ outcome: 'looked', verdict, nextAt: 20_000 }) as const),
  ];
  const alerts = [null, choice.failed, choice.paid, choice.tooMany, ...Object.values(choice.troubles)];
  return [
    ...[notFound, tooMany, unavailable, badRequest, expired, cancelled].map((notice) =>
      renderNotice(shell, notice),
    ),
    renderNotice(shell, lookMessages[language].requote.refused),
    ...outcomes.map((outcome) => renderLook({ ...shell, outcome, payPath: '/pay/token', now: 0 })),
    ...alerts.map((alert) =>
      renderChoice({
        ...shell,
        ...testChoice(),
        paths: { form: '/checkout/token', pay: '/pay' },
        embedOrigins: [],
        alert,
      }),
    ),
  ];
}

const verdicts: readonly Verdict[] = [
  { kind: 'right', confirmations: 3, required: 15 },
  { kind: 'another_network', network: 'ethereum' },
  ...(
    [
      'late',
      'too_little',
      'unmined',
      'another_token',
      'another_recipient',
      'failed',
      'before',
      'not_found',
    ] as const
  ).map((kind) => ({ kind })),
];

/** All texts of a language, as they read with the words of a page. */
function textsOf(messages: Messages, words: Parameters<Messages['states']['paid']['text']>[0]): string[] {
  const from = (value: unknown): string[] => {
    if (typeof value === 'string') return [value];
    if (typeof value === 'function') return [];
    return Object.values(value as object).flatMap(from);
  };
  const { only, openIn, payWith, contactShop, walletNetwork } = messages;
  return [
    ...from(messages),
    ...Object.values(messages.states).map(({ text }) => text(words)),
    only('', ''),
    openIn(''),
    payWith(''),
    contactShop,
    walletNetwork(''),
  ].map((text) => text.trim());
}

describe('the page of a payment', () => {
  test.each(checkoutStates)('in the state %s has its title, one sentence and the next action', (state) => {
    const view = viewPayment(facts[state]);
    expect(view.state).toBe(state);
    const { title, text, next } = messagesIn('en').states[state];
    const page = textOf(renderPayment(testPage(facts[state])));
    for (const part of [title, text(view.words), next]) expect(page).toContain(part);
  });

  test.each(languageTags.filter((tag) => tag !== 'en'))('has no English text left in %s', (language) => {
    const messages = messagesIn(language);
    for (const state of checkoutStates) {
      const page = testPage(facts[state], { language });
      const { words } = page.view;
      const own = new Set(textsOf(messages, words));
      // Words that the two languages share, such as "Transaction", and what is no word.
      const english = textsOf(messagesIn('en'), words).filter((text) => !own.has(text) && text.length > 3);
      const lines = textOf(renderPayment(page)).split('\n');
      expect(
        english.filter((text) =>
          lines.some((line) => line.trim() === text || (text.length > 12 && line.includes(text))),
        ),
        `${language} ${state}`,
      ).toEqual([]);
    }
  });

  test('says in each language what to send and where, and never localises it', () => {
    for (const language of languageTags) {
      const page = renderPayment(testPage(facts.waiting, { language }));
      expect(page).toContain('<span id="amount">50.000000</span> USDT');
      expect(page).toContain('BNB Smart Chain (BEP20)');
      expect(page).toContain(`lang="${language}" dir="${language === 'ar' ? 'rtl' : 'ltr'}"`);
    }
  });

  test('is at most 14 KB with its style and its script, compressed, in every state and language', () => {
    const size = (text: string) => gzipSync(text).length;
    const fixed = size(testAssets.style.body) + size(testAssets.script.body);
    const pages = languageTags.flatMap((language: Language) =>
      checkoutStates.map((state) => size(renderPayment(testPage(facts[state], { language })))),
    );
    expect(fixed + Math.max(...pages)).toBeLessThanOrEqual(14 * 1024);
  });

  test.each(languageTags.filter((tag) => tag !== 'en'))(
    'of the choice, of a notice and of each answer to a form has no English text left in %s',
    (language) => {
      const lines = (pages: readonly string[]) =>
        new Set(
          pages.flatMap((page) =>
            textOf(page)
              .split('\n')
              .map((line) => line.trim()),
          ),
        );
      const english = lines(otherPages('en'));
      const same = [...lines(otherPages(language))].filter(
        (line) => english.has(line) && /\p{L}{2}/u.test(line),
      );
      // What has no language: names, amounts, and what is for the script.
      const named =
        /Blue Fox Books|USD[TC]|Tether|Circle|BNB Smart Chain|Ethereum \(|TRON \(|MonCash|^true$|^#?[\w-]*-\d+$/;
      expect(same.filter((line) => !named.test(line))).toEqual([]);
    },
  );

  test('of the choice and of each answer is at most 14 KB with its style and its script too', () => {
    const size = (text: string) => gzipSync(text).length;
    const fixed = size(testAssets.style.body) + size(testAssets.script.body);
    const largest = Math.max(...languageTags.flatMap((language) => otherPages(language).map(size)));
    expect(fixed + largest).toBeLessThanOrEqual(14 * 1024);
  });

  test('leads to the shop or a provider outside the frame that it may be in', () => {
    for (const state of checkoutStates) {
      const html = renderPayment(testPage(facts[state]));
      const links = html.match(/<a [^>]*href="https:\/\/(?:shop|provider)\.example\/[^>]*>/g) ?? [];
      expect(links.filter((link) => !link.includes('target="_top"'))).toEqual([]);
    }
  });

  test('refers to nothing elsewhere, and has no script or style of its own', () => {
    const html = renderPayment(testPage(facts.waiting, { explorerUrl: null }));
    expect(html).not.toMatch(/ (?:src|action)="(?:https?:)?\/\//);
    expect(html).not.toMatch(/<style| style="| on[a-z]+="|<script(?! type="module" src=)/);
  });

  test('loads itself again without JavaScript, until nothing can happen any more', () => {
    const refreshes = (state: (typeof checkoutStates)[number]) =>
      renderPayment(testPage(facts[state])).includes('http-equiv="refresh"');
    expect(checkoutStates.filter((state) => !refreshes(state)).toSorted()).toEqual(
      ['cancelled', 'declined', 'expired', 'late', 'overpaid', 'paid', 'underpaid'].toSorted(),
    );
  });

  test('asks for money only while it can still come in time', () => {
    expect(checkoutStates.filter((state) => viewPayment(facts[state]).instructions !== null)).toEqual([
      'waiting',
      'partly_paid',
      'wrong_asset',
    ]);
    const over = { ...facts.partly_paid, now: expiresAt };
    expect(viewPayment(over)).toMatchObject({ state: 'underpaid', final: false, instructions: null });
  });

  test('asks for the rest of what was partly paid, and puts the rest into the codes and wallets', () => {
    const html = renderPayment(testPage(facts.partly_paid));
    expect(html).toContain('<span id="amount">30.000000</span>');
    expect(html).toContain(encodeTokenCall('transfer', testPayment().address, usdt(30)));
  });

  test('never says expired once a transfer was seen: the network took it back', () => {
    expect(viewPayment({ ...facts.expired, tookBack: true }).state).toBe('reverted');
  });

  test('names what came instead, and folds the instructions away', () => {
    const html = renderPayment(testPage(facts.wrong_asset));
    expect(textOf(html)).toContain(
      'We received 25.000000 USDC · Ethereum (ERC20). Expected: USDT · BNB Smart Chain (BEP20).',
    );
    expect(html).toContain('<details id="instructions"');
    const many = Array.from({ length: 20 }, (_, n) => testInstead(BigInt(n + 1), 'usdt', 'ethereum'));
    expect(viewPayment(testFacts({}, [], { instead: many })).words.instead.split(', ')).toHaveLength(3);
  });

  test('tells how long it still takes, by the blocks that are missing or those until it is final', () => {
    expect(viewPayment(facts.confirming).confirmedInSeconds).toBe(Math.ceil(9 * 0.45));
    const chain = { available: true, blockSeconds: 12, finalizedHeight: 50 };
    expect(viewPayment({ ...facts.confirming, chain }).confirmedInSeconds).toBe(65 * 12);
    expect(viewPayment({ ...facts.confirming, chain: null }).confirmedInSeconds).toBeNull();
  });

  test('goes on while the chain is not read, and says so', () => {
    const chain = { available: false, blockSeconds: null, finalizedHeight: null };
    const view = viewPayment({ ...facts.waiting, chain });
    expect(view).toMatchObject({ state: 'waiting', delayed: true });
    expect(view.instructions).not.toBeNull();
    expect(renderPayment(testPage({ ...facts.waiting, chain }))).toContain(messagesIn('en').delayed);
  });

  test('escapes whatever a shop or its app has written, and links to web pages alone', () => {
    const hostile = '"><script>alert(1)</script>';
    const view = testFacts({ externalOrderId: hostile, redirectUrl: 'javascript:alert(1)' });
    const html = renderPayment(testPage(view, { brand: { ...testPage(view).brand, name: hostile } }));
    expect(html).not.toContain('<script>');
    expect(html).not.toContain('javascript:');
  });

  test('says in its status nothing that is not the payer’s business', () => {
    for (const state of checkoutStates) {
      const page = renderPayment(testPage(facts[state])) + presentStatus(viewPayment(facts[state])).json;
      for (const secret of ['jo@example.com', 'GOLD-PLAN', 'mer_1', 'node.example', 'ref"']) {
        expect(page).not.toContain(secret);
      }
    }
  });

  test('tells USDT and USDC apart by name, issuer, sign, colour and shape', () => {
    const badge = (currency: 'usdt' | 'usdc') => {
      const html = renderPayment(testPage(testFacts({ currency, coin: currency })));
      return [/<svg class="badge".*?<\/svg>/s.exec(html)?.[0], /USD[TC] · (?:Tether|Circle)/.exec(html)?.[0]];
    };
    const [usdt, usdc] = [badge('usdt'), badge('usdc')];
    expect(usdt[1]).toBe('USDT · Tether');
    expect(usdc[1]).toBe('USDC · Circle');
    for (const attribute of [/rx="\d+"/, /fill="#[0-9a-f]{6}"/, />(.)<\/text>/]) {
      expect(attribute.exec(usdt[0] ?? '')?.[0]).not.toBe(attribute.exec(usdc[0] ?? '')?.[0]);
    }
  });
});

describe('a QR code', () => {
  const anyText = fc.stringMatching(/^[0-9a-zA-Z]{20,80}$/);

  test('has under each mask the modules that the library gives it', () => {
    fc.assert(
      fc.property(anyText, fc.nat(7), fc.nat(7), (text, from, to) => {
        const [code, other] = [from, to].map((maskPattern) =>
          encode(text, { ecc: 'M', border: 0, maskPattern }),
        );
        const isData = code?.types.flat().map((type) => type === 0) ?? [];
        const expected = other?.data
          .flat()
          .map(Number)
          .filter((_, n) => isData[n]);
        expect(code && [...withMask(code, to)].filter((_, n) => isData[n])).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  test('has the mask that the library finds best, or one that is hardly worse', () => {
    let same = 0;
    for (let n = 0; n < 40; n++) {
      const text = evmAddress(n + 1);
      const best = encode(text, { ecc: 'M', border: 0 }).maskPattern;
      if (bestMask(encode(text, { ecc: 'M', border: 0, maskPattern: n % 8 })) === best) same += 1;
    }
    // What names the mask is a part of the code too, and not looked at here.
    expect(same).toBeGreaterThan(16);
  });
});

describe('wallets', () => {
  const evm = { family: 'evm', chainId: 56 } as const;
  const token = { token: usdtOnBsc, currency: 'usdt', decimals: 18 } as const;
  const address = testPayment().address;

  test('get the call that viem encodes', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
        fc.stringMatching(/^[0-9a-f]{40}$/),
        (amount, key) => {
          const to = `0x${key}` as const;
          const call = { abi: erc20Abi, functionName: 'transfer', args: [to, amount] } as const;
          expect(encodeTokenCall('transfer', to, amount)).toBe(encodeFunctionData(call));
        },
      ),
    );
  });

  test('get a transfer of the token, or of the coin itself, on the chain that was asked for', () => {
    const instructions = { address, amount: 5n, amountText: '5', asset: token };
    expect(walletRequest(instructions, evm)).toEqual({
      family: 'evm',
      chain: '0x38',
      to: '0x55d398326f99059fF775485246999027B3197955',
      value: '0x0',
      call: encodeTokenCall('transfer', address, 5n),
    });
    const native = { ...instructions, asset: { token: 'native', currency: 'native', decimals: 18 } as const };
    expect(walletRequest(native, evm)).toEqual({ family: 'evm', chain: '0x38', to: address, value: '0x5' });
    expect(walletRequest(native, { family: 'tron', chainId: 728126428 })).toMatchObject({
      family: 'tron',
      genesis: '2b6653dc',
      amount: '5',
    });
    expect(paymentUri(native, evm)).toBe(`ethereum:${address}@56?value=5`);
    expect(paymentUri(instructions, evm)).toBe(
      `ethereum:0x55d398326f99059fF775485246999027B3197955@56/transfer?address=${address}&uint256=5`,
    );
    expect(paymentUri(instructions, { family: 'tron', chainId: 1 })).toBeNull();
  });

  test('make on TRON, with tronWeb, the transfer that we would encode', async () => {
    const tronWeb = new TronWeb({ fullHost: 'http://127.0.0.1:1' });
    const from = 'TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t';
    const local = {
      txLocal: true,
      blockHeader: {
        ref_block_bytes: '0001',
        ref_block_hash: '00'.repeat(8),
        expiration: 60_000,
        timestamp: 1,
      },
    };
    const usdtOnTron = { token: tokenKey('tron', 'usdt'), currency: 'usdt', decimals: 6 } as const;
    const chain = { family: 'tron', chainId: 728126428 } as const;
    const anyTransfer = fc.tuple(
      fc.bigInt({ min: 1n, max: 2n ** 53n - 1n }),
      fc.stringMatching(/^[0-9a-f]{40}$/),
    );
    await fc.assert(
      fc.asyncProperty(anyTransfer, async ([amount, key]) => {
        const to = writeAddress('tron', key as AddressKey);
        const of = (asset: Instructions['asset']) =>
          walletRequest({ address: to, amount, amountText: '', asset }, chain);
        // As the script hands them on: see the test of a TRON wallet in the browser.
        const token = of(usdtOnTron);
        const made = await tronWeb.transactionBuilder.triggerSmartContract(
          token.contract ?? '',
          'transfer(address,uint256)',
          { feeLimit: 100_000_000, ...local },
          [
            { type: 'address', value: token.to },
            { type: 'uint256', value: token.amount },
          ],
          from,
        );
        expect(made.transaction.raw_data.contract[0]?.parameter.value).toMatchObject({
          contract_address: `41${usdtOnTron.token}`,
          data: encodeTokenCall('transfer', `0x${key}`, amount).slice(2),
        });
        expect(made.transaction.raw_data_hex).toContain(
          encodeTokenCall('transfer', `0x${key}`, amount).slice(2),
        );
        const native = of({ token: 'native', currency: 'native', decimals: 6 });
        const coins = await tronWeb.transactionBuilder.sendTrx(
          native.to ?? '',
          Number(native.amount),
          from,
          local,
        );
        expect(coins.raw_data.contract[0]?.parameter.value).toMatchObject({
          to_address: `41${key}`,
          amount: Number(amount),
        });
      }),
      { numRuns: 50 },
    );
  });

  test('are opened on phones by links that hold the address of the page', () => {
    const url = 'https://pay.example.com/pay/a-token';
    for (const chain of [evm, { family: 'tron', chainId: 728126428 } as const]) {
      for (const { href } of walletLinks(url, chain)) {
        expect(decodeURIComponent(decodeURIComponent(href))).toContain('pay.example.com/pay/a-token');
      }
    }
    expect(walletLinks(url, evm).map(({ name }) => name)).toContain('MetaMask');
    expect(walletLinks(url, { family: 'tron', chainId: 1 }).map(({ name }) => name)).toContain('TronLink');
  });
});
