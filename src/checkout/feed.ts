import type { Network } from '../core/networks.ts';
import type { Logger } from '../log.ts';
import { type Loop, runLoop } from '../loop.ts';
import { type Changes, type Marks, readChanges } from '../storage/payments/changes.ts';
import { viewsById } from '../storage/payments/views.ts';
import { type ReadDeps, readFacts } from './read.ts';
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
  subscribers: Set<Subscriber>;
  /** Null until it has been read. Nothing else is kept of what was read: thousands are open at once. */
  snapshot: Snapshot | null;
  addressId: number | null;
  /** The chain whose blocks change what is shown; null for none. */
  moves: Network | null;
  /** When what is shown changes by itself, Unix ms; null for never. */
  endsAt: number | null;
  readAt: number;
};

/** From a commit to those who are told of it. */
const everyMs = 150;
/** Between two signs of life of a stream. */
const defaultHeartbeatMs = 15_000;
/** A payment that nothing points to is read anew after this long: its chain may not be read any more. */
const rereadMs = 30_000;
/** Streams of one payment. */
export const mostOfPayment = 3;
/** Payments that are read in one go: others have their turn in between. */
const atOnce = 100;

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
  let beatAt = 0;

  function subscribe(paymentId: number, subscriber: Subscriber): (() => void) | null {
    const own = followed.get(paymentId) ?? newlyFollowed(paymentId);
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
    const first = marks === null;
    const changes = await readChanges(deps.db, marks);
    const now = performance.now();
    const due = [...followed.values()].filter((one) => first || isDue(one, changes, now, deps.clock()));
    for (let n = 0; n < due.length && !signal.aborted; n += atOnce) await refresh(due.slice(n, n + atOnce));
    // Only now: what failed on the way is looked at again.
    marks = changes.marks;
    if (now - beatAt >= heartbeatMs) {
      beatAt = now;
      for (const one of followed.values()) for (const subscriber of one.subscribers) subscriber.beat();
    }
  }

  async function refresh(due: readonly Followed[]): Promise<void> {
    const views = await viewsById(
      deps.db,
      due.map(({ id }) => id),
    );
    for (const own of due) {
      const payment = views.get(own.id);
      if (payment === undefined) continue;
      const view = viewPayment(await readFacts(deps, payment));
      own.readAt = performance.now();
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

function newlyFollowed(id: number): Followed {
  return {
    id,
    subscribers: new Set(),
    snapshot: null,
    addressId: null,
    moves: null,
    endsAt: null,
    readAt: 0,
  };
}

function isDue(own: Followed, changes: Changes, now: number, clock: number): boolean {
  if (own.snapshot === null || now - own.readAt >= rereadMs) return true;
  if (own.endsAt !== null && clock >= own.endsAt) return true;
  if (changes.paymentIds.includes(own.id)) return true;
  if (own.addressId !== null && changes.addressIds.includes(own.addressId)) return true;
  return own.moves !== null && changes.networks.includes(own.moves);
}

/** Whether each block changes what is shown. */
function movesWithItsChain({ state, delayed }: CheckoutView): boolean {
  return delayed || (state !== 'waiting' && state !== 'provider' && state !== 'wrong_asset');
}
