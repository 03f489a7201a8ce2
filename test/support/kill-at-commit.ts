/*
 * Loaded into a daemon under test: kills it just before or just after the nth commit that changes more than
 * how far a chain was read, so that each moment at which a crash could lose or double something has its turn.
 */
import Sqlite from 'better-sqlite3';

let commit = Number(process.env.DEPOSITD_TEST_KILL_AT_COMMIT);
let side = process.env.DEPOSITD_TEST_KILL_SIDE;

const telling =
  /^\s*(?:with .*)?(?:insert into|update|delete from) "?(?:checkout_sessions|payments|addresses|deposits|events|deliveries|delivery_attempts|idempotency_keys|provider_payments|provider_intents|inbound_events|refunds)\b/is;

let changed = false;
let commits = 0;

type Run = (...parameters: unknown[]) => unknown;
type Statement = { run: Run; all: Run };

const prototype = Sqlite.prototype as { prepare(text: string): unknown };
const prepare = prototype.prepare;
prototype.prepare = function (text) {
  const statement = prepare.call(this, text) as Statement;
  for (const name of ['run', 'all'] as const) {
    const run = statement[name].bind(statement);
    statement[name] = (...parameters) => execute(text, () => run(...parameters));
  }
  return statement;
};

function execute(text: string, run: () => unknown): unknown {
  if (text === 'begin immediate') changed = false;
  if (telling.test(text)) changed = true;
  if (text !== 'commit' || !changed) return run();
  commits++;
  if (commits === commit && side === 'before') die();
  const result = run();
  if (commits === commit) die();
  return result;
}

process.on('message', (message: { killAt?: { commit: number; side: string } }) => {
  if (message.killAt === undefined) return;
  ({ commit, side } = message.killAt);
  commits = 0;
  process.send?.({ killAt: message.killAt });
});
process.channel?.unref();

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  // The signal is on its way; nothing more may happen here.
  for (;;);
}
