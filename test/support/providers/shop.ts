import { sql } from 'kysely';
import { expect, onTestFinished } from 'vitest';
import type { ProviderConfig } from '../../../src/config.ts';
import type { Adapter } from '../../../src/providers/provider.ts';
import type { Db } from '../../../src/storage/schema.ts';
import { type ApiServer, openApiServer, type TestAnswer, type TestMerchant } from '../api-server.ts';
import { testConfig } from '../config.ts';
import type { LedgerCharge, StandIn } from './stand-in.ts';
import { providerConfig, type SentWebhook, type Subject } from './subjects.ts';

type Body = Record<string, unknown>;

export type Shown = {
  payment_number: string;
  status: string;
  reason: string | null;
  tx_hash: string;
  checkout_url: string;
  expected_crypto_amount: string;
  amount_usd_cents: number;
  price: { amount: string; currency: string };
  provider: {
    status: string;
    refunded: string;
    disputed: boolean;
    reference: string;
    checkout_url: string;
    fee: string | null;
    mode: string;
  };
};

/** A shop that takes money by one provider, whose stand-in it talks to over HTTP. */
export type ProviderShop = {
  api: ApiServer;
  standIn: StandIn;
  merchant: TestMerchant;
  config: ProviderConfig;
  create(body?: Body, headers?: Record<string, string>): Promise<TestAnswer<Shown & { code?: string }>>;
  /** Checked when a test ends; to be asked for before its database is emptied. */
  expectNoSecret(): Promise<void>;
  /** Creates a payment and answers it with its charge in the ledger. */
  begin(body?: Body): Promise<{ payment: Shown; charge: LedgerCharge }>;
  view(payment: Pick<Shown, 'payment_number'>): Promise<Shown>;
  /** The events of the merchant so far. */
  events(): Promise<string[]>;
  deliver(webhook: SentWebhook, path?: string): Promise<TestAnswer>;
  /** Time passes on both sides, and the provider's loop takes a step after each. */
  pass(...seconds: number[]): Promise<void>;
};

/** What was made at the provider is told to the operator, this once. */
const tellsOnce = /\/(webhook-endpoints|keys)\/$/;

export async function openProviderShop(
  db: Db,
  subject: Subject,
  changes: Partial<ProviderConfig> = {},
  more: { adapters?: readonly Adapter[] } = {},
): Promise<ProviderShop> {
  const startAt = Date.UTC(2026, 4, 24, 11, 35, 0, 250);
  const standIn = await subject.start(startAt);
  const config = providerConfig(subject, standIn.url, changes);
  const webhooks = { ...testConfig().webhooks, allowHosts: ['127.0.0.1'] };
  const api = await openApiServer(db, { providers: { [config.name]: config }, webhooks }, more);
  const merchant = await api.addMerchant();
  const answers: string[] = [];
  const { send } = api;
  api.send = async <T>(...request: Parameters<typeof send>) => {
    const answer = await send<T>(...request);
    const [method, path] = request;
    if (!(method === 'POST' && tellsOnce.test(path))) answers.push(answer.text);
    return answer;
  };
  /** Whatever a test did: nothing that was logged, stored or answered holds what gives access. */
  async function expectNoSecret(): Promise<void> {
    const said = JSON.stringify([api.logs, answers, await everyRow(db.withoutPlugins())]);
    expect(said.includes('Shop'), 'the rows were read').toBe(true);
    for (const secret of subject.secrets)
      expect(said.includes(secret), 'a secret was kept or told').toBe(false);
  }
  onTestFinished(expectNoSecret);

  async function create(body: Body = {}, headers: Record<string, string> = {}) {
    const currency = subject.currency;
    const json = {
      network: config.name,
      currency: currency.toLowerCase(),
      amount: '50.00',
      amount_currency: currency,
      ...body,
    };
    return api.send<Shown & { code?: string }>('POST', '/api/v1/payments/', {
      key: merchant.key,
      json,
      headers,
    });
  }

  return {
    api,
    standIn,
    merchant,
    config,
    create,
    expectNoSecret,
    async begin(body) {
      const answer = await create(body);
      if (answer.status !== 201) throw new Error(`not created: ${answer.text}`);
      const charge = [...standIn.charges.values()].at(-1);
      if (charge === undefined) throw new Error('the provider has no charge');
      return { payment: answer.body, charge };
    },
    async view({ payment_number: number }) {
      return (await api.send<Shown>('GET', `/api/v1/payments/${number}/`, { key: merchant.key })).body;
    },
    async events() {
      const { body } = await api.send<{ data: { body: { event: string } }[] }>('GET', '/api/v1/events/', {
        key: merchant.key,
      });
      return body.data.map(({ body: { event } }) => event);
    },
    async deliver({ headers, body }, path = api.bridges[0]?.inboundPath ?? '') {
      const response = await fetch(`${api.url}/in/${config.name}/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      });
      const text = await response.text();
      answers.push(text);
      return { status: response.status, headers: response.headers, text, body: text };
    },
    async pass(...seconds) {
      for (const each of seconds) {
        api.advance(each);
        standIn.advance(each);
        await api.followProviders();
      }
    },
  };
}

/** What the database holds, bytes as text. */
async function everyRow(db: Db): Promise<string> {
  const rows: string[] = [];
  for (const { name } of await db.introspection.getTables()) {
    for (const row of (await sql<Record<string, unknown>>`select * from ${sql.table(name)}`.execute(db)).rows)
      rows.push(JSON.stringify(Object.values(row).map(String)));
  }
  return rows.join('\n');
}
