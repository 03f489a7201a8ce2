import { describe, expect, onTestFinished, test } from 'vitest';
import { inTransaction, openDatabase } from '../../../src/storage/database.ts';
import type { Db } from '../../../src/storage/schema.ts';
import { getDelivery, listAttempts, listDeliveries } from '../../../src/storage/webhooks/deliveries.ts';
import {
  type AttemptRecord,
  claimDueDeliveries,
  findDueEndpoints,
  findNextDueAt,
  type Lane,
  recordAttempts,
  releaseClaims,
} from '../../../src/storage/webhooks/queue.ts';
import {
  findExpiredLeases,
  getDeliveryBacklog,
  pruneDeliveries,
} from '../../../src/storage/webhooks/upkeep.ts';
import { describeDatabases, freshDatabaseUrl } from '../../support/databases.ts';
import { openShop } from '../../support/webhooks.ts';

const now = 1_800_000_000_000;

/** A shop with one endpoint and a queue; everything happens at `now`. */
async function openQueue(db: Db, count: number) {
  const shop = await openShop(db, () => now);
  const { id: endpointId } = await shop.addEndpoint('https://shop.example/');
  await shop.happen(count);
  const claim = (limit: number, lane: Lane = 'fresh', at = now) =>
    inTransaction(db, (trx) =>
      claimDueDeliveries(trx, { endpointId, lane, limit, now: at, leaseUntil: at + 30_000 }),
    );
  const record = async (...records: AttemptRecord[]) => {
    const changed = await inTransaction(db, (trx) => recordAttempts(trx, records));
    return new Set([...changed].map(({ deliveryId }) => deliveryId));
  };
  return { shop, endpointId, claim, record };
}

function ended(deliveryId: number, attempt: number, next: AttemptRecord['next']): AttemptRecord {
  const status = next.state === 'delivered' ? 200 : 500;
  const error = next.state === 'delivered' ? null : 'http';
  return {
    deliveryId,
    attempt,
    firstAttemptAt: now,
    startedAt: now,
    durationMs: 5,
    status,
    error,
    detail: '',
    response: 'text',
    next,
  };
}

const delivered = { state: 'delivered', finishedAt: now + 5 } as const;
const retried = { state: 'pending', nextAttemptAt: now + 3_500, uncounted: false } as const;
const failed = { state: 'failed', finishedAt: now + 5 } as const;

