import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** Stands before a node; what a test wants to happen in the midst of a request happens there. */
export type GatedNode = {
  url: string;
  /** Done when the next request has come and the node has not seen it yet, or has answered and nobody has heard it. */
  once(when: 'asked' | 'answered', act: () => Promise<void>): void;
};

export async function gatedNodeForTest(nodeUrl: string): Promise<GatedNode> {
  let armed: { when: 'asked' | 'answered'; act: () => Promise<void> } | null = null;
  const pass = async (when: 'asked' | 'answered') => {
    if (armed?.when !== when) return;
    const { act } = armed;
    armed = null;
    await act();
  };
  const server = createServer(async (request, response) => {
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      await pass('asked');
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(new URL(request.url ?? '/', nodeUrl), {
        method: 'POST',
        body: Buffer.concat(chunks),
        headers,
      });
      const body = await answer.text();
      await pass('answered');
      response.writeHead(answer.status, headers).end(body);
    } catch {
      response.destroy();
    }
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    once(when, act) {
      armed = { when, act };
    },
  };
}
