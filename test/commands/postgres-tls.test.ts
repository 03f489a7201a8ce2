import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { openDatabase } from '../../src/storage/database.ts';
import { certify, createAuthority } from '../support/certificates.ts';
import { type Cluster, startCluster } from '../support/cluster.ts';
import { testFolder } from '../support/databases.ts';
import { commandHome, offline } from './support.ts';

const ours = createAuthority('Our authority');
const stranger = createAuthority('A stranger');
const right = certify(ours, { hosts: ['localhost'] });

let cluster: Cluster;
let database: string;
let presented: unknown;
beforeAll(async () => {
  cluster = await startCluster();
  database = await cluster.lendDatabase(true);
});
afterAll(() => cluster.stop());
beforeEach(() => present(right));

async function present(certificate: Parameters<Cluster['present']>[0]): Promise<void> {
  if (certificate === presented) return;
  presented = certificate;
  await cluster.present(certificate);
}

/** The database by this name of its host, and with these parameters. */
function urlOf({ host = 'localhost', ...query }: Record<string, string>): string {
  const url = new URL(database);
  url.hostname = host;
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url.href;
}

function pemFile(text: string): string {
  const path = join(testFolder(), 'a.pem');
  writeFileSync(path, text);
  return path;
}

const trusted = () => pemFile(ours.certificate);

/** What a command says that opens the database. */
function listMerchants(url: string) {
  return commandHome({ ...offline, database: url }).run('merchant', 'list', '--json');
}

describe('PostgreSQL over TLS', () => {
  test.each<[string, string, () => string]>([
    ['require', '127.0.0.1', () => urlOf({ host: '127.0.0.1', sslmode: 'require' })],
    [
      'verify-ca',
      '127.0.0.1',
      () => urlOf({ host: '127.0.0.1', sslmode: 'verify-ca', sslrootcert: trusted() }),
    ],
    ['verify-full', 'localhost', () => urlOf({ sslmode: 'verify-full', sslrootcert: trusted() })],
    [
      'verify-full and no question before it',
      'localhost',
      () => urlOf({ sslmode: 'verify-full', sslrootcert: trusted(), sslnegotiation: 'direct' }),
    ],
  ])('with sslmode=%s and the host %s is encrypted, and nothing is warned of', async (_mode, _host, url) => {
    expect(await listMerchants(url())).toMatchObject({ code: 0, stderr: '' });
    const db = await openDatabase(url());
    onTestFinished(() => db.destroy());
    const { rows } = await sql`select ssl, version from pg_stat_ssl where pid = pg_backend_pid()`.execute(db);
    expect(rows).toEqual([{ ssl: true, version: 'TLSv1.3' }]);
  });

  test.each<[string, { presents?: Parameters<Cluster['present']>[0]; url: () => string; says: RegExp }]>([
    [
      'a certificate of another authority',
      {
        url: () => urlOf({ sslmode: 'verify-full', sslrootcert: pemFile(stranger.certificate) }),
        says: /signed by nobody who is trusted here; set sslrootcert to the file of its authority$/,
      },
    ],
    [
      'a certificate of another authority, with sslmode=require beside the right one’s file',
      {
        url: () => urlOf({ sslmode: 'require', sslrootcert: pemFile(stranger.certificate) }),
        says: /signed by nobody who is trusted here/,
      },
    ],
    [
      'an authority that nobody knows',
      { url: () => urlOf({ sslmode: 'verify-full' }), says: /signed by nobody who is trusted here/ },
    ],
    [
      'a certificate that has signed itself',
      {
        presents: certify(createAuthority('localhost'), { hosts: ['localhost'] }),
        url: () => urlOf({ sslmode: 'verify-full', sslrootcert: trusted() }),
        says: /signed by nobody who is trusted here/,
      },
    ],
    [
      'a certificate for another host',
      {
        url: () => urlOf({ host: '127.0.0.1', sslmode: 'verify-full', sslrootcert: trusted() }),
        says: /its certificate is for another host name; use the name that stands in it/,
      },
    ],
    [
      'a certificate that has expired',
      {
        presents: certify(ours, { hosts: ['localhost'], days: -1 }),
        url: () => urlOf({ sslmode: 'verify-full', sslrootcert: trusted() }),
        says: /has expired; give the server a new one$/,
      },
    ],
    [
      'a server without TLS',
      {
        presents: null,
        url: () => urlOf({ sslmode: 'require' }),
        says: /The server does not support SSL connections$/,
      },
    ],
  ])('refuses %s in one plain line', async (_, { presents = right, url, says }) => {
    await present(presents);
    const { code, stdout, stderr } = await listMerchants(url());
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^depositd: cannot use the database (localhost|127\.0\.0\.1):\d+\/\w+: [^\n]+\n$/);
    expect(stderr.trim()).toMatch(says);
  });

  test.each<[string, () => Record<string, string>, RegExp]>([
    [
      'is not there',
      () => ({ sslrootcert: '/nowhere/ca.pem' }),
      /^depositd: sslrootcert \/nowhere\/ca\.pem cannot be read: there is no such file/,
    ],
    [
      'is no certificate',
      () => ({ sslrootcert: pemFile('no certificate') }),
      /is no PEM file of a certificate$/,
    ],
    [
      'is no key',
      () => ({ sslcert: pemFile(right.certificate), sslkey: pemFile('no key') }),
      /is no PEM file of a key$/,
    ],
  ])('refuses a file that %s, when it is checked and when it is used', async (_, query, says) => {
    const home = commandHome({ ...offline, database: urlOf({ sslmode: 'verify-full', ...query() }) });
    for (const command of [['check-config'], ['merchant', 'list']]) {
      const { code, stderr } = await home.run(...command);
      expect(code).toBe(1);
      expect(stderr.trim()).toMatch(says);
    }
  });

  test('a daemon serves on it, says so while new connections are refused, and goes on by itself', async () => {
    const url = urlOf({ sslmode: 'verify-full', sslrootcert: trusted() });
    const home = commandHome({ ...offline, listen: { port: 0 }, database: url });
    const { url: api, stop } = await home.start();
    await present(certify(ours, { hosts: ['localhost'], days: -1 }));
    const readyz = async () => (await fetch(`${api}/readyz`)).json() as Promise<{ reasons?: unknown[] }>;
    const expired = { part: 'database', reason: expect.stringContaining('has expired') };
    const noNode = expect.objectContaining({ part: 'chain:bsc' });
    const patience = { timeout: 10_000, interval: 50 };
    const admin = await openDatabase(database);
    onTestFinished(() => admin.destroy());
    await sql`select pg_terminate_backend(s.pid) from pg_stat_ssl s join pg_stat_activity using (pid) where s.ssl`.execute(
      admin,
    );
    await vi.waitFor(async () => expect((await readyz()).reasons).toEqual([expired]), patience);
    await present(right);
    // The reason is kept for twenty seconds; what is read answers at once.
    await vi.waitFor(async () => expect((await readyz()).reasons).toContainEqual(noNode), patience);
    await stop();
    expect(home.stray).toEqual([]);
  });
}, 120_000);
