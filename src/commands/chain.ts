import { secretsOf } from '../config/scrub.ts';
import type { Network } from '../core/networks.ts';
import { counted } from '../core/plural.ts';
import { CommandError } from '../errors.ts';
import { createLogger, logTo } from '../log.ts';
import { createUsageMeter } from '../nodes/usage.ts';
import { acceptFork, type OverrideDeps, setCursor } from '../watchers/override.ts';
import { createSource } from '../watchers/sources.ts';
import { keepNotingUsage } from '../watchers/usage-notes.ts';
import { print, printJson } from './output.ts';
import { actor, atWork, type CommandOptions, type Workplace } from './workplace.ts';

type ChainOptions = CommandOptions & { network: Network; reason: string };

/** Lets a stopped chain go on with the branch that its nodes show. */
export async function chainAcceptFork(options: ChainOptions): Promise<void> {
  const { reason } = options;
  await atWork(options, (workplace) =>
    withSource(workplace, options.network, async (deps) => {
      const { from, forkPoint, disconnected, settled } = await acceptFork(
        deps,
        { actor, reason },
        AbortSignal.timeout(timeoutMs),
      );
      const payments = settled.map(({ payment, from: was }) => ({
        payment_number: payment.paymentNumber,
        was,
        status: payment.status,
        reason: payment.reason,
      }));
      if (options.json) {
        printJson({
          network: options.network,
          from: from.height,
          fork_point: forkPoint.height,
          disconnected,
          payments,
        });
        return;
      }
      print(`${options.network} goes on from block ${forkPoint.height}, read before to ${from.height}.`);
      const taken = `${counted(disconnected, 'block')} with deposits ${disconnected === 1 ? 'was' : 'were'} taken back`;
      print(`${taken}; ${counted(payments.length, 'payment')} changed.`);
      for (const { payment_number, was, status } of payments)
        print(`  ${payment_number}: ${was} → ${status}`);
    }),
  );
}

/** Lets a chain be read on from another block. */
export async function chainSetCursor(
  options: ChainOptions & { height: number; skip?: boolean },
): Promise<void> {
  const { network, height, reason, skip = false } = options;
  await atWork(options, (workplace) =>
    withSource(workplace, network, async (deps) => {
      const decision = { height, skip, actor, reason };
      const { from, to, skipped } = await setCursor(deps, decision, AbortSignal.timeout(timeoutMs));
      if (options.json) {
        printJson({ network, from: from.height, to: to.height, hash: to.hash, skipped });
        return;
      }
      print(`${network} goes on from block ${to.height}, read before to ${from.height}.`);
      if (skipped > 0) {
        const never = `${counted(skipped, 'block')} ${skipped === 1 ? 'was' : 'were'} never read`;
        print(`${never}: "depositd status" shows the gap.`);
      }
    }),
  );
}

/** How long nodes may take in all, ms. */
const timeoutMs = 120_000;

async function withSource<T>(
  { config, db, clock }: Workplace,
  network: Network,
  work: (deps: OverrideDeps) => Promise<T>,
): Promise<T> {
  const chain = config.chains[network];
  if (chain === undefined) throw new CommandError(`${network} is not configured`);
  const log = createLogger({ level: 'warn', ...logTo(2, config.log.format), secrets: secretsOf(config) });
  const meter = createUsageMeter(clock);
  const source = createSource({ chain, clock, log, meter });
  const usage = keepNotingUsage({ db, network, meter, log });
  try {
    await source.verify(AbortSignal.timeout(timeoutMs));
    return await work({
      db,
      chain,
      source,
      latePolicy: config.payments.late,
      clock,
    });
  } finally {
    await source.close();
    await usage.stop();
  }
}
