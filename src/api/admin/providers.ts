import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import { presentProvider, presentUnmatchedCharge, presentWebhookConfig } from '../../present/providers.ts';
import type { Asked, ProviderDesk, ProviderReport } from '../../providers/desk.ts';
import { inTransaction } from '../../storage/database.ts';
import { recordAudit } from '../../storage/operators/audit.ts';
import { listUnmatchedCharges } from '../../storage/providers/providers.ts';
import type { Db } from '../../storage/schema.ts';
import { notFound } from '../http/errors.ts';
import { providerError } from '../merchant/provider-answers.ts';
import {
  balanceSchema,
  listTransactions,
  providerMethodSchema,
  transactionSchema,
} from '../merchant/providers.ts';
import {
  bodyErrors,
  commonErrors,
  countSchema,
  listOf,
  plainText,
  providerCursor,
  serviceErrorSchema,
  timeSchema,
} from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';

const tags = ['Providers'];
const params = z.object({ name: z.string() });
const errors = { ...bodyErrors, 409: serviceErrorSchema, 502: serviceErrorSchema };
const readErrors = { ...commonErrors, 409: serviceErrorSchema, 502: serviceErrorSchema };

const providerSchema = z.object({
  name: z.string(),
  type: z.string(),
  label: z.string(),
  mode: z.enum(['live', 'test']),
  enabled: z.boolean(),
  merchants: z.array(z.string()).nullable().describe('Null: all of them.'),
  currencies: z.array(z.string()),
  trouble: z.string().nullable().describe('Why it cannot be used now, as far as this process knows.'),
  inbound_url: z
    .string()
    .describe('Where its webhooks come in: tell it to the provider, and to nobody else.'),
  last_success_at: timeSchema.nullable(),
  last_error_at: timeSchema.nullable(),
  last_error: z.string().nullable().describe('Null since it answers again.'),
  rejected_webhooks: countSchema.describe('Refused because their signature was wrong.'),
  swept_at: timeSchema.nullable().describe("When the provider's own list was last read."),
  drift: z.string().nullable().describe('How its webhook configuration differs from ours.'),
  unmatched: countSchema.describe('Charges of its list that no payment explains.'),
});

const unmatchedSchema = z.object({
  charge_id: z.string(),
  status: z.string(),
  amount: z.string().nullable(),
  currency: z.string().nullable(),
  found_at: timeSchema,
});

const webhookConfigSchema = z.object({
  configured: z.boolean(),
  url: z.string().nullable(),
  secret_set: z.boolean(),
  event_types: z.array(z.string()).nullable().describe('Null: all of them.'),
  active: z.boolean(),
});

/** What the provider answered, with its own names. */
const toldSchema = z.record(z.string(), z.unknown());

const emptyBody = z.strictObject({}).optional();

export type AdminProviderDeps = { db: Db; clock: Clock; providers: ProviderDesk };

