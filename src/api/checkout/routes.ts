import { readAssets } from '../../checkout/assets.ts';
import type { Config } from '../../config.ts';
import { findPaymentByToken } from '../../storage/payments/views.ts';
import type { Db } from '../../storage/schema.ts';
import { createOpenLimit } from '../http/auth.ts';
import type { Limiter } from '../http/limits.ts';
import type { Api } from '../routes.ts';
import { languageOf, sendNotFound } from './answers.ts';
import { registerAssetRoutes } from './assets.ts';

/** What a page's token looks like: 32 random bytes. */
const tokenPattern = /^[A-Za-z0-9_-]{43}$/;

/** What payers see: their payment's page, and where a payment by a provider is paid. */
export async function registerCheckoutRoutes(
  api: Api,
  { db, config }: { db: Db; config: Config },
  limiter: Limiter,
): Promise<void> {
  const assets = readAssets(new URL(config.publicUrl).pathname.replace(/\/$/, ''));
  registerAssetRoutes(api, assets);
  api.addHook('onRequest', createOpenLimit(limiter));
  api.get<{ Params: { token: string } }>('/:token', async (request, reply) => {
    const { token } = request.params;
    const view = tokenPattern.test(token) ? await findPaymentByToken(db, token) : null;
    if (view?.kind !== 'provider' || view.payment.status !== 'pending') {
      return sendNotFound(reply, { language: languageOf(request, ''), assets });
    }
    reply.header('referrer-policy', 'no-referrer');
    return reply.redirect(view.payment.checkoutUrl, 303);
  });
}
