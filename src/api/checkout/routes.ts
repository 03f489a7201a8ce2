import { findPaymentByToken } from '../../storage/payments/views.ts';
import type { Db } from '../../storage/schema.ts';
import { createOpenLimit } from '../http/auth.ts';
import { notFound } from '../http/errors.ts';
import type { Limiter } from '../http/limits.ts';
import type { Api } from '../routes.ts';

/** Where a checkout link of a payment by a provider leads: to the provider's page, while it can be paid there. */
export async function registerCheckoutRoutes(api: Api, { db }: { db: Db }, limiter: Limiter): Promise<void> {
  api.addHook('onRequest', createOpenLimit(limiter));
  api.get<{ Params: { token: string } }>('/:token', async (request, reply) => {
    const { token } = request.params;
    const view = /^[A-Za-z0-9_-]{43}$/.test(token) ? await findPaymentByToken(db, token) : null;
    if (view?.kind !== 'provider' || view.payment.status !== 'pending') throw notFound();
    reply.header('referrer-policy', 'no-referrer');
    return reply.redirect(view.payment.checkoutUrl, 303);
  });
}
