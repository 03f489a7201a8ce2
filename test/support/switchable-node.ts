import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Stands before a node and can take it off the network: the node itself goes on. */
export type SwitchableNode = {
  url: string;
  /** Requests that came in, answered or not. */
  requests(): number;
  /** `false`: connections break without an answer. */
  setReachable(reachable: boolean): void;
  stop(): Promise<void>;
};

export async function startSwitchableNode(nodeUrl: string): Promise<SwitchableNode> {
  let reachable = true;
  let requests = 0;
  const server = createServer(async (request, response) => {
    requests++;
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      if (!reachable) throw new Error('off the network');
      const answer = await fetch(nodeUrl, {
        method: 'POST',
        body: Buffer.concat(chunks),
        headers: { 'content-type': 'application/json' },
      });
      const body = await answer.text();
      // It may have been taken away while the node was answering.
      if (!reachable) throw new Error('off the network');
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(body);
    } catch {
      response.destroy();
    }
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: () => requests,
    setReachable: (now) => {
      reachable = now;
      if (!now) server.closeAllConnections();
    },
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
