import { randomBytes } from 'node:crypto';
import { onTestFinished } from 'vitest';
import type { EventType } from '../../src/core/events.ts';
import type { Logger } from '../../src/log.ts';
import { createNotifier, type Notifier, type NotifierOptions } from '../../src/notify/deliver.ts';
import { createEndpoint } from '../../src/notify/endpoints.ts';
import { createSecrets, type Secrets } from '../../src/notify/secrets.ts';
import { createOutbound } from '../../src/outbound.ts';
import { inTransaction } from '../../src/storage/database.ts';
import { addMerchant } from '../../src/storage/operators/merchants.ts';
import type { Db } from '../../src/storage/schema.ts';
import { appendEvent } from '../../src/storage/webhooks/events.ts';
import { silentLog } from './log.ts';

/** A merchant whose endpoints, events and deliveries a test makes, at the times it says. */
export type Shop = {
  db: Db;
  merchantId: string;
  secrets: Secrets;
  /** What seals them, in base64. */
  key: string;
  addEndpoint(
    url: string,
    events?: readonly EventType[],
    headers?: Record<string, string>,
  ): Promise<{ id: string; secret: string }>;
  /** Appends events one after the other, each with its number in the body. */
  happen(count?: number, type?: EventType): Promise<void>;
  notifier(options?: Partial<NotifierOptions> & { log?: Logger; allowHosts?: readonly string[] }): Notifier;
};

/** Loopback is where the receivers of tests are. */
const rules = { allowHosts: ['127.0.0.1'], headerPrefix: 'X-PayHook' };

export async function openShop(db: Db, clock: () => number): Promise<Shop> {
  const merchant = await inTransaction(db, (trx) => addMerchant(trx, { name: 'Test shop', at: clock() }));
  const key = randomBytes(32);
  const secrets = createSecrets(key, 'the test key');
  let happened = 0;
  return {
    db,
    merchantId: merchant.id,
    secrets,
    key: key.toString('base64'),
    addEndpoint: async (url, events, headers = {}) => {
      const input = {
        merchantId: merchant.id,
        url,
        headers,
        // Tests look at several endpoints of one receiver.
        allowSameUrl: true,
        at: clock(),
        ...(events === undefined ? {} : { events }),
      };
      const made = await inTransaction(db, (trx) => createEndpoint(trx, { secrets, ...rules }, input));
      if (made.kind !== 'created') throw new Error(JSON.stringify(made.faults));
      return { id: made.endpoint.id, secret: made.secret };
    },
    happen: async (count = 1, type = 'payment.confirmed') => {
      await inTransaction(db, async (trx) => {
        for (let i = 0; i < count; i++) {
          const body = JSON.stringify({ event: type, payment_id: `PAY-2026-${++happened}`, text: 'Grüße ☃' });
          await appendEvent(trx, { merchantId: merchant.id, type, paymentId: null, body, at: clock() });
        }
      });
    },
    notifier: ({ allowHosts = ['127.0.0.1'], ...options } = {}) => {
      const outbound = createOutbound({ allowHosts, userAgent: 'depositd/test' });
      const notifier = createNotifier({
        db,
        outbound,
        secrets,
        headerPrefix: 'X-PayHook',
        clock,
        log: silentLog,
        ...options,
      });
      onTestFinished(async () => {
        await notifier.stop(0);
        await outbound.close();
      });
      return notifier;
    },
  };
}

/** A clock that stands until a test moves it. */
export function manualClock(start = Date.now()): {
  now: () => number;
  set: (ms: number) => void;
  advance: (ms: number) => void;
} {
  let at = start;
  return {
    now: () => at,
    set: (ms) => {
      at = ms;
    },
    advance: (ms) => {
      at += ms;
    },
  };
}
