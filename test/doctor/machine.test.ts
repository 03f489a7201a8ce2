import { openSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkSqlite } from '../../src/doctor/database.ts';
import { checkClock, checkDisk, checkFileSystem, type FileSystem } from '../../src/doctor/machine.ts';
import { inTransaction, openDatabase } from '../../src/storage/database.ts';
import { recordAudit } from '../../src/storage/operators/audit.ts';
import { testFolder } from '../support/databases.ts';
import { startLoopback } from '../support/loopback.ts';

describe('a clock', () => {
  test('that is ten seconds off is found by what servers say, and one that is minutes off is a danger', async () => {
    const { url } = await startLoopback((_request, response) => response.end());
    const check = (offMs: number) =>
      checkClock(() => Date.now() + offMs, { urls: [url, 'http://127.0.0.1:1/'], whose: 'this machine' });
    expect(await check(0)).toMatchObject({ outcome: 'well', found: 'right, by 1 server' });
    expect(await check(10_000)).toMatchObject({
      outcome: 'warning',
      found: expect.stringMatching(/^it is (9|10|11) seconds ahead, by 1 server$/),
      money: expect.stringContaining('receivers refuse webhooks'),
    });
    expect(await check(-10_000)).toMatchObject({
      outcome: 'warning',
      found: expect.stringContaining('behind'),
    });
    expect(await check(130_000)).toMatchObject({ outcome: 'danger' });
  });

  test('is not judged by one server of three that is wrong, and not without any', async () => {
    const right = await startLoopback((_request, response) => response.end());
    const wrong = await startLoopback((_request, response) => {
      response.setHeader('date', new Date(Date.now() - 3_600_000).toUTCString());
      response.end();
    });
    const urls = [wrong.url, right.url, `${right.url}/again`];
    expect(await checkClock(Date.now, { urls, whose: 'this machine' })).toMatchObject({ outcome: 'well' });
    const alone = await checkClock(Date.now, { urls: ['http://127.0.0.1:1/'], whose: 'this machine' });
    expect(alone).toMatchObject({ outcome: 'warning', found: 'no server told the time' });
  });
});

describe('a disk', () => {
  const gib = 1024 ** 3;
  const disk = (free: number, whole: number, type = 0xef53) => {
    return async (): Promise<FileSystem> => ({
      type,
      bsize: 4096,
      blocks: whole / 4096,
      bavail: free / 4096,
    });
  };

  test('that is nearly full is found, by its share and by what is left', async () => {
    expect(await checkDisk('/data', disk(50 * gib, 100 * gib))).toMatchObject({ outcome: 'well' });
    expect(await checkDisk('/data', disk(5 * gib, 100 * gib))).toMatchObject({
      outcome: 'warning',
      found: '5.0 GiB are free, 5 %',
    });
    expect(await checkDisk('/data', disk(100 * 1024 ** 2, gib))).toMatchObject({
      outcome: 'danger',
      money: expect.stringContaining('nothing more is recorded'),
      todo: expect.stringContaining('make room'),
    });
  });

  test.each([
    ['NFS', 0x6969],
    ['SMB', 0x517b],
    ['CIFS', 0xff534d42],
    ['CIFS', 0xff534d42 - 2 ** 32],
    ['9p', 0x01021997],
  ])('a network file system (%s) is found by its type', async (name, type) => {
    expect(await checkFileSystem('/data', disk(50 * gib, 100 * gib, type))).toMatchObject({
      outcome: 'danger',
      found: `it is a network file system (${name})`,
    });
  });

  test('one of this machine is well, and a FUSE file system may be on another', async () => {
    expect(await checkFileSystem('/data', disk(gib, gib))).toMatchObject({ outcome: 'well' });
    expect(await checkFileSystem('/data', disk(gib, gib, 0x65735546))).toMatchObject({ outcome: 'warning' });
  });

  test('that cannot be looked at is said to be so', async () => {
    const refuse = async () => {
      throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
    };
    expect(await checkDisk('/data', refuse)).toMatchObject({
      outcome: 'warning',
      found: 'it could not be looked at: this user is not allowed to (EACCES)',
    });
  });
});

describe('a SQLite database', () => {
  async function filled(): Promise<string> {
    const path = join(testFolder(), 'depositd.db');
    const db = await openDatabase(`sqlite:${path}`);
    const entry = { at: 1, actor: 'a', action: 'b', subject: 'c', detail: { text: 'x'.repeat(500) } };
    await inTransaction(db, async (trx) => {
      for (let n = 0; n < 300; n++) await recordAudit(trx, entry);
    });
    await db.destroy();
    return path;
  }

  test('that is whole is well; of which there is none is made by the daemon', async () => {
    expect(checkSqlite(await filled())).toMatchObject({ outcome: 'well' });
    expect(checkSqlite(join(testFolder(), 'none.db'))).toMatchObject({
      outcome: 'warning',
      found: 'there is none yet',
    });
  });

  test('with an overwritten page, cut in half, or of another program is found', async () => {
    const overwritten = await filled();
    writeSync(openSync(overwritten, 'r+'), Buffer.alloc(8192, 7), 0, 8192, 4096 * 40);
    expect(checkSqlite(overwritten)).toMatchObject({
      outcome: 'danger',
      money: expect.stringContaining('damaged part are lost'),
      todo: expect.stringContaining('depositd restore'),
    });
    const cut = await filled();
    truncateSync(cut, 4096 * 30);
    expect(checkSqlite(cut)).toMatchObject({ outcome: 'danger' });
    const other = join(testFolder(), 'other.db');
    writeSync(openSync(other, 'w'), 'This is no database.\n');
    expect(checkSqlite(other)).toMatchObject({ outcome: 'danger' });
  });
});
