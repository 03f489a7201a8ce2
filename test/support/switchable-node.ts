import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Stands before a node and can take it off the network: the node itself goes on. */
export type SwitchableNode = {
  url: string;
  /** Requests that came in, answered or not. */
  requests(): number;
  /** `false`: connections break without an answer. */
  setReachable(reachable: boolean): void;
  /** On the network until it has answered one request that contains `text`. */
  answerOnce(text: string): void;
  stop(): Promise<void>;
};

export async function startSwitchableNode(nodeUrl: string): Promise<SwitchableNode> {
  let reachable = true;
  let lastText: string | null = null;
  let requests = 0;
  const server = createServer(async (request, response) => {
    requests++;
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      if (!reachable) throw new Error('off the network');
      const asked = Buffer.concat(chunks);
      if (lastText !== null && asked.includes(lastText)) reachable = false;
      const answer = await fetch(nodeUrl, {
        method: 'POST',
        body: asked,
        headers: { 'content-type': 'application/json' },
      });
      const body = await answer.text();
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
      lastText = null;
      // Whatever is being answered is cut off too.
      if (!now) server.closeAllConnections();
    },
    answerOnce: (text) => {
      reachable = true;
      lastText = text;
    },
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
