import { fork } from 'node:child_process';
import { once } from 'node:events';
import {
  connect,
  getDefaultAutoSelectFamilyAttemptTimeout,
  setDefaultAutoSelectFamilyAttemptTimeout,
} from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createOutbound } from '../src/outbound.ts';
import { waitForEachAddress } from '../src/resolve.ts';
import { startDns } from './support/dns.ts';

/** A receiver that takes half a second to connect to, as one does of whose first packet was lost. */
async function slowReceiver(): Promise<{ port: number; wake(): void }> {
  const child = fork(join(import.meta.dirname, 'support/short-queue.ts'));
  onTestFinished(() => void child.kill('SIGKILL'));
  const [port] = (await once(child, 'message')) as [number];
  child.kill('SIGSTOP');
  // The system answers these for it, and no further ones.
  for (let n = 0; n < 2; n++) {
    const waiting = connect(port, '127.0.0.1').on('error', () => {});
    onTestFinished(() => void waiting.destroy());
    await once(waiting, 'connect');
  }
  return { port, wake: () => void child.kill('SIGCONT') };
}

test.runIf(process.platform === 'linux')(
  'a receiver that is slow to connect to is reached though its IPv6 address is announced and dead',
  async () => {
    const usual = getDefaultAutoSelectFamilyAttemptTimeout();
    onTestFinished(() => setDefaultAutoSelectFamilyAttemptTimeout(usual));
    waitForEachAddress();
    const { port, wake } = await slowReceiver();
    const dns = await startDns((name) => (name === 'shop.example' ? ['127.0.0.1', '::1'] : null));
    const allowHosts = ['127.0.0.1', '::1'];
    const outbound = createOutbound({ allowHosts, dnsServers: [dns.server], userAgent: 'test' });
    onTestFinished(() => outbound.close());
    const sent = outbound.send({
      method: 'POST',
      url: `http://shop.example:${port}/hooks`,
      headers: {},
      body: Buffer.from('{}'),
      timeoutMs: 10_000,
      maxBodyBytes: 100,
    });
    setTimeout(wake, 2 * usual);
    expect(await sent).toMatchObject({ status: 200 });
  },
);
