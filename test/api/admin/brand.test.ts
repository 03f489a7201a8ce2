import { expect, test } from 'vitest';
import { openApiServer } from '../../support/api-server.ts';
import { openTestSqlite } from '../../support/databases.ts';

const svg = Buffer.from('<svg viewBox="0 0 9 9"><path d="M0 0h9v9z"/></svg>').toString('base64');

test('an operator gives a merchant a name, a logo, a colour and help, and takes them away', async () => {
  const api = await openApiServer(await openTestSqlite());
  const { id } = await api.addMerchant();
  const change = (json: object) =>
    api.send<Record<string, string>>('PATCH', `/admin/v1/merchants/${id}/`, { admin: true, json });
  const whole = {
    display_name: 'Blue Fox Books',
    logo: svg,
    accent: '#0B6B40',
    support_email: 'help@fox.example',
    support_url: 'https://fox.example/help',
  };
  const made = await change(whole);
  expect(made.body).toEqual({
    id,
    ...whole,
    logo: expect.stringMatching(/^\/pay\/assets\/logo-[0-9a-f]{64}$/),
    accent: '#0b6b40',
  });
  const picture = await api.send('GET', made.body.logo ?? '');
  expect(picture.headers.get('content-type')).toBe('image/svg+xml');
  expect(picture.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect((await change({ accent: null })).body).toEqual({ ...made.body, accent: null });
  expect((await change({ logo: null, display_name: '' })).body).toMatchObject({
    logo: null,
    display_name: '',
  });
  const audit = await api.send('GET', '/admin/v1/audit/', { admin: true });
  expect(audit.text).toContain('merchant.changed');
  expect(audit.text).not.toContain(svg);
});

test.each([
  ['logo', { logo: Buffer.from('GIF89a').toString('base64') }],
  ['logo', { logo: Buffer.from('<svg><script>alert(1)</script></svg>').toString('base64') }],
  ['logo', { logo: 'not base64!' }],
  ['logo', { logo: 'A'.repeat(100_000) }],
  ['accent', { accent: '#ffd400' }],
  ['accent', { accent: 'red' }],
  ['support_url', { support_url: 'javascript:alert(1)' }],
  ['support_email', { support_email: 'me' }],
  ['display_name', { display_name: 'x'.repeat(81) }],
  ['display_name', { display_name: 'a\u0007b' }],
  ['display_name', { display_name: '\u202eskooB xoF' }],
  ['display_name', { display_name: 'Fox\u2066' }],
  ['display_name', { display_name: 'Fox\ud800' }],
  ['support_url', { support_url: 'https://fox.example/\u0000' }],
  ['support_email', { support_email: 'a\u0000@b' }],
  ['color', { color: '#000000' }],
])('a wrong %s is refused and nothing is stored', async (field, json) => {
  const api = await openApiServer(await openTestSqlite());
  const { id } = await api.addMerchant();
  const path = `/admin/v1/merchants/${id}/`;
  const refused = await api.send<{ errors: object }>('PATCH', path, {
    admin: true,
    json: { support_email: 'a@b', ...json },
  });
  expect([refused.status, Object.keys(refused.body.errors)]).toEqual([400, [field]]);
  expect((await api.send('PATCH', path, { admin: true, json: {} })).body).toMatchObject({
    logo: null,
    support_email: '',
  });
});
