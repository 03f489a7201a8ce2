import { expect, test } from 'vitest';
import { inTransaction } from '../../src/storage/database.ts';
import { noteDaemon } from '../../src/storage/operators/daemons.ts';
import type { Db } from '../../src/storage/schema.ts';
import { listDeliveries } from '../../src/storage/webhooks/deliveries.ts';
import { findNextDueAt } from '../../src/storage/webhooks/queue.ts';
import { beatOf } from '../support/beats.ts';
import { describeDecisions } from '../support/databases.ts';
import { captureLog } from '../support/log.ts';
import { startLoopback } from '../support/loopback.ts';
import { testTime } from '../support/payments.ts';
import { manualClock, openShop } from '../support/webhooks.ts';

/*
 * A clock that is set back makes no webhook wait for as long: SQLite, whose time is the clock of the one process that
 * delivers from it.
 */

const secondMs = 1_000;
const minuteMs = 60_000;

/** A webhook whose first attempts have failed; the next one waits for four minutes. */
async function openFailing(openTestDb: () => Promise<Db>) {
  const clock = manualClock();
  const start = clock.now();
  /** When attempts came, by how much time has truly passed. */
  const attempts: number[] = [];
  let backMs = 0;
  const passed = () => clock.now() - start + backMs;
  const server = await startLoopback((_request, response) => {
    attempts.push(passed());
    response.writeHead(500).end();
  });
  const { log, lines } = captureLog();
  const db = await openTestDb();
  const shop = await openShop(db, clock.now);
  await shop.addEndpoint(server.url);
  const open = () => shop.notifier({ log, exclusive: true, random: () => 0 });
  await shop.happen();
  const notifier = open();
  await notifier.drain();
  while (attempts.length < 7) {
    clock.set((await findNextDueAt(db, clock.now())) ?? clock.now());
    await notifier.drain();
  }
  const setBack = (ms: number) => {
    clock.advance(-ms);
    backMs += ms;
  };
  /** Looks at once, as a loop that looks all the time does, and then every five seconds for so long. */
  const live = async (ms: number, looking = notifier) => {
    await looking.drain();
    for (let gone = 0; gone < ms; gone += 5 * secondMs) {
      clock.advance(5 * secondMs);
      await looking.drain();
    }
  };
  const said = () =>
    inTransaction(db, (trx) => noteDaemon(trx, beatOf('one'), { clock: clock.now, timeOf: testTime }));
  return { db, clock, shop, notifier, attempts, lines, open, setBack, live, passed, said };
}

describeDecisions('a webhook that waits for its next attempt', (openTestDb) => {
  for (const [name, ms] of [
    ['three seconds', 3 * secondMs],
    ['twenty minutes', 20 * minuteMs],
    ['a day', 24 * 60 * minuteMs],
  ] as const) {
    test(`waits no longer where the clock is set back by ${name}`, async () => {
      const { attempts, setBack, live, passed } = await openFailing(openTestDb);
      const [last = 0] = attempts.slice(-1);
      await live(100 * secondMs);
      setBack(ms);
      await live(120 * secondMs);
      expect(attempts).toHaveLength(7);
      await live(5 * secondMs);
      expect(attempts).toHaveLength(8);
      expect(passed() - last).toBeLessThan(230 * secondMs);
    });
  }

  test('waits no longer where the clock was set back while no daemon ran, and is sent no earlier by every start', async () => {
    const { attempts, setBack, live, said, open, notifier, lines } = await openFailing(openTestDb);
    await live(100 * secondMs);
    await said();
    await notifier.stop(0);
    setBack(20 * minuteMs);
    for (let starts = 0; starts < 3; starts++) {
      const next = open();
      await live(30 * secondMs, next);
      await next.stop(0);
    }
    expect(attempts).toHaveLength(7);
    await live(40 * secondMs, open());
    expect(attempts).toHaveLength(8);
    expect(lines.filter(({ msg }) => msg === 'clock set back')).toMatchObject([{ seconds: 1_200 }]);
  });

  test('waits as long as before where the clock is set forward and right again', async () => {
    const { attempts, clock, setBack, live, db, shop } = await openFailing(openTestDb);
    clock.advance(60 * minuteMs);
    await live(5 * secondMs);
    expect(attempts).toHaveLength(8);
    await shop.happen();
    await live(5 * secondMs);
    setBack(60 * minuteMs);
    await live(15 * secondMs);
    const { length } = attempts;
    expect(length).toBeGreaterThan(9);
    expect(await listDeliveries(db, { limit: 9 })).toMatchObject([
      { state: 'pending' },
      { state: 'pending' },
    ]);
  });
});
