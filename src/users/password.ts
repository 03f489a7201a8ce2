import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import PQueue from 'p-queue';

const hash = promisify(argon2);

/** As OWASP recommends for argon2id: 19 MiB, two passes (Password Storage Cheat Sheet, 2025). KiB. */
const cost = { memory: 19 * 1024, passes: 2, parallelism: 1 } as const;
const tagBytes = 32;

/** Two at once: each takes its memory and a thread of the pool that names are resolved with too. */
const queue = new PQueue({ concurrency: 2 });

/** Callers from everywhere share the queue: what would wait for longer than some seconds is refused instead. */
const mostWaiting = 100;

/** Whether so much is waiting that no more should be. */
export function isHashingBusy(): boolean {
  return queue.size >= mostWaiting;
}

/** `argon2id$memory$passes$salt$hash`, the last two in base64. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const tag = await derive(password, salt, cost.memory, cost.passes);
  return ['argon2id', cost.memory, cost.passes, salt.toString('base64'), tag.toString('base64')].join('$');
}

/** Takes as long for nobody's password (null) as for a wrong one. */
export async function verifyPassword(password: string, stored: string | null): Promise<boolean> {
  const [, memory, passes, salt = '', tag = ''] = (stored ?? nobodys).split('$');
  const found = await derive(password, Buffer.from(salt, 'base64'), Number(memory), Number(passes));
  return timingSafeEqual(found, Buffer.from(tag, 'base64')) && stored !== null;
}

const nobodys = [
  'argon2id',
  cost.memory,
  cost.passes,
  randomBytes(16).toString('base64'),
  randomBytes(tagBytes).toString('base64'),
].join('$');

/** One text can be written in several ways (é): all of them are one password. */
function derive(password: string, nonce: Buffer, memory: number, passes: number): Promise<Buffer> {
  const message = Buffer.from(password.normalize('NFKC'));
  const { parallelism } = cost;
  return queue.add(() =>
    hash('argon2id', { message, nonce, memory, passes, parallelism, tagLength: tagBytes }),
  );
}
