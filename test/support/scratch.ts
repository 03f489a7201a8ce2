import { existsSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';

const memoryFolder = '/dev/shm';
const roomBytes = 2 * 1024 ** 3;

/**
 * Where short-lived databases are made: in memory where there is room, because waiting for a disk at every
 * commit proves nothing to a test that never pulls the plug.
 */
export function scratchRoot(): string {
  if (!existsSync(memoryFolder)) return tmpdir();
  const { bavail, bsize } = statfsSync(memoryFolder);
  return bavail * bsize >= roomBytes ? memoryFolder : tmpdir();
}
