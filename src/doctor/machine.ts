import { statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { request } from 'undici';
import type { Clock } from '../clock.ts';
import { counted } from '../core/plural.ts';
import { type Finding, findingsOf } from './finding.ts';

/** Receivers take webhooks that are minutes off, and the alert begins here, ms. */
const clockWarnMs = 5_000;
/** From here on no payment is created, ms. */
const clockDangerMs = 120_000;
const patienceMs = 5_000;

/**
 * Compares a clock with what web servers say (`Date`, whole seconds): the middle of them, so that one wrong server says
 * nothing.
 */
export async function checkClock(
  clock: Clock,
  { urls, whose }: { urls: readonly string[]; whose: string },
): Promise<Finding> {
  const { well, warning, danger } = findingsOf('clock', whose, {
    money:
      'receivers refuse webhooks whose time is minutes off, and from two minutes on no payment is created',
    todo: 'let NTP keep it (timedatectl set-ntp true)',
  });
  const asked = await Promise.all(urls.map((url) => aheadOf(clock, url)));
  const differences = asked.filter((ms) => ms !== null).toSorted((a, b) => a - b);
  const aheadMs = differences[Math.floor(differences.length / 2)];
  if (aheadMs === undefined) return warning('no server told the time');
  const seconds = counted(Math.round(Math.abs(aheadMs) / 1000), 'second');
  const found = `it is ${seconds} ${aheadMs > 0 ? 'ahead' : 'behind'}, by ${counted(differences.length, 'server')}`;
  if (Math.abs(aheadMs) >= clockDangerMs) return danger(found);
  return Math.abs(aheadMs) > clockWarnMs
    ? warning(found)
    : well(`right, by ${counted(differences.length, 'server')}`);
}

/** Null where it does not tell the time. The half second is the middle of the whole one that it tells. */
async function aheadOf(clock: Clock, url: string): Promise<number | null> {
  try {
    const before = clock();
    const answer = await request(new URL('/', url), {
      method: 'HEAD',
      signal: AbortSignal.timeout(patienceMs),
    });
    await answer.body.dump();
    const told = Date.parse(String(answer.headers.date));
    return Number.isNaN(told) ? null : (before + clock()) / 2 - (told + 500);
  } catch {
    return null;
  }
}

/** What the operating system says of a file system. */
export type FileSystem = { type: number; bsize: number; blocks: number; bavail: number };

export type ReadFileSystem = (folder: string) => Promise<FileSystem>;

const lowShare = 0.1;
const fewBytes = 200 * 1024 ** 2;
/** A log of this size is not being checkpointed: a reader has kept it open for long. */
const largeLog = 1024 ** 3;

export async function checkDisk(folder: string, read: ReadFileSystem = statfs): Promise<Finding> {
  const { well, warning, danger, unclear } = findingsOf('disk', folder, {
    money: 'when it is full nothing more is recorded: payments are neither made nor seen until there is room',
    todo: 'make room, or take a larger disk',
  });
  try {
    const { bsize, blocks, bavail } = await read(folder);
    const share = blocks === 0 ? 1 : bavail / blocks;
    const found = `${sizeOf(bavail * bsize)} are free, ${Math.floor(share * 100)} %`;
    if (bavail * bsize < fewBytes) return danger(found);
    return share < lowShare ? warning(found) : well(found);
  } catch (error) {
    return unclear(error);
  }
}

/** The write-ahead log beside a SQLite file. */
export function checkLogSize(databasePath: string): Finding | null {
  const size = statSync(`${databasePath}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  if (size < largeLog) return null;
  const { warning } = findingsOf('disk', `${databasePath}-wal`, {
    money: 'it grows until the disk is full, and makes every reading slower',
    todo: 'end programs that keep the database open, and restart the daemon',
  });
  return warning(`the write-ahead log has ${sizeOf(size)}`);
}

/** By the numbers of statfs(2). */
const remote: Readonly<Record<number, string>> = {
  26985: 'NFS',
  20859: 'SMB',
  4283649346: 'CIFS',
  4266872130: 'SMB',
  16914839: '9p',
  12805120: 'Ceph',
  1397113167: 'AFS',
  1952539503: 'OCFS2',
  198183888: 'Lustre',
};

/** FUSE: a local disk, or another machine behind sshfs. */
const perhapsRemote = 1_702_057_286;

/** SQLite's locks and its shared memory do not work over a network. */
export async function checkFileSystem(folder: string, read: ReadFileSystem = statfs): Promise<Finding> {
  const { well, warning, danger, unclear } = findingsOf('file system', folder, {
    money:
      'its locks do not hold between machines, and a database on it can be damaged: payments and addresses lost',
    todo: 'put the SQLite file on a local disk, or take PostgreSQL ("depositd copy")',
  });
  try {
    const { type } = await read(folder);
    // Of 32 bits, which some systems take for a signed number.
    const number = type < 0 ? type + 2 ** 32 : type;
    if (number === perhapsRemote) return warning('it is a FUSE file system, which may be on another machine');
    const name = remote[number];
    return name === undefined ? well('local') : danger(`it is a network file system (${name})`);
  } catch (error) {
    return unclear(error);
  }
}

function sizeOf(bytes: number): string {
  return bytes >= 1024 ** 3
    ? `${(bytes / 1024 ** 3).toFixed(1)} GiB`
    : `${Math.floor(bytes / 1024 ** 2)} MiB`;
}
