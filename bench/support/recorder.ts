import { createServer, request as forward, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Recording = {
  /** Bodies of the requests, in order. */
  bodies: string[];
  requests: number;
  calls: number;
  /** Of the answers, as they were sent. */
  bytes: number;
  /** Of the requests. */
  bytesAsked: number;
};

/** Stands before a node, passes everything on as it is, and writes down what was asked. */
export type Recorder = { url: string; recording: Recording; close(): Promise<void> };

export async function startRecorder(upstream: string): Promise<Recorder> {
  const recording: Recording = { bodies: [], requests: 0, calls: 0, bytes: 0, bytesAsked: 0 };
  const server = createServer(async (incoming, outgoing) => {
    try {
      const body = await readBody(incoming);
      const asked = JSON.parse(body) as unknown;
      recording.bodies.push(body);
      recording.requests += 1;
      recording.bytesAsked += Buffer.byteLength(body);
      recording.calls += Array.isArray(asked) ? asked.length : 1;
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const passed = forward(upstream, { method: 'POST', headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, { 'content-type': 'application/json' });
        answer.on('data', (chunk: Buffer) => {
          recording.bytes += chunk.length;
        });
        answer.pipe(outgoing);
      });
      passed.on('error', () => outgoing.destroy());
      passed.end(body);
    } catch {
      outgoing.destroy();
    }
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    recording,
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
