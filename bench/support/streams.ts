import { once } from 'node:events';
import { connect } from 'node:net';

/** A stream of events that is open. */
export type OpenStream = {
  /** When it first held this text, Unix ms. */
  told(text: string): Promise<number>;
  close(): void;
};

/** A hundred at a time: more than a listening socket holds would be dropped and tried again. Each has held `text`. */
export async function openStreams(
  port: number,
  paths: readonly string[],
  text: string,
): Promise<OpenStream[]> {
  const open: OpenStream[] = [];
  for (let n = 0; n < paths.length; n += 100) {
    const some = await Promise.all(paths.slice(n, n + 100).map((path) => openStream(port, path)));
    await Promise.all(some.map(({ told }) => told(text)));
    open.push(...some);
  }
  return open;
}

async function openStream(port: number, path: string): Promise<OpenStream> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`);
  let read = '';
  let look = () => {};
  let ended = false;
  socket.on('data', (chunk) => {
    read += chunk.toString();
    look();
  });
  socket.on('close', () => {
    ended = true;
    look();
  });
  return {
    told: (text) =>
      new Promise((resolve, reject) => {
        look = () => {
          if (read.includes(text)) resolve(performance.timeOrigin + performance.now());
          else if (ended) reject(new Error(`a stream ended: ${read.slice(0, 200)}`));
        };
        look();
      }),
    close: () => void socket.destroy(),
  };
}
