import { setImmediate } from 'node:timers/promises';
import type { Network } from '../core/networks.ts';
import type { Logger } from '../log.ts';
import { type Loop, runLoop } from '../loop.ts';
import { type Changes, type Marks, readChanges } from '../storage/payments/changes.ts';
import { viewsById } from '../storage/payments/views.ts';
import { type ReadDeps, readFactsOf } from './read.ts';
import { presentStatus, type Snapshot } from './status.ts';
import { type CheckoutView, viewPayment } from './view.ts';

/** Who is told. `send` gets each snapshot that differs from the one before; `end` is called once, when nothing follows. */
export type Subscriber = {
  send(snapshot: Snapshot): void;
  /** Says that the stream lives. */
  beat(): void;
  end(): void;
};

export type Feed = {
  /** Null where there are too many already. The answer ends it. */
  subscribe(paymentId: number, subscriber: Subscriber): (() => void) | null;
  /** Streams that are open. */
  open(): number;
  /** Ends every stream. */
  stop(): Promise<void>;
};

type Followed = {
  id: number;
  /** Tells it from another that is given its id, in a database that has lost its last commits; null until it has been read. */
  paymentNumber: string | null;
  subscribers: Set<Subscriber>;
  /** Null until it has been read. Nothing else is kept of what was read: thousands are open at once. */
  snapshot: Snapshot | null;
  addressId: number | null;
  /** The chain whose blocks change what is shown; null for none. */
  moves: Network | null;
  /** When what is shown changes by itself, Unix ms; null for never. */
  endsAt: number | null;
  /** When it is read anew though nothing points to it, and when it gives a sign of life, as `performance.now()`. */
  rereadAt: number;
  beatAt: number;
};

/** From a commit to those who are told of it. */
const everyMs = 150;
/** Between two signs of life of a stream. */
const defaultHeartbeatMs = 15_000;
/** A payment that nothing points to is read anew after this long at most: its chain may not be read any more. */
const rereadMs = 30_000;
/** Streams of one payment. */
export const mostOfPayment = 3;
/** Payments that are read in one go, which takes a few ms: everything else in the process has its turn in between. */
const atOnce = 50;

/**
 * Tells open pages what becomes of their payments. One loop looks for what has changed, however many follow: by the
 * events, the deposits and the heads that were committed, by whatever process. It rests while nobody follows.
 */
export function createFeed(
  deps: ReadDeps & {
    log: Logger;
    maxStreams: number;
    heartbeatMs?: number;
    failed?: (loop: string) => void;
  },
): Feed {
  const { heartbeatMs = defaultHeartbeatMs } = deps;
  const followed = new Map<number, Followed>();
  let streams = 0;
  let marks: Marks | null = null;
  let loop: Loop | null = null;
  let stopped = false;

  function subscribe(paymentId: number, subscriber: Subscriber): (() => void) | null {
    const own = followed.get(paymentId) ?? newlyFollowed(paymentId, heartbeatMs);
    if (stopped || streams >= deps.maxStreams || own.subscribers.size >= mostOfPayment) return null;
    followed.set(paymentId, own);
    own.subscribers.add(subscriber);
    streams++;
    if (own.snapshot !== null) subscriber.send(own.snapshot);
    loop ??= runLoop({
      name: 'checkout',
      step,
      delay: () => (followed.size > 0 ? everyMs : heartbeatMs),
      log: deps.log,
      ...(deps.failed === undefined ? {} : { failed: deps.failed }),
    });
    loop.wake();
    return () => leave(own, subscriber);
  }

  function leave(own: Followed, subscriber: Subscriber): void {
    if (!own.subscribers.delete(subscriber)) return;
    streams--;
    if (own.subscribers.size === 0) followed.delete(own.id);
  }

  async function step(signal: AbortSignal): Promise<void> {
    if (followed.size === 0) {
      marks = null;
      return;
    }
    const changes = await readChanges(deps.db, marks);
    const isDue = whatIsDue(changes, performance.now(), deps.clock());
    const due = [...followed.values()].filter(isDue);
    for (let n = 0; n < due.length; n += atOnce) {
      if (signal.aborted) return;
      await refresh(due.slice(n, n + atOnce));
      // SQLite answers at once: nothing else would have its turn.
      await setImmediate();
    }
    // Only now: what failed on the way is looked at again.
    marks = changes.marks;
    beat(performance.now());
  }

  /** Each has its own time: at once, thousands would hold up everything else. */
  function beat(now: number): void {
    for (const own of followed.values()) {
      if (now < own.beatAt) continue;
      own.beatAt = now + heartbeatMs;
      for (const subscriber of own.subscribers) subscriber.beat();
    }
  }

  async function refresh(due: readonly Followed[]): Promise<void> {
    const views = await viewsById(
      deps.db,
      due.map(({ id }) => id),
    );
    const facts = await readFactsOf(deps, [...views.values()]);
    const byId = new Map(facts.map((one) => [one.payment.payment.id, one]));
    for (const own of due) {
      const known = byId.get(own.id);
      const number = known?.payment.payment.paymentNumber;
      own.paymentNumber ??= number ?? null;
      if (known === undefined || number !== own.paymentNumber) {
        // It was lost with the last commits: whoever follows asks again, and is told.
        for (const subscriber of [...own.subscribers]) finish(own, subscriber);
        continue;
      }
      const { payment } = known;
      const view = viewPayment(known);
      own.rereadAt = performance.now() + spread(rereadMs);
      own.addressId = payment.kind === 'onchain' ? payment.payment.addressId : null;
      own.moves = movesWithItsChain(view) ? view.network : null;
      own.endsAt = view.endsAt;
      const snapshot = presentStatus(view);
      if (snapshot.version !== own.snapshot?.version) {
        own.snapshot = snapshot;
        for (const subscriber of own.subscribers) subscriber.send(snapshot);
      }
      if (view.final) for (const subscriber of [...own.subscribers]) finish(own, subscriber);
    }
  }

  function finish(own: Followed, subscriber: Subscriber): void {
    leave(own, subscriber);
    subscriber.end();
  }

  return {
    subscribe,
    open: () => streams,
    async stop() {
      stopped = true;
      for (const own of [...followed.values()]) {
        for (const subscriber of [...own.subscribers]) finish(own, subscriber);
      }
      await loop?.stop();
    },
  };
}

function newlyFollowed(id: number, heartbeatMs: number): Followed {
  return {
    id,
    paymentNumber: null,
    subscribers: new Set(),
    snapshot: null,
    addressId: null,
    moves: null,
    endsAt: null,
    rereadAt: 0,
    beatAt: performance.now() + Math.random() * heartbeatMs,
  };
}

/** At most `ms`, and not the same for all that began together, as after a restart. */
function spread(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}

function whatIsDue(changes: Changes, now: number, clock: number): (own: Followed) => boolean {
  const [payments, addresses, networks] = [
    new Set(changes.paymentIds),
    new Set(changes.addressIds),
    new Set(changes.networks),
  ];
  return (own) => {
    if (changes.isUnknown || own.snapshot === null || now >= own.rereadAt) return true;
    if (own.endsAt !== null && clock >= own.endsAt) return true;
    if (payments.has(own.id) || (own.addressId !== null && addresses.has(own.addressId))) return true;
    return own.moves !== null && networks.has(own.moves);
  };
}

/** Whether each block changes what is shown. */
function movesWithItsChain({ state, delayed }: CheckoutView): boolean {
  return delayed || (state !== 'waiting' && state !== 'provider' && state !== 'wrong_asset');
}
