import swagger from '@fastify/swagger';
import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import type { Config } from '../../config.ts';
import type { PaymentCreator } from '../../payments/create.ts';
import type { ProviderDesk } from '../../providers/desk.ts';
import type { Rates } from '../../rates/rates.ts';
import type { DatabaseTime } from '../../storage/database.ts';
import type { Db } from '../../storage/schema.ts';
import { createMerchantAuth, createOpenLimit } from '../http/auth.ts';
import type { Limiter } from '../http/limits.ts';
import { type DocumentInfo, openApiOptions } from '../http/openapi.ts';
import type { Api } from '../routes.ts';
import { registerChargeRoutes } from './charges.ts';
import { registerSessionRoutes } from './checkout-sessions.ts';
import { registerCreateRoute } from './create-payment.ts';
import { registerEventRoutes } from './events.ts';
import { registerMethodRoutes } from './methods.ts';
import { registerPaymentRoutes } from './payments.ts';
import { registerProviderRoutes } from './providers.ts';
import { commonErrors } from './schemas.ts';

export type MerchantApiDeps = {
  db: Db;
  config: Config;
  clock: Clock;
  timeOf?: DatabaseTime;
  rates: Rates;
  payments: PaymentCreator;
  providers: ProviderDesk;
};

/** What merchants' apps call: every route but the document needs a merchant's key. */
export async function registerMerchantApi(api: Api, deps: MerchantApiDeps, limiter: Limiter): Promise<void> {
  await api.register(swagger, openApiOptions(deps.config, merchantDocument));
  await api.register(async (keyed: Api) => {
    keyed.addHook('onRequest', createMerchantAuth({ db: deps.db, limiter }));
    registerCreateRoute(keyed, deps);
    registerPaymentRoutes(keyed, deps);
    registerSessionRoutes(keyed, deps);
    registerEventRoutes(keyed, deps);
    registerMethodRoutes(keyed, deps);
    registerChargeRoutes(keyed, deps);
    registerProviderRoutes(keyed, deps);
  });
  await api.register(async (open: Api) => {
    open.addHook('onRequest', createOpenLimit(limiter));
    open.route({
      method: 'GET',
      url: '/schema/',
      schema: {
        tags: ['Schema'],
        operationId: 'readSchema',
        summary: 'This document',
        security: [],
        response: {
          400: commonErrors[400],
          429: commonErrors[429],
          200: z.record(z.string(), z.unknown()),
        },
      },
      handler: async () => ({ ...api.swagger() }),
    });
  });
}

const merchantDocument = {
  title: 'depositd',
  description: 'Crypto payments straight to your own addresses.',
  security: 'apiKey',
  scheme: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'pk_ and 64 hex digits.' },
  tags: [
    { name: 'Payments', description: 'Create, follow and cancel payments.' },
    { name: 'Checkout', description: 'Checkouts in which the customer chooses how to pay.' },
    { name: 'Events', description: 'What happened, in order.' },
    { name: 'Methods', description: 'What customers can pay with.' },
    { name: 'Providers', description: 'Fiat providers: balance, transactions, methods.' },
    { name: 'Schema', description: 'This document.' },
  ],
} satisfies DocumentInfo;
