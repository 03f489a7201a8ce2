import type { FastifyReply, FastifyRequest } from 'fastify';
import { readAssets } from '../../checkout/assets.ts';
import { noBrand } from '../../checkout/brand.ts';
import { renderNotice } from '../../checkout/document.ts';
import { messagesIn } from '../../checkout/languages/languages.ts';
import { lookMessages } from '../../checkout/languages/look.ts';
import { createLooks, type LookUp } from '../../checkout/look.ts';
import { renderLook } from '../../checkout/look-page.ts';
import { readBrand } from '../../checkout/read.ts';
import { sandboxActs } from '../../checkout/sandbox.ts';
import { type AskNode, createSandboxWallet } from '../../checkout/sandbox-wallet.ts';
import type { Config } from '../../config.ts';
import { familyOf } from '../../core/address.ts';
import type { PaymentView } from '../../core/payment.ts';
import { parseTransactionText } from '../../core/transaction-text.ts';
import { CommandError, reasonOf } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import { type RequoteDeps, requotePayment } from '../../payments/requote.ts';
import { listInstead } from '../../storage/deposits/instead.ts';
import { findPaymentByToken } from '../../storage/payments/views.ts';
import type { Api } from '../routes.ts';
import { createPageErrors, languageOf, pageHeaders, sendNotFound } from './answers.ts';
import { acceptForms, fieldOf, refuseForeign } from './forms.ts';
import type { ReadToken } from './token.ts';

export type ActionDeps = RequoteDeps & { config: Config; log: Logger; lookUp: LookUp; askNode?: AskNode };

/** What a payer does on the page of a payment: asks for a fresh quote, or for a transfer that is not shown. */
export async function registerActionRoutes(api: Api, deps: ActionDeps, readToken: ReadToken): Promise<void> {
  const { db, config, clock, lookUp, askNode } = deps;
  const basePath = new URL(config.publicUrl).pathname.replace(/\/$/, '');
  const assets = readAssets(basePath, config);
  const { embedOrigins } = config.checkout;
  const site = { assets, embedOrigins };
  const looks = createLooks({ db, config, clock, lookUp });
  api.setErrorHandler(createPageErrors(deps.log, site));
  acceptForms(api);

  /** Null where the token opens nothing. @throws HttpError for the form of another site. */
  async function find(request: FastifyRequest, reply: FastifyReply): Promise<PaymentView | null> {
    const token = readToken(request, reply);
    refuseForeign(request, config.publicUrl);
    return token === null ? null : findPaymentByToken(db, token);
  }

  // A page that a form led to is loaded again, or opened in another language: back to the payment.
  for (const form of ['requote', 'find', 'sandbox']) {
    api.get<{ Params: { token: string } }>(`/:token/${form}`, async (request, reply) => {
      const { lang } = request.query as { lang?: unknown };
      const query = lang === undefined ? '' : `?lang=${languageOf(request, '')}`;
      reply.header('referrer-policy', 'no-referrer');
      return reply.redirect(`${basePath}/pay/${encodeURIComponent(request.params.token)}${query}`, 303);
    });
  }

  api.post('/:token/requote', async (request, reply) => {
    const view = await find(request, reply);
    const language = languageOf(request, view?.payment.locale ?? '');
    if (view === null) return sendNotFound(reply, language, site);
    const outcome = await requotePayment(deps, view.payment.paymentToken);
    const brand = await readBrand(db, view.payment.merchantId, basePath);
    const notice = (status: number, words: { title: string; text: string }) =>
      pageHeaders(reply, embedOrigins).code(status).send(renderNotice({ language, brand, assets }, words));
    switch (outcome.outcome) {
      case 'requoted':
        reply.header('referrer-policy', 'no-referrer');
        return reply.redirect(`${basePath}/pay/${outcome.paymentToken}?lang=${language}`, 303);
      case 'not_found':
        return sendNotFound(reply, language, site);
      case 'refused':
      case 'all_held':
        return notice(409, lookMessages[language].requote.refused);
      case 'rate_unavailable':
      case 'chain_unavailable':
      case 'clock_skew':
      case 'database_unchecked':
        return notice(503, messagesIn(language).unavailable);
      default:
        return outcome satisfies never;
    }
  });

  if (config.sandbox && askNode !== undefined) {
    const wallet = createSandboxWallet(config, askNode);
    api.post('/:token/sandbox', async (request, reply) => {
      const view = await find(request, reply);
      const language = languageOf(request, view?.payment.locale ?? '');
      const act = sandboxActs.find((one) => one === fieldOf(request, 'act'));
      if (view?.kind !== 'onchain' || act === undefined) return sendNotFound(reply, language, site);
      try {
        await wallet.act(view, await listInstead(db, view.payment), act);
      } catch (error) {
        const reason = reasonOf(error);
        const text = `${reason.charAt(0).toUpperCase()}${reason.slice(1)}.`;
        const notice = { title: 'Sandbox wallet', text };
        return pageHeaders(reply, embedOrigins)
          .code(error instanceof CommandError ? 409 : 502)
          .send(renderNotice({ language, brand: noBrand, assets }, notice));
      }
      reply.header('referrer-policy', 'no-referrer');
      return reply.redirect(`${basePath}/pay/${view.payment.paymentToken}`, 303);
    });
  }

  api.post('/:token/find', async (request, reply) => {
    const view = await find(request, reply);
    const language = languageOf(request, view?.payment.locale ?? '');
    if (view?.kind !== 'onchain') return sendNotFound(reply, language, site);
    const { payment } = view;
    const txHash = parseTransactionText(familyOf(payment.address), fieldOf(request, 'transaction'));
    const outcome = txHash === null ? ({ outcome: 'not_one' } as const) : await looks.look(view, txHash);
    const status = outcome.outcome === 'not_one' ? 400 : outcome.outcome === 'too_soon' ? 429 : 200;
    const page = renderLook({
      outcome,
      language,
      brand: await readBrand(db, payment.merchantId, basePath),
      assets,
      payPath: `${basePath}/pay/${payment.paymentToken}`,
      now: clock(),
    });
    return pageHeaders(reply, embedOrigins).code(status).send(page);
  });
}
