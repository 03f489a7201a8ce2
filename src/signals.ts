import { randomUUID } from 'node:crypto';
import { within } from './clock.ts';
import type { Network } from './core/networks.ts';
import type { Logger } from './log.ts';
import { type Loop, runLoop } from './loop.ts';
import { isPostgres } from './storage/database.ts';
import { listenOn, notifyAll } from './storage/postgres.ts';
import type { Db } from './storage/schema.ts';

/** What happened in one process that others wait for: webhooks were queued, a payment was made on a chain, blocks are to be read again, a provider told something. */
export type Signal = 'events' | `payment ${Network}` | `rescan ${Network}` | `provider ${string}`;

export type Signals = {
  /** Tells the other processes, once what happened is committed. */
  send(signal: Signal): void;
  /** Begins to listen. */
  start(): void;
  stop(): Promise<void>;
};

const channel = 'depositd';

const silence =
  'nothing came back: a pooler in transaction mode? databaseDirect must name this database without one';

/** How long a signal may take to come back to us, ms. */
const patienceMs = 3_000;

/** Between two looks whether signals still arrive, and between two tries where they do not, ms. */
const probeEveryMs = 15_000;
const deafEveryMs = 60_000;

/**
 * Wakes the loops of other processes by LISTEN and NOTIFY. Only for speed: every loop also looks by itself, so that a signal
 * that is lost costs a second. A connection may have died silently, and a pooler in transaction mode takes LISTEN and delivers
 * nothing: so a signal is sent to ourselves now and then, over another connection. `url`: where to listen.
 */
export function createSignals(deps: {
  db: Db;
  url: string;
  log: Logger;
  on: (signal: Signal) => void;
  probeMs?: { heard: number; deaf: number; patience: number };
}): Signals {
  const { db, url, log, on } = deps;
  const waits = deps.probeMs ?? { heard: probeEveryMs, deaf: deafEveryMs, patience: patienceMs };
  if (!isPostgres(db)) return { send: () => {}, start: () => {}, stop: async () => {} };
  const own = randomUUID();
  const waiting = new Set<Signal>();
  let flushing: Promise<void> | null = null;
  let listening: { close(): Promise<void> } | null = null;
  let probed: { payload: string; heard: () => void } | null = null;
  let loop: Loop | null = null;
  let toldDeaf = false;
  let stopped = false;

  /** Those that come while one is on its way go together. */
  async function flush(): Promise<void> {
    while (waiting.size > 0) {
      const signals = [...waiting];
      waiting.clear();
      try {
        await notifyAll(db, channel, `${own} ${signals.join(',')}`);
      } catch (error) {
        log.debug({ err: error }, 'signal not sent');
      }
    }
  }

  function hear(payload: string): void {
    if (payload === probed?.payload) probed.heard();
    const [sender, ...rest] = payload.split(' ');
    if (sender === own || sender === 'probe') return;
    for (const signal of rest.join(' ').split(',')) on(signal as Signal);
  }

  async function step(): Promise<boolean> {
    if (listening === null) {
      const gone = () => {
        if (listening === null) return;
        void drop();
        loop?.wake();
      };
      listening = await listenOn(url, channel, { on: hear, ended: gone });
      // Whatever was sent before.
      on('events');
    }
    const heard = Promise.withResolvers<void>();
    probed = { payload: `probe ${randomUUID()}`, heard: heard.resolve };
    await notifyAll(db, channel, probed.payload);
    const arrived = await within(heard.promise, waits.patience);
    probed = null;
    if (arrived === toldDeaf && !stopped) tell(arrived);
    if (!arrived) await drop();
    return arrived;
  }

  function tell(arrived: boolean): void {
    toldDeaf = !arrived;
    if (arrived) log.info({}, 'database signals arrive again');
    else log.warn({ reason: silence }, 'database signals missing');
  }

  async function drop(): Promise<void> {
    const dropped = listening;
    listening = null;
    await dropped?.close();
  }

  return {
    send(signal) {
      waiting.add(signal);
      flushing ??= flush().finally(() => {
        flushing = null;
      });
    },
    start() {
      const delay = (arrived: boolean) => (arrived ? waits.heard : waits.deaf);
      loop ??= runLoop({ name: 'signals', step, delay, log });
    },
    async stop() {
      stopped = true;
      await loop?.stop();
      await drop();
      await flushing;
    },
  };
}
