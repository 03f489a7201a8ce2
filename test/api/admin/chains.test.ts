import { expect, test } from 'vitest';
import { dayOf } from '../../../src/core/day.ts';
import type { Network } from '../../../src/core/networks.ts';
import { insertRecheckMark } from '../../../src/storage/chains/recheck-marks.ts';
import { recordScan } from '../../../src/storage/chains/scans.ts';
import { addNodeUsage, noteSlowed } from '../../../src/storage/chains/usage.ts';
import { inTransaction } from '../../../src/storage/database.ts';
import { openApiServer } from '../../support/api-server.ts';
import { testChain, testConfig } from '../../support/config.ts';
import { describeDecisions } from '../../support/databases.ts';
import { endpointOf } from '../../support/evm.ts';
import { createdAt, testBlock } from '../../support/payments.ts';

describeDecisions("the operator's view of a chain", (openTestDb) => {
  test('says up to where it is complete, up to where that was audited, and what was never read', async () => {
    const db = await openTestDb();
    const api = await openApiServer(db);
    await inTransaction(db, async (trx) => {
      const scan = { network: 'bsc', host: 'node.example', native: false, at: createdAt } as const;
      await trx.updateTable('chain_cursors').set({ first_height: 101 }).execute();
      await recordScan(trx, { ...scan, from: 20, to: 40 });
      await recordScan(trx, { ...scan, from: 101, to: 900 });
      await recordScan(trx, { ...scan, from: 951, to: 1000 });
      const position = testBlock(880);
      await insertRecheckMark(trx, { network: 'bsc', position, forks: 0, recheckedAt: createdAt });
    });
    const { body } = await api.send<{ data: unknown[] }>('GET', '/admin/v1/chains/', { admin: true });
    expect(body.data).toMatchObject([
      {
        network: 'bsc',
        coverage: {
          from: 101,
          complete_to: 900,
          rechecked_to: 880,
          gaps: [{ from: 901, to: 950 }],
          ranges: [
            { from: 20, to: 40 },
            { from: 101, to: 900 },
            { from: 951, to: 1000 },
          ],
        },
      },
      { network: 'ethereum', coverage: null },
    ]);
  });

  test('tells the calls and bytes of each node, method and day against its plan, and what is read more slowly for it', async () => {
    const db = await openTestDb();
    const bsc = testChain('bsc', {
      rpc: [endpointOf('https://node.example/key', { requestsPerDay: 100_000 })],
    });
    const api = await openApiServer(db, { chains: { ...testConfig().chains, bsc } });
    const node = { network: 'bsc' as Network, host: 'node.example' };
    const day = dayOf(api.now());
    await inTransaction(db, async (trx) => {
      await addNodeUsage(trx, [
        { ...node, day, method: 'eth_getLogs', calls: 60_000, bytes: 9_000_000 },
        { ...node, day, method: 'eth_blockNumber', calls: 30_000, bytes: 3_000_000 },
        { ...node, day: day - 1, method: 'eth_getLogs', calls: 7, bytes: 7 },
        { ...node, host: 'other.example', day, method: 'eth_getLogs', calls: 7, bytes: 7 },
      ]);
      await noteSlowed(trx, { ...node, everyMs: 12_000, notedAt: api.now() });
    });
    const { body } = await api.send<{ data: unknown[] }>('GET', '/admin/v1/chains/', { admin: true });
    expect(body.data[0]).toMatchObject({
      network: 'bsc',
      slowed: { host: 'node.example', every_seconds: 12 },
      nodes: [
        {
          host: 'node.example',
          today: {
            calls: 90_000,
            bytes: 12_000_000,
            calls_allowed: 100_000,
            methods: [
              { method: 'eth_getLogs', calls: 60_000, bytes: 9_000_000 },
              { method: 'eth_blockNumber', calls: 30_000, bytes: 3_000_000 },
            ],
          },
        },
      ],
    });
    const asked = await api.send('POST', '/admin/v1/chains/bsc/rescans/', {
      admin: true,
      json: { from: 900, to: 1000 },
    });
    expect(asked.body).toMatchObject({ status: 'waiting', waits_for: 'plan' });
  });

  test('takes one rescan at a time, of blocks that were read and not too many, and lets it be ended', async () => {
    const api = await openApiServer(await openTestDb());
    type Answer = { id: number; status: string; errors?: Record<string, string[]>; code?: string };
    const path = '/admin/v1/chains/bsc/rescans/';
    const send = (method: string, more = '', json?: object) =>
      api.send<Answer>(method, path + more, { admin: true, ...(json === undefined ? {} : { json }) });
    const refusals: [object, string][] = [
      [{ from: 0, to: 5 }, 'from'],
      [{ from: 10, to: 9 }, 'to'],
      [{ from: 1, to: 1_001 }, 'to'],
      [{ from: 1, to: 200_001 }, 'to'],
      [{ from: 1, to: 20_001, native: true }, 'to'],
      [{ from: '1', to: 5 }, 'from'],
      [{ from: 1.5, to: 5 }, 'from'],
      [{ from: 1 }, 'to'],
    ];
    for (const [json, field] of refusals) {
      const { status, body } = await send('POST', '', json);
      expect([json, status, Object.keys(body.errors ?? {})]).toEqual([json, 400, [field]]);
    }
    const both = await Promise.all([1, 2].map(() => send('POST', '', { from: 900, to: 1000 })));
    expect(both.map(({ status }) => status).toSorted()).toEqual([201, 409]);
    expect(both.find(({ status }) => status === 409)?.body.code).toBe('not_rescannable');
    const id = both.find(({ status }) => status === 201)?.body.id ?? 0;
    expect((await send('GET', `${id}/`)).body).toMatchObject({
      status: 'waiting',
      blocks: 101,
      blocks_read: 0,
    });
    for (const unknown of ['7/', 'x/', `${id}x/`]) expect((await send('GET', unknown)).status).toBe(404);
    const elsewhere = await api.send('GET', `/admin/v1/chains/ethereum/rescans/${id}/`, { admin: true });
    expect(elsewhere.status).toBe(404);
    for (const network of ['tron', '__proto__', 'toString'])
      expect((await api.send('GET', `/admin/v1/chains/${network}/rescans/`, { admin: true })).status).toBe(
        404,
      );
    for (let n = 0; n < 2; n++)
      expect(await send('POST', `${id}/cancel/`)).toMatchObject({
        status: 200,
        body: { status: 'cancelled' },
      });
    expect((await send('POST', '', { from: 900, to: 1000 })).status).toBe(201);

    await api.setChain('ethereum', { stoppedReason: 'two final blocks at one height' });
    const stopped = await api.send('POST', '/admin/v1/chains/ethereum/rescans/', {
      admin: true,
      json: { from: 1, to: 2 },
    });
    expect(stopped.status).toBe(409);
  });
});
