import { Gauge, type Registry } from '@prometheus-io/client';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { readAssets } from '../../checkout/assets.ts';
import { createFeed } from '../../checkout/feed.ts';
import { renderPayment } from '../../checkout/page.ts';
import { type ReadDeps, readBrand, readFacts, readOffers } from '../../checkout/read.ts';
import { presentStatus } from '../../checkout/status.ts';
import { viewPayment } from '../../checkout/view.ts';
import type { PaymentView } from '../../core/payment.ts';
import type { Logger } from '../../log.ts';
import { transactionUrl } from '../../present/explorer.ts';
import { findPaymentByToken } from '../../storage/payments/views.ts';
import { notFound } from '../http/errors.ts';
import type { Api } from '../routes.ts';
import { createPageErrors, languageOf, pageHeaders, sendNotFound } from './answers.ts';
import { registerAssetRoutes } from './assets.ts';
import { streamPayment } from './events.ts';
import type { ReadToken } from './token.ts';

export type CheckoutDeps = ReadDeps & {
  log: Logger;
  registry: Registry;
  /** Counts a step that threw of a loop that the pages have. */
  failed?: (loop: string) => void;
};

/** What payers see: their payment's page, and what it says as JSON. */
export async function registerCheckoutRoutes(
  api: Api,
  deps: CheckoutDeps,
  readToken: ReadToken,
): Promise<void> {
  const { db, config } = deps;
  const basePath = new URL(config.publicUrl).pathname.replace(/\/$/, '');
  const assets = readAssets(basePath, config);
  const { embedOrigins } = config.checkout;
  const site = { assets, embedOrigins };
  const feed = createFeed({ ...deps, maxStreams: config.checkout.maxStreams });
  new Gauge({
    name: 'depositd_checkout_streams',
    help: 'Pages that are told of changes at once.',
    registers: [deps.registry],
    collect() {
      this.set(feed.open());
    },
  });
  // Before the server waits for the connections that are open.
  api.addHook('preClose', feed.stop);
  api.setErrorHandler(createPageErrors(deps.log, site));
  // What no route takes is a page here too.
  api.setNotFoundHandler((request, reply) => {
    sendNotFound(reply, languageOf(request, ''), site);
  });
  registerAssetRoutes(api, db, assets);

  /** Null where the token opens nothing. */
  async function find(request: FastifyRequest, reply: FastifyReply): Promise<PaymentView | null> {
    const token = readToken(request, reply);
    return token === null ? null : findPaymentByToken(db, token);
  }

  api.get('/:token', async (request, reply) => {
    const payment = await find(request, reply);
    if (payment === null) return sendNotFound(reply, languageOf(request, ''), site);
    const facts = await readFacts(deps, payment);
    const view = viewPayment(facts);
    const { network, merchantId, paymentToken, locale } = payment.payment;
    const page = renderPayment({
      view,
      language: languageOf(request, locale),
      brand: await readBrand(db, merchantId, basePath),
      assets,
      now: facts.now,
      url: `${config.publicUrl}/pay/${paymentToken}`,
      chain: config.chains[network] ?? null,
      explorerUrl: transactionUrl(config.chains, view.network, view.txHash),
      settings: config.checkout,
      offers: await readOffers(deps, payment),
    });
    // As bytes, which are counted and written as they are: a text is read through for each.
    return pageHeaders(reply, embedOrigins).send(Buffer.from(page));
  });

  api.get('/:token/status', async (request, reply) => {
    const payment = await find(request, reply);
    if (payment === null) throw notFound();
    const { json, version } = presentStatus(viewPayment(await readFacts(deps, payment)));
    const etag = `"${version}"`;
    reply.headers({ etag, 'cache-control': 'no-cache', 'content-type': 'application/json; charset=utf-8' });
    return request.headers['if-none-match'] === etag ? reply.code(304).send() : reply.send(json);
  });

  // Thousands are open at once, and each keeps its headers: those that matter to pages alone are left out.
  api.get('/:token/events', { exposeHeadRoute: false, helmet: false }, async (request, reply) => {
    reply.header('x-content-type-options', 'nosniff');
    const payment = await find(request, reply);
    if (payment === null) throw notFound();
    streamPayment(feed, payment.payment.id, reply);
    return reply;
  });
}
