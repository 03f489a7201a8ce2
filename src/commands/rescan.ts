import { secretsOf } from '../config/scrub.ts';
import type { TxHash } from '../core/chain.ts';
import type { Network } from '../core/networks.ts';
import type { Deposit } from '../core/payment.ts';
import { counted } from '../core/plural.ts';
import { CommandError } from '../errors.ts';
import { createLogger, logTo } from '../log.ts';
import { createUsageMeter } from '../nodes/usage.ts';
import { presentDeposits } from '../present/deposits.ts';
import { showAmount } from '../present/values.ts';
import { inTransaction } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { viewById } from '../storage/payments/views.ts';
import type { Db } from '../storage/schema.ts';
import { rescanTransaction } from '../watchers/recheck/find-transaction.ts';
import { type RescanDeps, type RescanReport, rescan } from '../watchers/recheck/rescan.ts';
import { chainsToWatch } from '../watchers/retired-assets.ts';
import { createSource } from '../watchers/sources.ts';
import { keepNotingUsage } from '../watchers/usage-notes.ts';
import { createWatchlist } from '../watchers/watchlist.ts';
import { print, printJson, printTable, say } from './output.ts';
import { showProgress, tellProgress } from './progress.ts';
import { actor, atWork, type CommandOptions, type Workplace } from './workplace.ts';

type RescanOptions = CommandOptions & { network: Network; from: number; to: number; native?: boolean };

/** Reads a range of blocks again, records what was missed and prints what it found. */
export async function rescanBlocks(options: RescanOptions): Promise<void> {
  const { network, from, to, native = false } = options;
  if (from < 1 || from > to) throw new CommandError(`--from ${from} --to ${to}: expected 1 ≤ from ≤ to`);
  await atWork(options, async (workplace) => {
    const report = await onChain(workplace, network, async (deps, signal) => {
      const progress = process.stderr.isTTY ? showProgress('rescanning') : tellProgress('rescanning', say);
      const update = (height: number) => progress.update(height - from + 1, to - from + 1);
      try {
        return await rescan(deps, { from, to, native, signal, progress: update });
      } finally {
        progress.end();
      }
    });
    const shown = await present(workplace.db, report);
    await audit(workplace, network, { from, to, ...shown.transfers });
    if (options.json) printJson({ network, from, to, ...shown });
    else show(`${network}, blocks ${from} to ${to}`, shown);
  });
}

/** Reads the block of one transaction again, and prints what it pays to whom. */
export async function rescanOf(options: CommandOptions & { network: Network; tx: TxHash }): Promise<void> {
  const { network } = options;
  await atWork(options, async (workplace) => {
    const { db, config } = workplace;
    // TRON's hashes are written without 0x, and all others with it.
    const digits = options.tx.replace(/^0x/, '');
    const tx = (config.chains[network]?.family === 'tron' ? digits : `0x${digits}`) as TxHash;
    const { height, report, deposits } = await onChain(workplace, network, (deps, signal) =>
      rescanTransaction(deps, { txHash: tx, signal }),
    );
    const shown = await present(db, report);
    const paid = await presentDeposits(db, deposits);
    await audit(workplace, network, { tx_hash: tx, from: height, to: height, ...shown.transfers });
    if (options.json) {
      return printJson({ network, tx_hash: tx, from: height, to: height, deposits: paid, ...shown });
    }
    show(`${network}, block ${height}`, shown);
    print('');
    printTable(
      ['IN THIS TRANSACTION', '', 'STATUS', 'PAYMENT'],
      paid.map((one) => [
        one.amount,
        one.currency,
        one.reason === null ? one.status : `${one.status} (${one.reason})`,
        one.payment_number ?? '–',
      ]),
    );
  });
}

/** What an operator's reading of a chain takes, until it has ended or SIGINT or SIGTERM end it. */
async function onChain<T>(
  { config, db, clock }: Workplace,
  network: Network,
  work: (deps: RescanDeps, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const log = createLogger({ level: 'warn', ...logTo(2, config.log.format), secrets: secretsOf(config) });
  const watched = await chainsToWatch(db, config, { now: clock(), log });
  const chain = watched.find((one) => one.network === network);
  if (chain === undefined) throw new CommandError(`${network} is not configured`);
  const meter = createUsageMeter(clock);
  const source = createSource({ chain, clock, log, meter });
  const usage = keepNotingUsage({ db, network, meter, log });
  const interrupt = new AbortController();
  const onSignal = () =>
    interrupt.abort(new CommandError('interrupted; what was found until then is recorded'));
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, onSignal);
  const watch = createWatchlist(chain.family);
  const latePolicy = config.payments.late;
  try {
    return await work({ db, chain, source, watch, latePolicy, clock, log }, interrupt.signal);
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, onSignal);
    await source.close();
    await usage.stop();
  }
}

async function audit({ db, clock }: Workplace, network: Network, detail: object): Promise<void> {
  const entry = { at: clock(), actor, action: 'chain.rescanned', subject: network, detail: { ...detail } };
  await inTransaction(db, (trx) => recordAudit(trx, entry));
}

type Shown = Awaited<ReturnType<typeof present>>;

async function present(db: Db, report: RescanReport) {
  const { ranges, known, found, takenBack, disputed, payments } = report;
  return {
    ranges,
    transfers: {
      found: known + found.length,
      known,
      new: found.length,
      taken_back: takenBack.length,
      disputed: disputed.length,
    },
    new: await describeDeposits(db, found),
    taken_back: await describeDeposits(db, takenBack),
    disputed: await describeDeposits(db, disputed),
    payments: payments.map(({ payment, from }) => ({
      payment_number: payment.paymentNumber,
      was: from,
      status: payment.status,
      reason: payment.reason,
    })),
  };
}

async function describeDeposits(db: Db, deposits: readonly Deposit[]) {
  const shown = [];
  for (const { txHash, height, currency, amount, decimals, role, paymentId } of deposits) {
    const payment = paymentId === null ? null : (await viewById(db, paymentId)).payment;
    shown.push({
      tx_hash: txHash,
      height,
      currency,
      amount: showAmount({ currency, decimals }, amount),
      role,
      payment_number: payment?.paymentNumber ?? null,
    });
  }
  return shown;
}

function show(title: string, shown: Shown): void {
  print(title);
  for (const { from, to, host, native } of shown.ranges) {
    print(`  ${from} to ${to} read from ${host}${native ? ', whole blocks' : ''}`);
  }
  const { transfers } = shown;
  print(
    `${counted(transfers.found, 'transfer')} found, ${transfers.known} already known, ${transfers.new} new`,
  );
  showDeposits('NEW', shown.new);
  showDeposits('NO LONGER ON THE CHAIN', shown.taken_back);
  showDeposits('DISPUTED BETWEEN NODES', shown.disputed);
  if (shown.payments.length === 0) {
    print('no payment has changed');
    return;
  }
  printTable(
    ['PAYMENT', 'WAS', 'IS', 'REASON'],
    shown.payments.map(({ payment_number, was, status, reason }) => [
      payment_number,
      was,
      status,
      reason ?? '–',
    ]),
  );
}

function showDeposits(title: string, deposits: Shown['new']): void {
  if (deposits.length === 0) return;
  print('');
  printTable(
    [title, 'BLOCK', 'AMOUNT', '', 'PAYMENT'],
    deposits.map(({ tx_hash, height, amount, currency, payment_number, role }) => [
      tx_hash,
      String(height),
      amount,
      currency,
      payment_number ?? role,
    ]),
  );
  print('');
}
