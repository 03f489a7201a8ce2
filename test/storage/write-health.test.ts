import { describe, expect, test } from 'vitest';
import { createWriteHealth } from '../../src/storage/write-health.ts';

function fault(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** Health on a clock of its own. */
function watched() {
  let now = 0;
  const health = createWriteHealth(() => now);
  return { ...health, pass: (ms: number) => (now += ms) };
}

describe('whether a database can be written', () => {
  test.each([
    ['25006', 'it is read-only'],
    ['SQLITE_READONLY', 'it is read-only'],
    ['SQLITE_READONLY_DBMOVED', 'its file was moved or replaced while it was open'],
    ['53100', 'its disk is full'],
    ['SQLITE_FULL', 'its disk is full'],
    ['SQLITE_IOERR_WRITE', 'its disk cannot be written'],
    ['SQLITE_BUSY', 'another process keeps it locked'],
    ['ECONNREFUSED', 'it cannot be reached'],
  ])('is told from the first failure that %s is: %s', (code, reason) => {
    const health = watched();
    expect(health.trouble()).toBeNull();
    health.failed(fault(code));
    expect(health.trouble()).toBe(reason);
  });

  test('is believed again when something was added and nothing failed for twenty seconds: a full disk takes small things', () => {
    const health = watched();
    health.failed(fault('SQLITE_FULL'));
    health.pass(19_000);
    health.succeeded();
    expect(health.trouble()).not.toBeNull();
    health.failed(fault('SQLITE_FULL'));
    health.pass(60_000);
    expect(health.trouble()).not.toBeNull();
    health.succeeded();
    expect(health.trouble()).toBeNull();
  });

  test('is not doubted for a lock that did not come in time, unless that goes on', () => {
    const health = watched();
    for (const _ of [1, 2]) health.failed(fault('55P03'));
    health.succeeded();
    for (const _ of [1, 2]) health.failed(fault('57014'));
    expect(health.trouble()).toBeNull();
    health.failed(fault('55P03'));
    expect(health.trouble()).toBe('it does not do what is asked within its time limits');
  });

  test('is not doubted for a fault of ours', () => {
    const health = watched();
    for (const _ of [1, 2, 3]) health.failed(fault('23505'));
    health.failed(new Error('two live locks'));
    expect(health.trouble()).toBeNull();
  });
});
