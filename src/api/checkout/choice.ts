import type { FastifyReply, FastifyRequest } from 'fastify';
import { readAssets } from '../../checkout/assets.ts';
import { viewChoice } from '../../checkout/choice.ts';
import { renderChoice } from '../../checkout/choice-page.ts';
import { renderNotice } from '../../checkout/document.ts';
import { choiceMessages } from '../../checkout/languages/choice.ts';
import { readBrand } from '../../checkout/read.ts';
import type { Config } from '../../config.ts';
import { parseCurrency } from '../../core/assets.ts';
import { type Method, type SessionView, sessionStatusAt } from '../../core/checkout-session.ts';
import { parseFiatCode } from '../../core/fiat.ts';
import { parseNetwork } from '../../core/networks.ts';
import { InvariantError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import { type Admission, type ChooseOutcome, chooseMethod, refusalOf } from '../../payments/choose.ts';
import type { CreateOutcome, PaymentCreator } from '../../payments/create.ts';
import { listMethods, type MethodDeps, type MethodTrouble } from '../../payments/methods.ts';
import { fiatMoneyOf, priceIn, usdCentsOf } from '../../payments/quote.ts';
import type { ProviderDesk } from '../../providers/desk.ts';
import { measureBlockSeconds } from '../../storage/chains/chains.ts';
import { findSessionByToken } from '../../storage/checkout/sessions.ts';
import { getMerchant } from '../../storage/operators/merchants.ts';
import { findPaymentByToken } from '../../storage/payments/views.ts';
import { offerFor, offersFor } from '../merchant/create-charge.ts';
import type { Api } from '../routes.ts';
import { createPageErrors, languageOf, pageHeaders, sendNotFound } from './answers.ts';
import { acceptForms, fieldOf, refuseForeign } from './forms.ts';
import type { ReadToken } from './token.ts';

export type ChoiceDeps = MethodDeps & {
  config: Config;
  payments: PaymentCreator;
  providers: ProviderDesk;
  log: Logger;
};

/** Why a way to pay was not to be had after all. */
type NotMade = MethodTrouble['kind'] | 'busy';

/** Where a payer chooses how to pay. */
export async function registerChoiceRoutes(api: Api, deps: ChoiceDeps, readToken: ReadToken): Promise<void> {
  const { db, config, clock, rates, payments, providers } = deps;
  const basePath = new URL(config.publicUrl).pathname.replace(/\/$/, '');
  const assets = readAssets(basePath, config);
  const { embedOrigins } = config.checkout;
  const site = { assets, embedOrigins };
  api.setErrorHandler(createPageErrors(deps.log, site));
  api.setNotFoundHandler((request, reply) => {
    sendNotFound(reply, languageOf(request, ''), site);
  });
  acceptForms(api);

  /** Null where the token opens nothing. */
  async function find(request: FastifyRequest, reply: FastifyReply): Promise<SessionView | null> {
    const token = readToken(request, reply);
    return token === null ? null : findSessionByToken(db, token);
  }

  api.get('/:token', async (request, reply) => {
    const view = await find(request, reply);
    if (view === null) return sendNotFound(reply, languageOf(request, ''), site);
    return show(request, reply, view, null);
  });

  api.post('/:token', async (request, reply) => {
    const view = await find(request, reply);
    if (view === null) return sendNotFound(reply, languageOf(request, ''), site);
    refuseForeign(request, config.publicUrl);
    const { session } = view;
    const own = choiceMessages[languageOf(request, session.locale)];
    const method = parseMethod(fieldOf(request, 'method'));
    if (method === null) return show(request, reply.code(400), view, own.failed);
    const outcome: ChooseOutcome<NotMade> = await chooseMethod(
      deps,
      { token: session.token, method },
      (seen, admit) => make(seen, method, admit),
    );
    switch (outcome.outcome) {
      case 'chosen':
        return leadTo(request, reply, outcome.paymentToken, session.locale);
      case 'not_found':
        return sendNotFound(reply, languageOf(request, ''), site);
      case 'ended':
        return show(request, reply, outcome.view, null);
      case 'paid':
        return show(request, reply.code(409), outcome.view, own.paid);
      case 'too_many':
        return show(request, reply.code(409), outcome.view, own.tooMany);
      case 'not_offered':
        return show(request, reply.code(400), view, own.failed);
      case 'busy':
        return show(request, reply.code(503), view, own.failed);
      case 'refused': {
        const text = outcome.refused === 'busy' ? own.failed : own.troubles[outcome.refused];
        return show(request, reply.code(503), view, text);
      }
      default:
        return outcome satisfies never;
    }
  });

  async function show(request: FastifyRequest, reply: FastifyReply, view: SessionView, alert: string | null) {
    const { session, payments: made } = view;
    const language = languageOf(request, session.locale);
    const own = choiceMessages[language];
    const confirmed = made.find(({ status }) => status === 'confirmed');
    if (confirmed !== undefined) return leadTo(request, reply, confirmed.paymentToken, session.locale);
    const pending = made.find(({ status }) => status === 'pending');
    if (pending !== undefined && (await hasReceived(pending.paymentToken))) {
      return leadTo(request, reply, pending.paymentToken, session.locale);
    }
    const brand = await readBrand(db, session.merchantId, basePath);
    pageHeaders(reply, embedOrigins);
    const status = sessionStatusAt(view, clock());
    if (status !== 'open') {
      const notice = status === 'cancelled' ? own.cancelled : own.expired;
      return reply.send(renderNotice({ language, brand, assets }, notice));
    }
    // Its time is over, and the payer goes on with what was chosen.
    if (pending !== undefined && refusalOf(view, clock()) === 'ended') {
      return leadTo(request, reply, pending.paymentToken, session.locale);
    }
    const offered = await listMethods(deps, session.merchantId, offersFor(providers, session.merchantId));
    const networks = new Set(offered.flatMap(({ network, onchain }) => (onchain === null ? [] : [network])));
    const blockSeconds = Object.fromEntries(
      await Promise.all([...networks].map(async (one) => [one, await measureBlockSeconds(db, one)] as const)),
    );
    const page = renderChoice({
      view,
      choice: viewChoice(view, offered, blockSeconds),
      language,
      brand,
      assets,
      paths: { form: `${basePath}/checkout/${session.token}`, pay: `${basePath}/pay` },
      embedOrigins,
      alert,
    });
    return reply.send(page);
  }

  async function hasReceived(paymentToken: string): Promise<boolean> {
    const view = await findPaymentByToken(db, paymentToken);
    return view?.kind === 'onchain' && view.deposits.received >= view.payment.dustAmount;
  }

  function leadTo(request: FastifyRequest, reply: FastifyReply, paymentToken: string, locale: string) {
    const { lang } = request.query as { lang?: unknown };
    const language = lang === undefined && locale === '' ? '' : `?lang=${languageOf(request, locale)}`;
    reply.header('referrer-policy', 'no-referrer');
    return reply.redirect(`${basePath}/pay/${paymentToken}${language}`, 303);
  }

  type Made =
    | { outcome: 'made'; paymentToken: string }
    | { outcome: 'not_admitted'; why: string }
    | { outcome: 'refused'; refused: NotMade };

  async function make(view: SessionView, method: Method, admit: Admission): Promise<Made> {
    const { session } = view;
    const refused = (why: NotMade): Made => ({ outcome: 'refused', refused: why });
    if ((await getMerchant(db, session.merchantId))?.removedAt !== null) return refused('no_address');
    const price = fiatMoneyOf(session.price);
    const amountUsdCents = usdCentsOf(price, rates);
    if (amountUsdCents === null) return refused('rate');
    const order = {
      merchantId: session.merchantId,
      amountUsdCents,
      externalOrderId: session.externalOrderId,
      customerEmail: session.customerEmail,
      redirectUrl: session.redirectUrl,
      metadata: session.metadata,
      locale: session.locale,
      checkoutSession: session.id,
    };
    const offer = offerFor(providers, method.network, session.merchantId);
    if (offer !== null) {
      const currency = parseFiatCode(method.currency);
      if (currency === null || !offer.currencies.includes(currency)) return refused('no_address');
      const outcome = await providers.create(offer.name, {
        ...order,
        livemode: session.livemode,
        amount: priceIn(currency, price, rates),
        currency,
        price: session.price,
        admit,
        // Two tabs ask for one charge. No app can have such a key: a tab is no printable character.
        idempotency: {
          key: `checkout\t${session.id}\t${view.payments.length}\t${method.network}\t${method.currency}`,
          fingerprint: session.id,
        },
      });
      switch (outcome?.outcome) {
        case 'created':
        case 'replayed':
          // Of a tab that was slower than its payer, who has gone back since.
          if (outcome.view.payment.status !== 'pending') return { outcome: 'not_admitted', why: 'changed' };
          return { outcome: 'made', paymentToken: outcome.view.payment.paymentToken };
        case 'not_admitted':
          return outcome;
        case 'rate_unavailable':
          return refused('rate');
        case 'idempotency_key_in_use':
          return refused('busy');
        case undefined:
        case 'idempotency_key_reused':
        case 'not_offered':
        case 'provider_failed':
        case 'provider_unavailable':
          return refused('provider');
        default:
          return outcome satisfies never;
      }
    }
    const outcome = await payments.createWithin({ ...order, ...method, price, idempotency: null }, { admit });
    if ('view' in outcome) return { outcome: 'made', paymentToken: outcome.view.payment.paymentToken };
    return outcome.outcome === 'not_admitted' ? outcome : refused(troubleOf(outcome));
  }
}

type Refused = Exclude<CreateOutcome, { view: unknown }>;

function troubleOf(outcome: Refused): MethodTrouble['kind'] {
  switch (outcome.outcome) {
    case 'no_address':
      return 'no_address';
    case 'all_held':
      return 'held';
    case 'rate_unavailable':
      return 'rate';
    case 'chain_unavailable':
    case 'clock_skew':
    case 'database_unchecked':
      return 'chain';
    case 'idempotency_key_reused':
      throw new InvariantError('a choice has no idempotency key');
    default:
      return outcome satisfies never;
  }
}

/** `bsc/usdt`; null for anything else. */
function parseMethod(text: string): Method | null {
  const [first = '', second = '', ...more] = text.split('/');
  const [network, currency] = [parseNetwork(first), parseCurrency(second)];
  return network === null || currency === null || more.length > 0 ? null : { network, currency };
}
