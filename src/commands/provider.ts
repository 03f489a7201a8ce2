import { secretsOf } from '../config/scrub.ts';
import { parseFiatAmount } from '../core/fiat.ts';
import type { ProviderPayment } from '../core/payment.ts';
import { CommandError } from '../errors.ts';
import { createLogger, logTo } from '../log.ts';
import { openSecrets } from '../notify/secrets.ts';
import { presentToOperator } from '../present/payments.ts';
import {
  presentOpenRefund,
  presentProvider,
  presentRefund,
  presentTransaction,
  presentUnmatchedCharge,
  presentWebhookConfig,
} from '../present/providers.ts';
import { timeOrNull } from '../present/values.ts';
import type { Asked, ProviderDesk } from '../providers/desk.ts';
import { openProviders } from '../providers/open.ts';
import { fiatOf } from '../providers/refund.ts';
import { inTransaction } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { findPaymentId } from '../storage/payments/numbers.ts';
import { viewById } from '../storage/payments/views.ts';
import { findPaymentOfCharge } from '../storage/providers/payments.ts';
import { listUnmatchedCharges } from '../storage/providers/providers.ts';
import { findSealedSecret } from '../storage/webhooks/endpoints.ts';
import { programVersion } from '../version.ts';
import { print, printJson, printTable } from './output.ts';
import { noPayment } from './payment.ts';
import { actor, atWork, type CommandOptions, type Workplace } from './workplace.ts';

/** What providers are asked by a command is asked by its own process, beside a running daemon or without one. */
async function atDesk(
  options: CommandOptions,
  work: (desk: ProviderDesk, workplace: Workplace) => Promise<void>,
): Promise<void> {
  await atWork(options, async (workplace) => {
    const { config, db, clock } = workplace;
    const { dataFolder } = config;
    const { secretKey } = config.webhooks;
    const secrets = openSecrets({ dataFolder, secretKey }, await findSealedSecret(db));
    const log = createLogger({ level: 'warn', ...logTo(2, config.log.format), secrets: secretsOf(config) });
    const userAgent = `depositd/${programVersion()}`;
    const providers = await openProviders({ db, config, secrets, userAgent, clock, log, onEvents: () => {} });
    try {
      await work(providers.desk, workplace);
    } finally {
      await providers.stop();
    }
  });
}

export async function providerList(options: CommandOptions): Promise<void> {
  await atDesk(options, async (desk) => {
    const reports = await desk.reports();
    if (options.json) return printJson({ data: reports.map(presentProvider) });
    printTable(
      ['PROVIDER', 'TYPE', 'MODE', 'CURRENCIES', 'ANSWERED', 'UNMATCHED', 'STATE'],
      reports.map((report) => [
        report.name,
        report.type,
        report.mode,
        report.currencies.join(' '),
        timeOrNull(report.succeededAt) ?? 'never',
        String(report.unmatched),
        report.enabled ? (report.lastError ?? report.drift ?? 'ready') : 'off',
      ]),
    );
  });
}

/** With the URL that its webhooks come in at: whoever knows it can send hints, and nothing more. */
export async function providerShow(name: string, options: CommandOptions): Promise<void> {
  await atDesk(options, async (desk, { db }) => {
    const report = (await desk.reports()).find((one) => one.name === name);
    if (report === undefined) throw noProvider(name);
    const unmatched = (await listUnmatchedCharges(db, name, 100)).map(presentUnmatchedCharge);
    const open = ((await desk.openRefunds(name)) ?? []).map(presentOpenRefund);
    if (options.json) {
      return printJson({ ...presentProvider(report), unmatched_charges: unmatched, open_refunds: open });
    }
    for (const [field, value] of Object.entries(presentProvider(report)))
      print(`${field}: ${String(value ?? '–')}`);
    if (open.length > 0) {
      print('');
      printTable(
        ['OPEN REFUND', 'STATUS', 'AMOUNT', '', 'PAYMENT', 'ASKED FOR'],
        open.map((one) => [one.id, one.status, one.amount, one.currency, one.payment_number, one.created_at]),
      );
    }
    if (unmatched.length === 0) return;
    print('');
    printTable(
      ['UNMATCHED CHARGE', 'STATUS', 'AMOUNT', '', 'FOUND'],
      unmatched.map((one) => [
        one.charge_id,
        one.status,
        one.amount ?? '–',
        one.currency ?? '',
        one.found_at,
      ]),
    );
  });
}

export async function providerBalance(name: string, options: CommandOptions): Promise<void> {
  await atDesk(options, async (desk) => {
    const { currency, amounts } = take(name, await desk.balance(name));
    if (options.json) return printJson({ currency, amounts });
    for (const [label, amount] of Object.entries(amounts)) print(`${label}: ${amount} ${currency}`);
  });
}

export async function providerMethods(name: string, options: CommandOptions): Promise<void> {
  await atDesk(options, async (desk) => {
    const methods = take(name, await desk.methods(name));
    if (options.json) return printJson({ data: methods });
    printTable(
      ['CODE', 'NAME', 'CURRENCY'],
      methods.map((method) => [method.code, method.name, method.currency]),
    );
  });
}

const listedMs = 30 * 24 * 60 * 60 * 1000;

