import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestProject } from 'vitest/node';
import { bundlePrograms } from './bundle.ts';
import { type Cluster, startCluster } from './cluster.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** POST answers with the URL of a PostgreSQL database, PUT empties one that goes on being used, DELETE takes it back. */
    databaseDesk: string;
  }
}

/**
 * Test files ask this desk for PostgreSQL databases. The cluster is started at the first question, so a run
 * that needs no PostgreSQL starts none, and there is one for all workers.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // For the workers, which are started later.
  process.env.DEPOSITD_TEST_PROGRAMS = await bundlePrograms();
  let cluster: Promise<Cluster> | undefined;
  const desk = createServer((request, response) => {
    const answer = (status: number, text: string) => response.writeHead(status).end(text);
    cluster ??= startCluster();
    cluster
      .then(async (running) => {
        const name = (request.url ?? '/').slice(1);
        switch (request.method) {
          case 'POST':
            return answer(201, await running.lendDatabase(name === 'migrated'));
          case 'DELETE':
            await running.takeBack(name);
            return answer(200, '');
          case 'PUT':
            return answer((await running.empty(name)) ? 200 : 409, '');
          default:
            return answer(405, '');
        }
      })
      .catch((error: unknown) => answer(500, String(error)));
  });
  await new Promise<void>((listening) => desk.listen(0, '127.0.0.1', listening));
  project.provide('databaseDesk', `http://127.0.0.1:${(desk.address() as AddressInfo).port}`);

  return async () => {
    desk.closeAllConnections();
    desk.close();
    await (await cluster)?.stop();
  };
}
