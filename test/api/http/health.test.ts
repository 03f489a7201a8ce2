import { expect, test } from 'vitest';
import type { Network } from '../../../src/core/networks.ts';
import { noteFullPace, noteSlowed } from '../../../src/storage/chains/usage.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { openApiServer } from '../../support/api-server.ts';
import { describeDecisions } from '../../support/databases.ts';

describeDecisions('health', (openTestDb) => {
  test('healthz answers as long as the process does, without a key', async () => {
    const api = await openApiServer(await openTestDb());
    expect(await api.send('GET', '/healthz')).toMatchObject({ status: 200, body: { status: 'ok' } });
  });

  test('readyz is 200 while one chain can be paid on, and names the others as degraded', async () => {
    const api = await openApiServer(await openTestDb());
    expect(await api.send('GET', '/readyz')).toMatchObject({
      status: 200,
      body: { ready: true, degraded: [] },
    });
    await api.setChain('bsc', { stoppedReason: 'finality violated' });
    expect((await api.send('GET', '/readyz')).body).toEqual({
      ready: true,
      degraded: [{ part: 'chain:bsc', reason: 'the chain is stopped: finality violated' }],
    });
  });

  test('readyz names a chain as degraded that was not read for fifteen seconds beyond its pace', async () => {
    const api = await openApiServer(await openTestDb());
    const degraded = async () => ((await api.send('GET', '/readyz')).body as { degraded: unknown }).degraded;
    // A chain on which nobody waits is read every minute.
    api.advance(75);
    expect(await degraded()).toEqual([]);
    api.advance(1);
    const reason = 'the chain has not been read for 76 seconds';
    expect(await degraded()).toEqual([
      { part: 'chain:bsc', reason },
      { part: 'chain:ethereum', reason },
    ]);
  });

  test('readyz names a chain that is read more slowly for the sake of a quota, and takes that for its pace', async () => {
    const db = await openTestDb();
    const api = await openApiServer(db);
    const degraded = async () => ((await api.send('GET', '/readyz')).body as { degraded: unknown }).degraded;
    const slowed = { network: 'bsc' as Network, host: 'node.example', everyMs: 60_000 };
    await inTransaction(db, (trx) => noteSlowed(trx, { ...slowed, notedAt: api.now() }));
    const reason =
      'it is read every 60 seconds, so that the quota of node.example lasts until midnight (UTC)';
    expect(await degraded()).toEqual([{ part: 'chain:bsc', reason }]);
    // Whoever reads it would have said so again.
    api.advance(60);
    await inTransaction(db, (trx) => noteFullPace(trx, slowed.network));
    expect(await degraded()).toEqual([]);
  });

  test('readyz is 503 with every reason when no chain can be paid on', async () => {
    const api = await openApiServer(await openTestDb());
    api.advance(121);
    const answer = await api.send('GET', '/readyz');
    const reason = 'the chain has not been read for 121 seconds';
    expect([answer.status, answer.body]).toEqual([
      503,
      {
        ready: false,
        reasons: [
          { part: 'chain:bsc', reason },
          { part: 'chain:ethereum', reason },
        ],
      },
    ]);
  });

  test('readyz is 503 when the daemon is stopping, and when the database fails', async () => {
    const db = await openTestDb();
    const api = await openApiServer(db);
    api.setStopping(true);
    expect(await api.send('GET', '/readyz')).toMatchObject({
      status: 503,
      body: { ready: false, reasons: [{ part: 'daemon', reason: 'stopping' }] },
    });
    api.setStopping(false);
    await db.schema.dropTable('chain_cursors').execute();
    expect(await api.send('GET', '/readyz')).toMatchObject({
      status: 503,
      body: { ready: false, reasons: [{ part: 'database', reason: expect.any(String) }] },
    });
  });

  test('readyz names a coin without a price as degraded, and is 503 when no coin of a chain that can be used has one', async () => {
    const api = await openApiServer(await openTestDb());
    const prices = { usdt: 1n, usdc: 1n, busd: 1n, bnb: 600n };
    api.setRates(prices);
    const degraded = [{ part: 'rate:eth', reason: 'no trustworthy rate' }];
    expect((await api.send('GET', '/readyz')).body).toEqual({ ready: true, degraded });
    api.setRates({});
    const answer = await api.send<{ reasons: { part: string }[] }>('GET', '/readyz');
    expect(answer.status).toBe(503);
    expect(answer.body.reasons.map(({ part }) => part)).toContain('rate:usdt');
  });

  test('readyz is 503 after a write that the database refused, without a write of its own', async () => {
    const db = await openTestDb();
    const api = await openApiServer(db);
    const readOnly = Object.assign(new Error('cannot execute INSERT in a read-only transaction'), {
      code: '25006',
    });
    await expect(inTransaction(db, async () => Promise.reject(readOnly))).rejects.toThrow('read-only');
    expect(await api.send('GET', '/readyz')).toMatchObject({
      status: 503,
      body: { ready: false, reasons: [{ part: 'database', reason: 'it is read-only' }] },
    });
  });

  test('metrics count requests by route, never by path', async () => {
    const api = await openApiServer(await openTestDb());
    const shop = await api.addMerchant();
    await api.send('GET', '/api/v1/payments/PAY-2026-AAAAAA/', { key: shop.key });
    await api.send('GET', '/api/v1/payments/PAY-2026-BBBBBB/', { key: shop.key });
    const metrics = await api.send('GET', '/metrics');
    expect(metrics.headers.get('content-type')).toMatch(/^text\/plain/);
    expect(metrics.text).toContain(
      'depositd_http_requests_total{method="GET",route="/api/v1/payments/:payment_number/",status="404"} 2',
    );
    expect(metrics.text).not.toContain('PAY-2026');
  });

  test('every answer forbids framing, sniffing, caching and running anything', async () => {
    const api = await openApiServer(await openTestDb());
    for (const path of ['/healthz', '/api/v1/payments/', '/api/v1/schema/', '/nothing']) {
      const { headers } = await api.send('GET', path);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('content-security-policy')).toBe("default-src 'none';frame-ancestors 'none'");
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('strict-transport-security')).toBe('max-age=31536000');
      expect(headers.has('x-powered-by')).toBe(false);
    }
  });
});