describeDatabases('the queue of deliveries', (openTestDb) => {
  test('is claimed oldest first, each delivery once, counted and under a lease', async () => {
    const db = await openTestDb();
    const { claim } = await openQueue(db, 5);
    const first = await claim(3);
    const second = await claim(3);
    const ids = (await listDeliveries(db, { limit: 10 })).map(({ id }) => id).reverse();
    expect([...first, ...second].map(({ id }) => id)).toEqual(ids);
    expect(await claim(3)).toEqual([]);
    expect(first[0]).toMatchObject({
      attempt: 1,
      firstAttemptAt: now,
      lane: 'fresh',
      eventType: 'payment.confirmed',
    });
    expect(await getDelivery(db, ids[0] ?? 0)).toMatchObject({ state: 'sending', attempts: 1 });
  });

  test('a retry is due when its time has come, in the backlog', async () => {
    const db = await openTestDb();
    const { claim, record, endpointId } = await openQueue(db, 1);
    const [one] = await claim(1);
    await record(ended(one?.id ?? 0, 1, retried));
    expect(await findNextDueAt(db, now)).toBe(now + 3_500);
    expect(await findDueEndpoints(db, now + 3_499)).toEqual([]);
    expect(await findDueEndpoints(db, now + 3_600)).toEqual([
      { endpointId, fresh: null, backlog: now + 3_500 },
    ]);
    expect(await claim(1, 'backlog', now + 3_499)).toEqual([]);
    expect(await claim(1, 'fresh', now + 3_500)).toEqual([]);
    const [again] = await claim(1, 'backlog', now + 3_500);
    expect(again).toMatchObject({ id: one?.id, attempt: 2, firstAttemptAt: now, lane: 'backlog' });
    expect(await findNextDueAt(db, now)).toBeNull();
  });

  test('lists each endpoint once, with the time of the oldest, however long its queue is', async () => {
    const db = await openTestDb();
    const { shop, endpointId } = await openQueue(db, 200);
    const { id: other } = await shop.addEndpoint('https://other.example/');
    await shop.happen(1);
    const due = await findDueEndpoints(db, now);
    expect(due).toHaveLength(2);
    for (const id of [endpointId, other])
      expect(due).toContainEqual({ endpointId: id, fresh: now, backlog: null });
    expect(await getDeliveryBacklog(db, now)).toEqual({ due: 202, oldestDueAt: now });
    expect(await getDeliveryBacklog(db, now - 1)).toEqual({ due: 0, oldestDueAt: null });
  });

  test('a claim that is given back is as if it never was', async () => {
    const db = await openTestDb();
    const { claim } = await openQueue(db, 2);
    const before = await db.selectFrom('deliveries').selectAll().orderBy('id').execute();
    const claims = await claim(2);
    await inTransaction(db, (trx) => releaseClaims(trx, claims));
    expect(await db.selectFrom('deliveries').selectAll().orderBy('id').execute()).toEqual(before);
    // A stale one gives back nothing.
    const again = await claim(2);
    await inTransaction(db, (trx) =>
      releaseClaims(
        trx,
        again.map(({ id }) => ({ id, attempt: 7 })),
      ),
    );
    expect(await listDeliveries(db, { state: 'sending', limit: 10 })).toHaveLength(2);
  });

  test('results of many attempts are written together, each with its own consequence', async () => {
    const db = await openTestDb();
    const { claim, record } = await openQueue(db, 3);
    const [a, b, c] = (await claim(3)).map(({ id }) => id) as [number, number, number];
    const changed = await record(ended(a, 1, delivered), ended(b, 1, retried), ended(c, 1, failed));
    expect([...changed].sort()).toEqual([a, b, c].sort());
    expect(await getDelivery(db, a)).toMatchObject({
      state: 'delivered',
      lastStatus: 200,
      lastError: null,
      finishedAt: now + 5,
    });
    expect(await getDelivery(db, b)).toMatchObject({
      state: 'pending',
      nextAttemptAt: now + 3_500,
      lastStatus: 500,
      lastError: 'http',
    });
    expect(await getDelivery(db, c)).toMatchObject({
      state: 'failed',
      nextAttemptAt: null,
      finishedAt: now + 5,
    });
    expect(await listAttempts(db, a)).toEqual([
      { attempt: 1, startedAt: now, durationMs: 5, status: 200, error: null, detail: '', response: 'text' },
    ]);
  });

  test('a failure that comes after its lease was lost changes nothing, a success ends the delivery', async () => {
    const db = await openTestDb();
    const { claim, record } = await openQueue(db, 2);
    const [a, b] = (await claim(2)).map(({ id }) => id) as [number, number];
    // Another process gave the leases up and claimed again.
    const interrupted = (id: number) => ({ ...ended(id, 1, retried), error: 'interrupted', status: null });
    await record(interrupted(a), interrupted(b));
    expect(await claim(2, 'backlog', now + 3_500)).toHaveLength(2);

    expect(await record(ended(a, 1, failed))).toEqual(new Set());
    expect(await getDelivery(db, a)).toMatchObject({ state: 'sending', attempts: 2 });
    expect(await record(ended(b, 1, delivered))).toEqual(new Set([b]));
    expect(await getDelivery(db, b)).toMatchObject({ state: 'delivered', attempts: 2 });
    // The second sender's own result comes too late to undo it.
    expect(await record(ended(b, 2, failed))).toEqual(new Set());
    expect(await getDelivery(db, b)).toMatchObject({ state: 'delivered' });
    expect((await listAttempts(db, b)).map(({ attempt, status }) => [attempt, status])).toEqual([
      [1, 200],
      [2, 500],
    ]);
  });

  test('what was sent of a delivery that a failover lost is not written, nor does it end another that has its id', async () => {
    const db = await openTestDb();
    const { claim, record } = await openQueue(db, 3);
    const [lost, anew, other] = (await claim(3)).map(({ id }) => id) as [number, number, number];
    await inTransaction(db, async (trx) => {
      await trx.deleteFrom('deliveries').where('id', '=', lost).execute();
      // Nobody has sent it yet.
      await trx
        .updateTable('deliveries')
        .set({ state: 'pending', attempts: 0, first_attempt_at: null, lease_until: null })
        .where('id', '=', anew)
        .execute();
    });
    const results = [lost, anew, other].map((id) => ended(id, 1, delivered));
    expect(await record(...results)).toEqual(new Set([other]));
    expect(await getDelivery(db, anew)).toMatchObject({ state: 'pending', attempts: 0 });
    expect(await getDelivery(db, other)).toMatchObject({ state: 'delivered' });
    expect(await listAttempts(db, anew)).toEqual([]);
    // By another process, at another time.
    await claim(1, 'fresh', now + 1);
    expect(await record(ended(anew, 1, delivered))).toEqual(new Set());
    expect(await getDelivery(db, anew)).toMatchObject({ state: 'sending' });
  });

  test('of two results for one delivery the one counts whose claim the database knows, whatever a failover lost', async () => {
    const db = await openTestDb();
    const { claim, record } = await openQueue(db, 2);
    const [one, other] = (await claim(2)).map(({ id }) => id) as [number, number];
    await db
      .updateTable('deliveries')
      .set({ state: 'pending', attempts: 0, first_attempt_at: null, lease_until: null })
      .where('id', '=', one)
      .execute();
    await claim(1, 'fresh', now + 1);
    const before = ended(one, 1, failed);
    const after = { ...ended(one, 1, delivered), firstAttemptAt: now + 1 };
    const records = [before, after, ended(other, 1, delivered)];
    const changed = await inTransaction(db, (trx) => recordAttempts(trx, records));
    expect(changed).toEqual(new Set(records.slice(1)));
    expect(await getDelivery(db, one)).toMatchObject({ state: 'delivered' });
    expect(await listAttempts(db, one)).toMatchObject([{ attempt: 1, status: 200 }]);
    expect(await record(before)).toEqual(new Set());
  });

  test('leases that are over are found, oldest first', async () => {
    const db = await openTestDb();
    const { claim } = await openQueue(db, 3);
    const [first] = await claim(1, 'fresh', now);
    const [second] = await claim(1, 'fresh', now + 1);
    expect(await findExpiredLeases(db, now + 29_999, 10)).toEqual([]);
    const expired = await findExpiredLeases(db, now + 30_001, 10);
    expect(expired.map(({ id }) => id)).toEqual([first?.id, second?.id]);
    expect(expired[0]).toMatchObject({ attempt: 1, firstAttemptAt: now, leaseUntil: now + 30_000 });
    expect(await findExpiredLeases(db, now + 30_001, 1)).toHaveLength(1);
  });

  test('what ended long ago is pruned with its attempts, what has not ended stays', async () => {
    const db = await openTestDb();
    const { claim, record } = await openQueue(db, 4);
    const [a, b, c] = (await claim(3)).map(({ id }) => id) as [number, number, number];
    await record(ended(a, 1, delivered), ended(b, 1, failed), ended(c, 1, retried));
    const prune = (before: number, limit: number) =>
      inTransaction(db, (trx) => pruneDeliveries(trx, before, limit));
    expect(await prune(now + 5, 10)).toBe(0);
    expect(await prune(now + 6, 1)).toBe(1);
    expect(await prune(now + 6, 10)).toBe(1);
    expect((await listDeliveries(db, { limit: 10 })).map(({ state }) => state)).toEqual([
      'pending',
      'pending',
    ]);
    const attempts = await db.selectFrom('delivery_attempts').select('delivery_id').execute();
    expect(attempts).toEqual([{ delivery_id: c }]);
  });
});

