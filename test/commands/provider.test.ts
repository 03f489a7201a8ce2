import { describe, expect, test } from 'vitest';
import { testSecrets, testSettings } from '../support/providers/accounts.ts';
import { forhoppSubject, fourpochSubject } from '../support/providers/subjects.ts';
import { waitFor } from '../support/wait.ts';
import { commandHome, offline, readAudit } from './support.ts';

const { jwt, ...forhopp } = testSettings.forhopp;

async function homeWithProviders() {
  const cards = await forhoppSubject.start(Date.now());
  const moncash = await fourpochSubject.start(Date.now());
  const home = commandHome({
    ...offline,
    listen: { port: 0 },
    webhooks: { allowHosts: ['127.0.0.1'] },
    providers: {
      cards: { type: 'forhopp', ...forhopp, baseUrl: cards.url },
      moncash: { type: '4poch', ...testSettings['4poch'], baseUrl: moncash.url },
    },
  });
  return { home, cards, moncash };
}

describe('providers on the command line', () => {
  test('a payment is made through the daemon, confirmed by a fetch after its webhook, and refunded by a command', async () => {
    const { home, cards } = await homeWithProviders();
    const { api_key: key } = await home.runJson<{ api_key: string }>('merchant', 'add', 'Shop');
    const daemon = await home.start();
    const headers = { 'x-api-key': key, 'content-type': 'application/json' };
    const json = { network: 'cards', currency: 'usd', amount_usd_cents: 5000 };
    const made = await fetch(`${daemon.url}/api/v1/payments/`, {
      method: 'POST',
      headers,
      body: JSON.stringify(json),
    });
    expect(made.status).toBe(201);
    const payment = (await made.json()) as { payment_number: string; payment_token: string };

    const [charge] = [...cards.charges.values()];
    if (charge === undefined) throw new Error('no charge');
    const page = async () => (await fetch(`${daemon.url}/pay/${payment.payment_token}`)).text();
    const button = `href="https://pay.forhopp.com/checkout/${charge.id}"`;
    expect(await page()).toContain(button);

    charge.status = 'captured';
    const { inbound_url: inbound } = await home.runJson<{ inbound_url: string }>(
      'provider',
      'show',
      'cards',
      '--json',
    );
    const webhook = forhoppSubject.webhook(charge, { at: Date.now() });
    const heard = await fetch(daemon.url + new URL(inbound).pathname, { method: 'POST', ...webhook });
    expect(heard.status).toBe(200);
    const path = `${daemon.url}/api/v1/payments/${payment.payment_number}/`;
    await waitFor(
      'the payment to be confirmed',
      async () =>
        ((await (await fetch(path, { headers })).json()) as { status: string }).status === 'confirmed',
    );
    expect(await page()).not.toContain(button);
    expect(await page()).toContain('data-state="paid"');

    const refund = [
      'provider',
      'refund',
      payment.payment_number,
      '--amount',
      '20.00',
      '--reason',
      'one of two',
    ];
    expect(await home.runJson(...refund)).toMatchObject({
      status: 'succeeded',
      amount: '20.00',
      currency: 'USD',
    });
    expect(
      (await home.run('provider', 'refund', payment.payment_number, '--amount', '40.00', '--reason', 'x'))
        .code,
    ).toBe(1);
    expect(charge.refunds.map(({ amount }) => amount)).toEqual([2000]);
    expect((await readAudit(home.folder)).map(({ action }) => action)).toContain('payment.refunded');
    const { stdout: shown } = await home.run('payment', 'show', payment.payment_number);
    expect(shown).toMatch(/^price +50\.00 USD$/m);
    expect(shown).toMatch(/^refunded +20\.00$/m);
    expect(shown).not.toContain('[object');

    const list = await home.runJson<{ data: { name: string; mode: string }[] }>('provider', 'list');
    expect(list.data).toMatchObject([
      { name: 'cards', mode: 'test' },
      { name: 'moncash', mode: 'test' },
    ]);
    await daemon.stop();
    const said = JSON.stringify([home.logs, home.stray, list]);
    for (const secret of Object.values(testSecrets)) expect(said).not.toContain(secret);
  }, 60_000);

  test('balance, methods, transactions and the test webhook are asked for, and what a provider has not ends with 1', async () => {
    const { home } = await homeWithProviders();
    expect(await home.runJson('provider', 'balance', 'moncash')).toEqual({
      currency: 'HTG',
      amounts: { balance: '1542.75', total_received: '1542.75' },
    });
    expect(await home.runJson('provider', 'methods', 'moncash')).toMatchObject({
      data: [{ code: '4poch_htg' }, { code: 'moncash' }],
    });
    expect(await home.runJson('provider', 'transactions', 'moncash')).toEqual({ data: [] });
    expect(await home.runJson('provider', 'test-webhook', 'moncash')).toMatchObject({
      http_status: '200',
    });
    const none = await home.run('provider', 'balance', 'cards');
    expect([none.code, none.stderr]).toEqual([
      1,
      expect.stringContaining('ForhoppPay has no balance to ask for'),
    ]);
    expect((await home.run('provider', 'show', 'nobody')).code).toBe(1);
  });
});
