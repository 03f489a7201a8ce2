import Fastify from 'fastify';
import { expect, onTestFinished, test } from 'vitest';
import type { DashboardFile } from '../../src/api/dashboard/build.ts';
import { registerDashboardRoutes } from '../../src/api/dashboard/routes.ts';
import { createErrorHandler } from '../../src/api/http/errors.ts';
import type { Api } from '../../src/api/routes.ts';
import { captureLog } from '../support/log.ts';

test('a dashboard that cannot be built is not built again for a minute, however often it is asked for', async () => {
  const server = Fastify() as unknown as Api;
  onTestFinished(() => server.close());
  let [builds, now, broken] = [0, 1_000_000, true];
  const { log } = captureLog();
  const file: DashboardFile = { type: 'text/html', body: Buffer.from('hello'), etag: '"1"' };
  const read = async () => {
    builds += 1;
    if (broken) throw new Error('no vite');
    return new Map([['index.html', file]]);
  };
  server.setErrorHandler(createErrorHandler(log));
  registerDashboardRoutes(server, { log, clock: () => now, read });
  const ask = async () => (await server.inject('/')).statusCode;
  const asked = await Promise.all([ask(), ask(), ask()]);
  asked.push(await ask());
  expect([asked, builds]).toEqual([[503, 503, 503, 503], 1]);
  now += 60_000;
  broken = false;
  expect([await ask(), await ask(), builds]).toEqual([200, 200, 2]);
});
