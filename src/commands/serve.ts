import { within } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import { secretsOf } from '../config/scrub.ts';
import { everyRole, type Role } from '../core/roles.ts';
import { type Daemon, firstReadMs, startDaemon } from '../daemon.ts';
import { DepositdError } from '../errors.ts';
import { createLogger, type Logger, logTo } from '../log.ts';
import { programVersion } from '../version.ts';
import { releaseYoungGeneration } from '../young-generation.ts';
import { say } from './output.ts';
import type { CommandOptions } from './workplace.ts';

/** Steps that do not end by then are cut off: whatever they did not commit is done again at the next start, ms. */
const stopWithinMs = 9_000;

/** Exit code of a process that a second signal ended. */
const interrupted = 130;

/** Runs the daemon until SIGTERM or SIGINT; answers the exit code. */
export async function serve(options: CommandOptions & { roles?: ReadonlySet<Role> }): Promise<number> {
  const config = loadConfig(options.config);
  const log = createLogger({
    level: config.log.level,
    ...logTo(1, config.log.format),
    secrets: secretsOf(config),
  });
  dieLoudly(log);
  const signal = firstSignal(log);

  const roles = options.roles ?? new Set(everyRole);
  log.info(
    { version: programVersion(), node: process.version, pid: process.pid, roles: [...roles] },
    'starting',
  );
  let daemon: Daemon;
  try {
    daemon = await startDaemon(config, { log, roles });
  } catch (error) {
    log.fatal({ err: error }, 'not started');
    if (!(error instanceof DepositdError)) return 1;
    throw error;
  }
  releaseYoungGeneration();
  // Whoever asks right after "ready" should find chains that were read; one whose nodes do not answer holds up nobody.
  await within(Promise.race([daemon.chainsRead, signal]), firstReadMs);
  log.info(daemon.address, 'ready');
  if (daemon.firstLink !== null) {
    // Not into the log, which is kept and read by others.
    say(`No operator yet. Whoever opens this within 15 minutes becomes the first: ${daemon.firstLink}`);
  }

  const outdated = await Promise.race([signal, daemon.outdated]);
  if (outdated !== undefined) log.fatal({ reason: outdated }, 'database is too new');
  const code = await stop(daemon, log);
  return outdated === undefined ? code : 1;
}

async function stop(daemon: Daemon, log: Logger): Promise<number> {
  const patience = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => patience.resolve('late'), stopWithinMs);
  try {
    const outcome = await Promise.race([daemon.stop(), patience.promise]);
    if (outcome === 'late') {
      log.error({ seconds: stopWithinMs / 1000 }, 'stop took too long');
      return 1;
    }
    log.info('stopped');
    return 0;
  } catch (error) {
    log.error({ err: error }, 'stop failed');
    return 1;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Resolves at the first SIGTERM or SIGINT; the second ends the process at once. Whoever starts a daemon for as long as
 * itself lives, as the demo does, sets DEPOSITD_END_WITH_STDIN and holds its stdin open: however it ends, that is closed.
 */
function firstSignal(log: Logger): Promise<void> {
  return new Promise((resolve) => {
    if (process.env.DEPOSITD_END_WITH_STDIN === '1') {
      process.stdin.once('end', () => {
        log.info({ signal: 'end of stdin' }, 'stopping');
        resolve();
      });
      process.stdin.resume();
      process.stdin.unref();
    }
    let signals = 0;
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.on(name, () => {
        signals++;
        if (signals > 1) process.exit(interrupted);
        log.info({ signal: name }, 'stopping');
        resolve();
      });
    }
  });
}

/** An error that nobody handled leaves unknown things undone: a new process begins from what is committed. */
function dieLoudly(log: Logger): void {
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error) => {
      log.fatal({ err: error }, 'crashed');
      process.exit(1);
    });
  }
}