export async function providerTransactions(name: string, options: CommandOptions): Promise<void> {
  await atDesk(options, async (desk, { db, clock }) => {
    const page = take(name, await desk.transactions(name, { since: clock() - listedMs, cursor: null }));
    const rows = await Promise.all(
      page.charges.map(async (charge) => {
        const { id: chargeId, reference } = charge;
        const payment = await findPaymentOfCharge(db, name, { chargeId, reference });
        return presentTransaction(charge, payment?.paymentNumber ?? null);
      }),
    );
    if (options.json) return printJson({ data: rows });
    printTable(
      ['TRANSACTION', 'STATUS', 'AMOUNT', '', 'CREATED'],
      rows.map((row) => [row.id, row.status, row.amount ?? '–', row.currency ?? '', row.created_at ?? '–']),
    );
  });
}

export async function providerRefund(
  number: string,
  options: CommandOptions & { amount?: string; reason: string },
): Promise<void> {
  await atDesk(options, async (desk, workplace) => {
    const payment = await requirePayment(workplace, number);
    const amount = options.amount === undefined ? null : readAmount(options.amount, payment);
    const outcome = await desk.refund(payment.network, {
      paymentId: payment.id,
      amount,
      reason: options.reason,
      idempotencyKey: null,
    });
    if (outcome === null) throw noProvider(payment.network);
    if (outcome.outcome === 'idempotency_key_reused') throw new CommandError('another refund has this key');
    if (outcome.outcome !== 'refunded') throw new CommandError(outcome.reason);
    const shown = presentRefund(outcome.refund, payment);
    await audit(workplace, 'payment.refunded', number, { ...shown, reason: options.reason });
    if (options.json) printJson(shown);
    else print(`${shown.id}: ${shown.amount} ${shown.currency}, ${shown.status}`);
  });
}

/** The operator's word on a refund whose answer was lost and of which the provider tells nothing. */
export async function providerSettleRefund(
  name: string,
  id: string,
  options: CommandOptions & { status: 'succeeded' | 'failed'; providerRefund?: string; reason: string },
): Promise<void> {
  await atDesk(options, async (desk) => {
    const outcome = await desk.settleRefund(name, {
      id,
      status: options.status,
      providerRefundId: options.providerRefund ?? null,
      reason: options.reason,
      actor,
    });
    if (outcome === null) throw noProvider(name);
    if (outcome.outcome === 'not_found') throw new CommandError(`${name} has no refund of that id`);
    if (outcome.outcome === 'not_settleable') throw new CommandError(`not settled: ${outcome.reason}`);
    const shown = presentOpenRefund(outcome);
    if (options.json) printJson(shown);
    else print(`${shown.id}: ${shown.amount} ${shown.currency}, ${shown.status}`);
  });
}

export async function providerCapture(
  number: string,
  options: CommandOptions & { amount?: string },
): Promise<void> {
  await atDesk(options, async (desk, workplace) => {
    const payment = await requirePayment(workplace, number);
    const amount = options.amount === undefined ? null : readAmount(options.amount, payment);
    const outcome = await desk.capture(payment.network, { paymentId: payment.id, amount });
    if (outcome === null) throw noProvider(payment.network);
    if (outcome.outcome !== 'captured') throw new CommandError(outcome.reason);
    await audit(workplace, 'payment.captured', number, { amount: options.amount ?? null });
    const shown = presentToOperator({ kind: 'provider', payment: outcome.payment });
    if (options.json) printJson(shown);
    else print(`${number}: ${shown.status}`);
  });
}

export async function providerTestWebhook(name: string, options: CommandOptions): Promise<void> {
  await atDesk(options, async (desk) => {
    const told = take(name, await desk.testWebhook(name));
    if (options.json) printJson(told);
    else for (const [field, value] of Object.entries(told)) print(`${field}: ${String(value)}`);
  });
}

/** Shows what is configured at the provider; points it here, or takes it away. */
export async function providerWebhookConfig(
  name: string,
  options: CommandOptions & { set?: boolean; delete?: boolean },
): Promise<void> {
  await atDesk(options, async (desk, workplace) => {
    if (options.delete) {
      take(name, await desk.deleteWebhookConfig(name));
      await audit(workplace, 'provider.webhook_unconfigured', name, {});
    } else if (options.set) {
      take(name, await desk.writeWebhookConfig(name, { eventTypes: null, active: true }));
      await audit(workplace, 'provider.webhook_configured', name, { active: true });
    }
    const config = take(name, await desk.readWebhookConfig(name));
    const shown = presentWebhookConfig(config);
    if (options.json) printJson(shown);
    else for (const [field, value] of Object.entries(shown)) print(`${field}: ${String(value ?? 'all')}`);
  });
}

/** @throws CommandError for everything but the value. */
function take<T>(name: string, answer: Asked<T> | null): T {
  if (answer === null) throw noProvider(name);
  if (answer.outcome !== 'done') throw new CommandError(`${name}: ${answer.reason}`);
  return answer.value;
}

async function requirePayment({ db }: Workplace, number: string): Promise<ProviderPayment> {
  const id = await findPaymentId(db, number);
  const view = id === null ? null : await viewById(db, id);
  if (view === null) throw noPayment(number);
  if (view.kind !== 'provider') throw new CommandError('the payment is on a chain, not by a provider');
  return view.payment;
}

function readAmount(text: string, payment: ProviderPayment): bigint {
  const currency = fiatOf(payment);
  const amount = parseFiatAmount(text, currency);
  if (amount === null || amount === 0n) throw new CommandError(`expected a positive decimal in ${currency}`);
  return amount;
}

function noProvider(name: string): CommandError {
  return new CommandError(`there is no provider ${JSON.stringify(name.slice(0, 60))} in the configuration`);
}

async function audit(
  { db, clock }: Workplace,
  action: string,
  subject: string,
  detail: Record<string, unknown>,
): Promise<void> {
  await inTransaction(db, (trx) => recordAudit(trx, { at: clock(), actor, action, subject, detail }));
}
