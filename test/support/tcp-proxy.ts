import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a server on loopback that can swallow what is sent over it, as a network does that forgot a connection. */
export type TcpProxy = {
  port: number;
  /** Of connections made by now nothing arrives any more; none is closed. Those made until `heal` lead nowhere. */
  blackHole(): void;
  /** Connections made from now on work. The others stay as they are. */
  heal(): void;
  /** Ends every connection. */
  cut(): void;
  close(): Promise<void>;
};

export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const pairs = new Set<{ sockets: Socket[]; dead: boolean }>();
  let holed = false;
  const server = createServer({ noDelay: true }, (near) => {
    if (holed) {
      pairs.add({ sockets: [near.on('error', () => {}).resume()], dead: true });
      return;
    }
    const far = connect({ ...target, noDelay: true });
    const pair = { sockets: [near, far], dead: false };
    pairs.add(pair);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (chunk) => {
        if (!pair.dead) to.write(chunk);
      });
      from.on('error', () => {});
      from.on('close', () => {
        if (!pair.dead) to.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    cut() {
      for (const pair of pairs) for (const socket of pair.sockets) socket.destroy();
    },
    port: (server.address() as AddressInfo).port,
    blackHole() {
      holed = true;
      for (const pair of pairs) pair.dead = true;
    },
    heal() {
      holed = false;
    },
    async close() {
      for (const { sockets } of pairs) for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
