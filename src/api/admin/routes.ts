import swagger from '@fastify/swagger';
import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config.ts';
import type { ProviderDesk } from '../../providers/desk.ts';
import type { DatabaseTime } from '../../storage/database.ts';
import type { Db } from '../../storage/schema.ts';
import { createAttempts } from '../../users/attempts.ts';
import { adminBodyLimit } from '../http/body.ts';
import type { Limiter } from '../http/limits.ts';
import { type DocumentInfo, openApiOptions } from '../http/openapi.ts';
import { commonErrors, detailSchema } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { createAccess } from './access.ts';
import { type AddressRouteDeps, registerAddressRoutes } from './addresses.ts';
import { registerAlertRoutes } from './alerts.ts';
import { registerAuditRoutes } from './audit.ts';
import { registerBrandRoutes } from './brand.ts';
import { type ChainRouteDeps, registerChainRoutes } from './chains.ts';
import { type ChangeRouteDeps, registerChangeRoutes } from './changes.ts';
import { registerDeliveryRoutes } from './deliveries.ts';
import { registerDepositRoutes } from './deposits.ts';
import { registerDerivedPoolRoutes } from './derived-pools.ts';
import { registerMeasurementRoutes } from './measurements.ts';
import { registerMerchantRoutes } from './merchants.ts';
import { registerOpenRefundRoutes } from './open-refunds.ts';
import { registerOverviewRoutes } from './overview.ts';
import { registerPasskeyRoutes } from './passkeys.ts';
import { registerAdminPaymentRoutes } from './payments.ts';
import { registerPaymentExport } from './payments-export.ts';
import { registerPoolRoutes } from './pool.ts';
import { registerAdminProviderRoutes } from './providers.ts';
import { type RateStatus, registerRateRoutes } from './rates.ts';
import { registerRefundRecordRoutes } from './refund-records.ts';
import { registerReplayRoutes } from './replays.ts';
import { registerReportRoutes } from './reports.ts';
import { type RescanRouteDeps, registerRescanRoutes } from './rescans.ts';
import { registerRetireRoutes } from './retire.ts';
import { registerSecondFactorRoutes } from './second-factor.ts';
import { createBeginSession, registerSessionRoutes } from './session.ts';
import { registerSettingRoutes } from './settings.ts';
import { registerUserRoutes } from './users.ts';
import { registerWebhookActions } from './webhook-actions.ts';
import { registerWebhookRoutes, type WebhookRouteDeps } from './webhooks.ts';

export type AdminDeps = {
  db: Db;
  config: Config;
  clock: Clock;
  timeOf?: DatabaseTime;
  nodesOf: ChainRouteDeps['nodesOf'];
  rescanAsked?: RescanRouteDeps['rescanAsked'];
  secrets: WebhookRouteDeps['secrets'];
  wakeNotifier: WebhookRouteDeps['wakeNotifier'];
  codeLook?: AddressRouteDeps['codeLook'];
  providers: ProviderDesk;
  rateStatus: RateStatus;
  log: ChangeRouteDeps['log'];
  failed?: ChangeRouteDeps['failed'];
};

/** The operator's API: every route of it needs the admin token, or the session of a user whose role it allows. */
export async function registerAdminApi(api: Api, deps: AdminDeps, limiter: Limiter): Promise<void> {
  await api.register(swagger, openApiOptions(deps.config, operatorDocument));
  api.decorateRequest('actor', '');
  api.decorateRequest('onlyMerchant', null);
  api.decorateRequest('session', null);
  api.addHook('onRequest', createAccess(deps, { adminToken: deps.config.adminToken, limiter }));
  api.addHook('onRoute', (route) => {
    route.bodyLimit = adminBodyLimit;
    // What a role may not do, a change without the session's token, and one from another origin.
    const { schema } = route;
    if (schema !== undefined)
      route.schema = { ...schema, response: { 403: detailSchema, ...(schema.response as object) } };
  });
  const attempts = createAttempts(deps.clock);
  await api.register(async (routes: Api) => {
    registerMerchantRoutes(routes, deps);
    registerMeasurementRoutes(routes, deps);
    registerBrandRoutes(routes, deps);
    registerAddressRoutes(routes, deps);
    registerRetireRoutes(routes, deps);
    registerDerivedPoolRoutes(routes, deps);
    registerPoolRoutes(routes, deps);
    registerAdminPaymentRoutes(routes, deps);
    registerRefundRecordRoutes(routes, deps);
    registerPaymentExport(routes, deps);
    registerOverviewRoutes(routes, deps);
    registerReportRoutes(routes, deps);
    registerDepositRoutes(routes, deps);
    registerChainRoutes(routes, deps);
    registerRescanRoutes(routes, deps);
    registerWebhookRoutes(routes, deps);
    registerWebhookActions(routes, deps);
    registerDeliveryRoutes(routes, deps);
    registerReplayRoutes(routes, deps);
    registerAdminProviderRoutes(routes, deps);
    registerOpenRefundRoutes(routes, deps);
    registerAlertRoutes(routes, deps);
    registerAuditRoutes(routes, deps);
    registerRateRoutes(routes, deps);
    registerSettingRoutes(routes, deps);
    registerChangeRoutes(routes, deps);
    registerSessionRoutes(routes, { ...deps, attempts });
    registerSecondFactorRoutes(routes, { ...deps, attempts });
    registerPasskeyRoutes(routes, { ...deps, ...deps.secrets, attempts }, createBeginSession(deps.db).begin);
    registerUserRoutes(routes, deps);
    routes.route({
      method: 'GET',
      url: '/schema/',
      schema: {
        tags: ['Schema'],
        operationId: 'readSchema',
        summary: 'This document',
        response: { ...commonErrors, 200: z.record(z.string(), z.unknown()) },
      },
      handler: async () => ({ ...api.swagger() }),
    });
  });
}

const operatorDocument = {
  title: "depositd: the operator's API",
  description: 'Merchants, receive addresses, payments, deposits, webhooks and chains.',
  security: 'adminToken',
  scheme: { type: 'http', scheme: 'bearer', description: '`adminToken` of the configuration.' },
  tags: [
    { name: 'Merchants', description: 'Merchants and their API keys.' },
    { name: 'Pool', description: 'Receive addresses.' },
    { name: 'Payments', description: "Every merchant's payments." },
    { name: 'Deposits', description: 'Everything that reached a watched address.' },
    { name: 'Webhooks', description: 'Endpoints and deliveries.' },
    { name: 'Chains', description: 'How far each chain has been read.' },
    { name: 'Providers', description: 'Accounts with fiat providers.' },
    { name: 'Reports', description: 'What came in.' },
    { name: 'Rates', description: 'What coins are quoted at.' },
    { name: 'Settings', description: 'The configuration in effect.' },
    { name: 'Users', description: 'Who signs in at the dashboard, and in which browsers.' },
    { name: 'Alerts', description: 'What needs an operator.' },
    { name: 'Audit', description: 'What operators changed.' },
    { name: 'Schema', description: 'This document.' },
  ],
} satisfies DocumentInfo;
