import { once } from 'node:events';
import { type AddressInfo, isIPv6 } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';
import { createServer } from 'node:tls';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Interfaces, lacksIpv6For } from '../../src/doctor/connection.ts';
import { checkPublicUrl } from '../../src/doctor/public-url.ts';
import { checkReceivers } from '../../src/doctor/receivers.ts';
import { judgePrices } from '../../src/doctor/services.ts';
import { openApiServer } from '../support/api-server.ts';
import { type Authority, certify, createAuthority, type ServerCertificate } from '../support/certificates.ts';
import { openTestSqlite } from '../support/databases.ts';
import { startDns } from '../support/dns.ts';
import { startLoopback } from '../support/loopback.ts';

const host = 'shop.example';
const money = 'the shop does not hear that it was paid, and delivers nothing';

let root: Authority;
beforeAll(() => {
  root = createAuthority('Root');
});

async function listenWith({ certificate, key }: ServerCertificate): Promise<AddressInfo> {
  const server = createServer({ cert: certificate, key }, (socket) => socket.end());
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return server.address() as AddressInfo;
}

/** A receiver with this certificate, to which the name of a shop leads. */
async function receiverWith(certificate: ServerCertificate) {
  const { port } = await listenWith(certificate);
  const dns = await startDns((name) => (name === host ? ['127.0.0.1'] : null));
  const options = { allowHosts: ['127.0.0.1'], dnsServers: [dns.server], ca: [root.certificate] };
  const [finding] = await checkReceivers([`https://${host}:${port}/hooks?key=secret`], options);
  return { ...finding, port };
}

describe('a receiver of webhooks', () => {
  test('with a good certificate is well', async () => {
    const found = await receiverWith(certify(root, { hosts: [host], days: 60 }));
    expect(found).toMatchObject({ subject: `${host}:${found.port}`, outcome: 'well' });
  });

  test('whose certificate has expired, or soon will, is found', async () => {
    expect(await receiverWith(certify(root, { hosts: [host], days: -1 }))).toMatchObject({
      outcome: 'danger',
      found: expect.stringMatching(/^its certificate expired on \d{4}-\d\d-\d\d$/),
      money,
    });
    expect(await receiverWith(certify(root, { hosts: [host], days: 5 }))).toMatchObject({
      outcome: 'warning',
      found: expect.stringMatching(/^its certificate expires in [45] days$/),
    });
  });

  test('that sends no intermediate certificate is told apart from one of an authority that nobody knows', async () => {
    const intermediate = createAuthority('Intermediate', root);
    const leaf = certify(intermediate, { hosts: [host], days: 60 });
    expect(await receiverWith(leaf)).toMatchObject({
      outcome: 'danger',
      found: expect.stringContaining('without the intermediate one'),
    });
    const chain = { ...leaf, certificate: leaf.certificate + intermediate.certificate };
    expect(await receiverWith(chain)).toMatchObject({ outcome: 'well' });
  });

  test('whose certificate is for another name is found', async () => {
    expect(await receiverWith(certify(root, { hosts: ['other.example'], days: 60 }))).toMatchObject({
      outcome: 'danger',
      found: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID'),
    });
  });

  test('whose name leads to a private address, or nowhere, is found before anything is sent', async () => {
    const dns = await startDns((name) => (name === host ? ['10.0.0.7'] : null));
    const options = { allowHosts: [], dnsServers: [dns.server] };
    const [inside, nowhere, literal] = await checkReceivers(
      [`https://${host}/hooks`, 'https://gone.invalid/hooks', 'http://127.0.0.1:9/hooks'],
      options,
    );
    expect(inside).toMatchObject({
      outcome: 'danger',
      found: 'nothing is sent there: it resolves to a refused address, 10.0.0.7 is a private address',
      money,
      todo: expect.stringContaining('webhooks.allowHosts'),
    });
    expect(nowhere).toMatchObject({
      outcome: 'danger',
      found: expect.stringContaining('cannot be resolved'),
    });
    expect(literal).toMatchObject({ outcome: 'danger', found: expect.stringContaining('this machine') });
  });

  test('that announces an IPv6 address at which nothing listens is found, and sent nothing', async () => {
    const server = await startLoopback((_request, response) => response.end());
    const dns = await startDns((name) => (name === host ? ['127.0.0.1', '::1'] : null));
    const options = { allowHosts: ['127.0.0.1', '::1'], dnsServers: [dns.server] };
    expect(await checkReceivers([`http://${host}:${server.port}/hooks`], options)).toMatchObject([
      {
        outcome: 'warning',
        found: expect.stringMatching(/^its IPv6 address is in DNS, and cannot be connected to: /),
      },
    ]);
    expect(server.requests).toEqual([]);
  });

  test('is not judged by its IPv6 address where this machine has no IPv6', async () => {
    const server = await startLoopback((_request, response) => response.end());
    const addresses = ['127.0.0.1', '::1'];
    const dns = await startDns((name) => (name === host ? addresses : null));
    const found = (interfaces: Interfaces) =>
      checkReceivers([`http://${host}:${server.port}/hooks`], {
        allowHosts: ['127.0.0.1', '::1'],
        dnsServers: [dns.server],
        interfaces,
      });
    expect(await found({ lo: [interfaceWith('127.0.0.1')] })).toMatchObject([
      {
        outcome: 'well',
        found: 'it can be reached; whether its IPv6 address can is not known: this machine has no IPv6',
      },
    ]);
    addresses.shift();
    expect(await found({ lo: [interfaceWith('127.0.0.1')] })).toMatchObject([
      { outcome: 'danger', found: expect.stringMatching(/^this machine has no IPv6, and .+ nothing else: /) },
    ]);
  });

  test.each([
    ['2001:470::7', 'fd00::2', true],
    ['2001:470::7', '2001:470::2', false],
    ['fd00::7', 'fd00::2', false],
    ['fd00::7', 'fe80::2%eth0', true],
    ['::1', '::1', false],
    ['192.0.2.7', '192.0.2.2', false],
  ])('at %s says nothing of itself to a machine at %s: %s', (address, own, lacks) => {
    expect(lacksIpv6For(address, { eth0: [interfaceWith(own)] })).toBe(lacks);
  });
});

