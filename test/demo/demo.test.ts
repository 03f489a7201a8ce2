import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { cli, compileCache } from '../support/commands.ts';
import { waitFor } from '../support/wait.ts';

/** The demo in a folder of its own for temporary files, so that what it leaves behind is seen. */
function startDemo(...args: string[]) {
  return startDemoIn(mkdtempSync(join(tmpdir(), 'depositd-demo-test-')), ...args);
}

function startDemoIn(folder: string, ...args: string[]) {
  const child: ChildProcess = spawn(process.execPath, [cli, 'demo', '--block-seconds', '0.2', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, ANVIL_PATH: process.env.ANVIL_PATH, TMPDIR: folder, ...compileCache },
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
    });
  }
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return { child, ended, folder, text: () => text, left: () => readdirSync(folder) };
}

/** The addresses of everything that the demo said it started. */
function urlsIn(text: string): string[] {
  return [...new Set([...text.matchAll(/http:\/\/127\.0\.0\.1:\d+/g)].map((match) => match[0]))];
}

async function answers(url: string): Promise<boolean> {
  return await fetch(url).then(
    () => true,
    () => false,
  );
}

describe('the demo', () => {
  test('confirms a payment in each coin after exactly its confirmations, tells each by a verified webhook, and ends with 0', async () => {
    const demo = startDemo('--once');
    expect(await demo.ended, demo.text()).toBe(0);

    const lines = demo
      .text()
      .split('\n')
      .map((line) => line.trim());
    const count = (pattern: RegExp) => lines.filter((line) => pattern.test(line)).length;
    expect(count(/^created +PAY-\d{4}-\w+$/)).toBe(4);
    expect(count(/^to pay +(50\.000000 USDT|19\.990000 USDC|0\.00571429 BNB) to 0x\w{40}$/)).toBe(3);
    expect(count(/^to pay +12\.500000 USDT to T\w{33}$/)).toBe(1);
    expect(count(/^confirmations +1 2 3 4 5 6 7 8 9 10 11 12 13 14 15$/)).toBe(2);
    expect(count(/^confirmations +1 2 3 4 5 6 7 8 9 10 11 12$/)).toBe(1);
    expect(count(/^confirmations +1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20$/)).toBe(1);
    expect(count(/^webhook +payment\.confirmed received, its signature verified$/)).toBe(4);
    // Nobody takes it for the real one.
    expect(count(/^tron +TRON, chain id 1731317685, simulated node http/)).toBe(1);
    expect(demo.text()).toContain('USDT on a simulated TRON');
    // No escape sequences where nobody looks at a terminal.
    expect(demo.text()).not.toContain('\u001b');
  }, 120_000);

  test('left running serves whoever tries it, and on Ctrl-C stops everything and leaves nothing behind', async () => {
    const demo = startDemo();
    await waitFor('the demo to be left running', () => demo.text().includes('Ctrl-C ends it'), {
      timeoutMs: 90_000,
    });
    const shown = demo.text();
    const [, baseUrl, apiKey] =
      /curl -s (\S+)\/api\/v1\/payments\/ -H 'X-API-Key: (pk_\w+)'/.exec(shown) ?? [];
    const [, shopUrl] = /curl -s -X POST (\S+)\/pay\//.exec(shown) ?? [];

    const created = await fetch(`${baseUrl}/api/v1/payments/`, {
      method: 'POST',
      headers: { 'x-api-key': apiKey ?? '', 'content-type': 'application/json' },
      body: JSON.stringify({ amount_usd_cents: 4200, network: 'bsc', currency: 'usdt' }),
    });
    const { payment_number: number } = (await created.json()) as { payment_number: string };
    expect((await fetch(`${shopUrl}/pay/${number}`, { method: 'POST' })).status).toBe(200);
    await waitFor('the webhook to be shown', () =>
      demo.text().includes(`payment.confirmed of ${number}, its signature verified`),
    );

    const [, checkout = ''] = /checkout +(http\S+)/.exec(shown) ?? [];
    expect(await (await fetch(checkout)).text()).toContain('BNB Smart Chain (BEP20)');
    const body = new URLSearchParams({ method: 'ethereum/usdc' });
    const pay = await fetch(checkout, { method: 'POST', body });
    expect(pay.url).toMatch(/\/pay\/[A-Za-z0-9_-]{43}/);
    expect(await pay.text()).toContain('Ethereum (ERC20)');
    // Its wallet pays too little, then the rest.
    const act = (what: string) =>
      fetch(`${new URL(pay.url).origin}${new URL(pay.url).pathname}/sandbox`, {
        method: 'POST',
        body: new URLSearchParams({ act: what }),
      });
    expect((await act('less')).status).toBe(200);
    await waitFor('a part to be shown', async () =>
      (await (await fetch(pay.url)).text()).includes('data-state="partly_paid"'),
    );
    expect((await act('exact')).status).toBe(200);
    await waitFor('the page to say paid', async () =>
      (await (await fetch(pay.url)).text()).includes('data-state="paid"'),
    );
    // And the shop's own page shows what it was told.
    const told = async () => (await fetch(`${shopUrl}/`)).text();
    await waitFor('the shop to show it', async () =>
      /payment\.confirmed.*?verified.*?a-scarf.*?25\.000000 USDC on Ethereum/s.test(await told()),
    );
    expect(await told()).toMatch(/payment\.partially_paid.*?verified/s);

    const urls = urlsIn(shown);
    // Three nodes, the daemon and the shop.
    expect(urls).toHaveLength(5);
    demo.child.kill('SIGINT');
    expect(await demo.ended).toBe(0);
    expect(demo.left()).toEqual([]);
    for (const url of urls) expect(await answers(url), url).toBe(false);
  }, 120_000);

  test('killed takes everything that it started with it, and the next one clears its files', async () => {
    const demo = startDemo();
    // Three nodes, the daemon and the shop: it begins to pay.
    await waitFor('everything to be started', () => urlsIn(demo.text()).length === 5, { timeoutMs: 90_000 });
    const urls = urlsIn(demo.text());
    demo.child.kill('SIGKILL');
    await demo.ended;
    await waitFor('everything to end', async () => {
      return !(await Promise.all(urls.map(answers))).includes(true);
    });
    expect(demo.left()).toHaveLength(1);

    const next = spawn(process.execPath, [cli, 'demo', '--once'], {
      stdio: 'ignore',
      env: { PATH: '', ANVIL_PATH: join(demo.folder, 'no-anvil'), TMPDIR: demo.folder },
    });
    await once(next, 'close');
    expect(demo.left()).toEqual([]);
  }, 120_000);

  test('without anvil says what is missing, and ends with 1', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'depositd-demo-test-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const child = spawn(process.execPath, [cli, 'demo', '--once'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: '', ANVIL_PATH: join(folder, 'no-anvil'), TMPDIR: folder },
    });
    let text = '';
    child.stderr.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
    });
    const [code] = await once(child, 'close');
    expect(code).toBe(1);
    expect(text).toMatch(/^depositd: cannot start anvil .*install Foundry or set ANVIL_PATH\n$/);
    expect(readdirSync(folder)).toEqual([]);
  });
});