describeDatabases('the list of deliveries', (openTestDb) => {
  test('is newest first, in pages, and filtered by merchant, endpoint, state, type and time', async () => {
    const db = await openTestDb();
    let at = now;
    const shop = await openShop(db, () => at);
    const rival = await openShop(db, () => at);
    const one = await shop.addEndpoint('https://one.example/');
    const two = await shop.addEndpoint('https://two.example/', ['payment.late', 'payment.confirmed']);
    await rival.addEndpoint('https://rival.example/');
    await shop.happen(2);
    at += 1_000;
    await shop.happen(1, 'payment.late');
    await rival.happen(1);
    const [claimed] = await inTransaction(db, (trx) =>
      claimDueDeliveries(trx, { endpointId: one.id, lane: 'fresh', limit: 1, now: at, leaseUntil: at + 1 }),
    );

    const all = await listDeliveries(db, { limit: 100 });
    expect(all).toHaveLength(6);
    expect(all.map(({ id }) => id)).toEqual(all.map(({ id }) => id).sort((a, b) => b - a));
    const mine = await listDeliveries(db, { merchantId: shop.merchantId, limit: 100 });
    expect(mine).toHaveLength(5);
    const page = await listDeliveries(db, { merchantId: shop.merchantId, limit: 2 });
    const next = await listDeliveries(db, {
      merchantId: shop.merchantId,
      limit: 2,
      beforeId: page[1]?.id ?? 0,
    });
    expect([...page, ...next]).toEqual(mine.slice(0, 4));
    expect(await listDeliveries(db, { endpointId: two.id, limit: 100 })).toHaveLength(3);
    expect((await listDeliveries(db, { state: 'sending', limit: 100 })).map(({ id }) => id)).toEqual([
      claimed?.id,
    ]);
    const late = await listDeliveries(db, { eventType: 'payment.late', limit: 100 });
    expect(late).toMatchObject([{ endpointId: two.id, eventType: 'payment.late', createdAt: now + 1_000 }]);
    expect(late[0]?.eventId).toMatch(/^evt_/);
    expect(await listDeliveries(db, { since: now + 1, limit: 100 })).toHaveLength(2);
    expect(await listDeliveries(db, { until: now + 1_000, limit: 100 })).toHaveLength(4);
    expect(await getDelivery(db, 999_999)).toBeNull();
  });
});

describe('two processes on PostgreSQL', () => {
  test('that claim at the same moment get different deliveries, and neither waits for the other', async () => {
    const url = await freshDatabaseUrl('PostgreSQL', { migrated: true });
    const [db, otherDb] = [await openDatabase(url), await openDatabase(url)];
    onTestFinished(async () => {
      await Promise.all([db.destroy(), otherDb.destroy()]);
    });
    const { endpointId } = await openQueue(db, 20);
    const request = { endpointId, lane: 'fresh', limit: 10, now, leaseUntil: now + 30_000 } as const;
    const claims = await inTransaction(db, async (trx) => {
      const mine = await claimDueDeliveries(trx, request);
      // While the first has not committed.
      const theirs = await inTransaction(otherDb, (otherTrx) => claimDueDeliveries(otherTrx, request));
      return [...mine, ...theirs];
    });
    expect(new Set(claims.map(({ id }) => id)).size).toBe(20);
    const rows = await db.selectFrom('deliveries').select(['attempts']).execute();
    expect(rows.map(({ attempts }) => attempts)).toEqual(Array(20).fill(1));
  });
});