/** The operator's accounts with fiat providers. */
export function registerAdminProviderRoutes(api: Api, { db, clock, providers }: AdminProviderDeps): void {
  api.route({
    method: 'GET',
    url: '/providers/',
    schema: {
      tags,
      operationId: 'listProviders',
      summary: 'Every provider, how it does, and where its webhooks come in',
      response: { ...commonErrors, 200: listOf(providerSchema) },
    },
    handler: async () => ({ data: (await providers.reports()).map(presentProvider), next_cursor: null }),
  });

  api.route({
    method: 'GET',
    url: '/providers/:name/unmatched/',
    schema: {
      tags,
      operationId: 'listUnmatchedCharges',
      summary: "Charges of the provider's list that no payment explains, newest first",
      params,
      response: { ...commonErrors, 200: listOf(unmatchedSchema) },
    },
    handler: async (request) => {
      const { name } = await requireReport(request.params.name);
      const rows = await listUnmatchedCharges(db, name, 100);
      return {
        data: rows.map(presentUnmatchedCharge),
        next_cursor: null,
      };
    },
  });

  api.route({
    method: 'GET',
    url: '/providers/:name/balance/',
    schema: {
      tags,
      operationId: 'readProviderBalance',
      summary: "The account's balance",
      params,
      response: { ...readErrors, 200: balanceSchema },
    },
    handler: async (request) => {
      const { currency, amounts } = await take(request.params.name, providers.balance);
      return { currency, amounts: { ...amounts } };
    },
  });

  api.route({
    method: 'GET',
    url: '/providers/:name/transactions/',
    schema: {
      tags,
      operationId: 'listProviderTransactions',
      summary: "The provider's own list, of the last 30 days",
      params,
      querystring: z.strictObject({ cursor: providerCursor }),
      response: { ...readErrors, 200: listOf(transactionSchema) },
    },
    handler: async (request) => {
      const report = await requireReport(request.params.name);
      const page = await listTransactions({ db, clock, providers }, report, request.query.cursor ?? null);
      return { data: page.rows.map(({ shown }) => shown), next_cursor: page.next };
    },
  });

  api.route({
    method: 'GET',
    url: '/providers/:name/methods/',
    schema: {
      tags,
      operationId: 'listProviderMethods',
      summary: 'How payers can pay there',
      params,
      response: { ...readErrors, 200: listOf(providerMethodSchema) },
    },
    handler: async (request) => ({
      data: [...(await take(request.params.name, providers.methods))],
      next_cursor: null,
    }),
  });

  api.route({
    method: 'POST',
    url: '/providers/:name/test-webhook/',
    schema: {
      tags,
      operationId: 'testProviderWebhook',
      summary: 'Have the provider send a test webhook',
      params,
      body: emptyBody,
      response: { ...errors, 200: toldSchema },
    },
    handler: async (request) => {
      const { name } = request.params;
      const told = await take(name, providers.testWebhook);
      await audit(request, 'provider.webhook_tested', name, {});
      return { ...told };
    },
  });

  api.route({
    method: 'GET',
    url: '/providers/:name/webhook-config/',
    schema: {
      tags,
      operationId: 'readProviderWebhookConfig',
      summary: 'What is configured at the provider',
      params,
      response: { ...readErrors, 200: webhookConfigSchema },
    },
    handler: async (request) =>
      presentWebhookConfig(await take(request.params.name, providers.readWebhookConfig)),
  });

  api.route({
    method: 'PUT',
    url: '/providers/:name/webhook-config/',
    schema: {
      tags,
      operationId: 'writeProviderWebhookConfig',
      summary: "Point the provider's webhooks at this daemon, with the secret of the configuration",
      params,
      body: z
        .strictObject({
          event_types: z.array(plainText(60)).max(50).nullable().default(null),
          active: z.boolean().default(true),
        })
        .optional(),
      response: { ...errors, 200: webhookConfigSchema },
    },
    handler: async (request) => {
      const { name } = request.params;
      const { event_types: eventTypes = null, active = true } = request.body ?? {};
      const config = await take(name, (one) => providers.writeWebhookConfig(one, { eventTypes, active }));
      await audit(request, 'provider.webhook_configured', name, { active });
      return presentWebhookConfig(config);
    },
  });

  api.route({
    method: 'DELETE',
    url: '/providers/:name/webhook-config/',
    schema: {
      tags,
      operationId: 'deleteProviderWebhookConfig',
      summary: 'Have the provider send no more webhooks',
      params,
      response: { ...errors, 200: webhookConfigSchema },
    },
    handler: async (request) => {
      const { name } = request.params;
      await take(name, providers.deleteWebhookConfig);
      await audit(request, 'provider.webhook_unconfigured', name, {});
      return presentWebhookConfig('none');
    },
  });

  api.route({
    method: 'POST',
    url: '/providers/:name/webhook-endpoints/',
    schema: {
      tags,
      operationId: 'createProviderWebhookEndpoint',
      summary: 'Make a webhook endpoint at the provider that leads here',
      description: 'Its secret is shown this once: put it into the configuration as `webhookSecret`.',
      params,
      body: z.strictObject({
        events: z
          .array(plainText(60))
          .min(1)
          .max(50)
          .default(['charge.completed', 'charge.failed', 'charge.refunded', 'charge.disputed']),
      }),
      response: { ...errors, 201: toldSchema },
    },
    handler: async (request, reply) => {
      const { name } = request.params;
      const told = await take(name, (one) => providers.createWebhookEndpoint(one, request.body.events));
      await audit(request, 'provider.webhook_endpoint_made', name, { id: String(told.id ?? '') });
      reply.code(201);
      return { ...told };
    },
  });

  api.route({
    method: 'GET',
    url: '/providers/:name/keys/',
    schema: {
      tags,
      operationId: 'listProviderKeys',
      summary: "The account's API keys at the provider",
      params,
      response: { ...readErrors, 200: toldSchema },
    },
    handler: async (request) => ({ ...(await take(request.params.name, providers.listKeys)) }),
  });

  api.route({
    method: 'POST',
    url: '/providers/:name/keys/',
    schema: {
      tags,
      operationId: 'createProviderKey',
      summary: 'Make an API key at the provider, which is shown this once',
      params,
      body: z.strictObject({ name: plainText(100), environment: z.enum(['live', 'test']) }),
      response: { ...errors, 201: toldSchema },
    },
    handler: async (request, reply) => {
      const { name } = request.params;
      const told = await take(name, (one) => providers.createKey(one, request.body));
      await audit(request, 'provider.key_made', name, { id: String(told.id ?? ''), name: request.body.name });
      reply.code(201);
      return { ...told };
    },
  });

  api.route({
    method: 'DELETE',
    url: '/providers/:name/keys/:key_id/',
    schema: {
      tags,
      operationId: 'revokeProviderKey',
      summary: 'Revoke an API key at the provider',
      params: z.object({ name: z.string(), key_id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/) }),
      response: { ...errors, 200: z.object({ id: z.string(), revoked: z.boolean() }) },
    },
    handler: async (request) => {
      const { name, key_id: id } = request.params;
      await take(name, (one) => providers.revokeKey(one, id));
      await audit(request, 'provider.key_revoked', name, { id });
      return { id, revoked: true };
    },
  });

  /** @throws HttpError 404 when there is no such provider. */
  async function requireReport(name: string): Promise<ProviderReport> {
    const report = (await providers.reports()).find((one) => one.name === name);
    if (report === undefined) throw notFound();
    return report;
  }

  /** @throws HttpError for everything but the value. */
  async function take<T>(name: string, ask: (name: string) => Promise<Asked<T> | null>): Promise<T> {
    const answer = await ask(name);
    if (answer === null) throw notFound();
    if (answer.outcome !== 'done') throw providerError(answer, name);
    return answer.value;
  }

  async function audit(
    { actor }: FastifyRequest,
    action: string,
    subject: string,
    detail: Record<string, unknown>,
  ): Promise<void> {
    await inTransaction(db, (trx) => recordAudit(trx, { at: clock(), actor, action, subject, detail }));
  }
}