function interfaceWith(address: string): NetworkInterfaceInfo {
  const common = { address, netmask: '', mac: '', internal: false, cidr: null };
  return isIPv6(address.replace(/%.*/, ''))
    ? { ...common, family: 'IPv6', scopeid: 0 }
    : { ...common, family: 'IPv4' };
}

describe('publicUrl', () => {
  const serving = async (paths: Record<string, readonly [status: number, text: string]>) => {
    const { url } = await startLoopback(({ path }, response) => {
      const [status, text] = paths[path] ?? [404, ''];
      response.writeHead(status).end(text);
    });
    return checkPublicUrl(url, { inbound: true });
  };
  const page = [404, '<link rel="stylesheet" href="/pay/assets/page.css">'] as const;
  const api = {
    '/api/v1/schema/': [200, '{"openapi":"3.1.0"}'],
    '/pay/none': page,
    '/checkout/none': page,
    '/in/none/none': [405, '{"detail":"GET is not possible here, only POST."}'],
  } as const;

  test('that serves the API and keeps the rest inside is well', async () => {
    expect(await serving({ ...api, '/admin/v1/schema/': [403, 'Forbidden'] })).toMatchObject([
      { outcome: 'well', found: 'it serves the API' },
    ]);
  });

  test('whose certificate browsers refuse is a danger, and one that soon ends is said in time', async () => {
    const looked = async (certificate: ServerCertificate) => {
      const { port } = await listenWith(certificate);
      return checkPublicUrl(`https://localhost:${port}`, { ca: [root.certificate] });
    };
    const hosts = ['localhost'];
    expect(await looked(certify(root, { hosts, days: -1 }))).toMatchObject([
      {
        outcome: 'danger',
        found: expect.stringMatching(/^its certificate expired on /),
        money: expect.stringContaining('customers cannot open the page'),
        todo: expect.stringContaining('reverse proxy'),
      },
    ]);
    const intermediate = createAuthority('Intermediate', root);
    expect(await looked(certify(intermediate, { hosts, days: 60 }))).toMatchObject([
      { outcome: 'danger', found: expect.stringContaining('without the intermediate one') },
    ]);
    expect(await looked(certify(root, { hosts, days: 5 }))).toContainEqual(
      expect.objectContaining({
        outcome: 'warning',
        found: expect.stringMatching(/^its certificate expires in [45] days$/),
      }),
    );
  });

  test('that serves /admin/ or /metrics is found', async () => {
    const found = await serving({
      ...api,
      '/admin/v1/schema/': [401, '{"detail":"no token"}'],
      '/metrics': [200, 'depositd_build_info{version="1"} 1'],
    });
    expect(found.slice(1)).toMatchObject([
      { outcome: 'warning', found: 'it serves /admin/', todo: expect.stringContaining('deploy/nginx.conf') },
      { outcome: 'warning', found: 'it serves /metrics' },
    ]);
  });

  test('that is the daemon itself lets everything through, /admin/ too', async () => {
    const { url } = await openApiServer(await openTestSqlite());
    const found = await checkPublicUrl(url, { inbound: true });
    expect(found.map((one) => one.found)).toEqual(['it serves the API', 'it serves /admin/']);
  });

  test('that lets no customer choose how to pay, or no provider tell of it, is found', async () => {
    const found = await serving({
      ...api,
      '/checkout/none': [404, 'nginx'],
      '/in/none/none': [404, 'nginx'],
    });
    expect(found.slice(1)).toMatchObject([
      {
        outcome: 'danger',
        found: 'it does not let /checkout/ through',
        todo: expect.stringContaining('nginx.conf'),
      },
      { outcome: 'warning', found: 'it does not let /in/ through', money: expect.stringContaining('late') },
    ]);
  });

  test('where something else answers is a danger, and one that cannot be reached may be so only from here', async () => {
    expect(await serving({})).toMatchObject([
      { outcome: 'danger', found: expect.stringContaining('HTTP 404') },
    ]);
    expect(await checkPublicUrl('http://127.0.0.1:1')).toMatchObject([
      { outcome: 'warning', found: expect.stringContaining('cannot be reached from here') },
    ]);
  });
});

test('a coin without a price is a danger that names the silent sources, and one source alone a warning', () => {
  const silentSources = [{ name: 'kraken', fault: 'no answer' }];
  const of = (usd: string | null, sources: string[], fault: string | null = null) => {
    return judgePrices({ prices: [{ coin: 'eth', usd, sources, fault }], silentSources })[0];
  };
  expect(of(null, [], 'every source is silent')).toMatchObject({
    outcome: 'danger',
    found: 'it has no price: every source is silent (kraken: no answer)',
    money: 'no payment can be made in it',
  });
  expect(of('3000', ['binance'])).toMatchObject({ outcome: 'warning' });
  expect(of('3000', ['binance', 'coinbase'])).toMatchObject({ outcome: 'well' });
});
