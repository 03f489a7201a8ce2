import { describe, expect, test } from 'vitest';
import { checkTarget, parseAllowedHost, parseAllowList, refuseAddress } from '../src/target.ts';
import { refusedHosts } from './support/refused-hosts.ts';

describe('the target of a webhook', () => {
  test.each(refusedHosts)('S40: %s is refused when the endpoint is added', (host) => {
    expect(checkTarget(`http://${host}/hook`, [])).toMatch(/must be reachable from the internet/);
    expect(checkTarget(`https://${host}:8443/hook`, [])).toMatch(/webhooks\.allowHosts/);
  });

  test.each([
    'https://shop.example/webhooks',
    'http://shop.example:8080/a?b=c',
    'https://93.184.216.34/',
    'https://[2606:2800:220:1:248:1893:25c8:1946]/',
    'https://[2a00:1450:4001:82b::200e]:444/x',
    'https://localhost.example/',
    'https://xn--bcher-kva.example/',
  ])('%s is accepted', (url) => {
    expect(checkTarget(url, [])).toBeNull();
  });

  test.each([
    ['ftp://shop.example/', /begin with https/],
    ['javascript:alert(1)', /begin with https/],
    ['file:///etc/passwd', /begin with https/],
    ['https://user:secret@shop.example/', /user name or password/],
    ['https://user@shop.example/', /user name or password/],
    ['shop.example/hook', /must be a URL/],
    ['', /must be a URL/],
    ['http://', /must be a URL/],
    ['http://1.2.3.4.5.6:99999/', /must be a URL/],
    [`https://shop.example/${'a'.repeat(2048)}`, /longer than 2048/],
  ])('S40: %s is refused with its own reason', (url, reason) => {
    expect(checkTarget(url, ['0.0.0.0/0', '::/0'])).toMatch(reason);
  });

  test('S40: every port of a public host is accepted, and none of a private one', () => {
    for (const port of [22, 25, 80, 443, 6379, 8443, 65_535]) {
      expect(checkTarget(`https://shop.example:${port}/`, []), String(port)).toBeNull();
      expect(checkTarget(`https://10.0.0.1:${port}/`, []), String(port)).not.toBeNull();
      expect(checkTarget(`https://localhost:${port}/`, []), String(port)).not.toBeNull();
    }
  });

  test('a listed address, range or name is accepted, in whatever spelling the URL has it', () => {
    expect(checkTarget('http://127.0.0.1:3000/', ['127.0.0.1'])).toBeNull();
    expect(checkTarget('http://2130706433:3000/', ['127.0.0.0/8'])).toBeNull();
    expect(checkTarget('http://[::ffff:127.0.0.1]/', ['127.0.0.0/8'])).toBeNull();
    expect(checkTarget('http://127.0.0.1/', ['::ffff:127.0.0.1'])).toBeNull();
    expect(checkTarget('http://10.1.2.3/', ['192.168.0.0/16', '10.0.0.0/8'])).toBeNull();
    expect(checkTarget('http://[fd12::5]/', ['fd00::/8'])).toBeNull();
    expect(checkTarget('http://[::1]/', ['[::1]'])).toBeNull();
    expect(checkTarget('http://localhost:3000/', ['LOCALHOST'])).toBeNull();
    expect(checkTarget('http://localhost.:3000/', ['localhost'])).toBeNull();
  });

  test('listing one thing lists nothing else', () => {
    expect(checkTarget('http://127.0.0.2/', ['127.0.0.1'])).not.toBeNull();
    expect(checkTarget('http://127.0.0.1/', ['localhost'])).not.toBeNull();
    expect(checkTarget('http://localhost/', ['127.0.0.1'])).not.toBeNull();
    expect(checkTarget('http://shop.localhost/', ['localhost'])).not.toBeNull();
    expect(checkTarget('http://[::1]/', ['0.0.0.0/0'])).not.toBeNull();
  });

  test('S40: cloud metadata and link-local addresses are opened by nothing but their exact address', () => {
    for (const range of ['169.254.0.0/16', '0.0.0.0/0']) {
      expect(checkTarget('http://169.254.169.254/latest/', [range])).not.toBeNull();
    }
    expect(checkTarget('http://[fd00:ec2::254]/', ['fd00::/8'])).not.toBeNull();
    expect(checkTarget('http://[fe80::1]/', ['fe80::/10'])).not.toBeNull();
    expect(checkTarget('http://169.254.169.254/latest/', ['169.254.169.254'])).toBeNull();
    expect(checkTarget('http://[fd00:ec2::254]/', ['fd00:ec2::254'])).toBeNull();
  });

  test('a name in the list opens whatever it resolves to, but for cloud metadata and link-local', () => {
    const allowed = parseAllowList(['shop.lan']);
    expect(refuseAddress('10.0.0.7', allowed, 'shop.lan')).toBeNull();
    expect(refuseAddress('10.0.0.7', allowed, 'Shop.LAN.')).toBeNull();
    expect(refuseAddress('10.0.0.7', allowed, 'other.lan')).toBe('10.0.0.7 is a private address');
    expect(refuseAddress('169.254.169.254', allowed, 'shop.lan')).not.toBeNull();
  });
});

describe('an entry of webhooks.allowHosts', () => {
  test.each([
    'shop.lan',
    'db',
    'my_host.internal',
    '10.0.0.0/8',
    '127.0.0.1',
    '::1',
    '[::1]',
    'fd00::/8',
    'a.b.',
  ])('%s is understood', (entry) => {
    expect(parseAllowedHost(entry)).not.toBeNull();
  });

  test.each([
    '',
    'http://shop.lan',
    'shop.lan:8080',
    'shop.lan/8',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/8/8',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '*.lan',
    'a b',
    '-a.lan',
  ])('%j is not', (entry) => {
    expect(parseAllowedHost(entry)).toBeNull();
  });
});
