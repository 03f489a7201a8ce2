import { isIP } from 'node:net';
import { request } from 'undici';
import { reasonOf } from '../errors.ts';
import { expiresSoon, tryAddress } from './connection.ts';
import { type Finding, findingsOf } from './finding.ts';

const patienceMs = 8_000;
const mostBytes = 64 * 1024;

/**
 * Asks `publicUrl` as the internet does: for what customers need, and providers where there are some (`inbound`), and for what
 * should stay inside.
 */
export async function checkPublicUrl(
  publicUrl: string,
  { inbound = false, ca }: { inbound?: boolean; ca?: readonly string[] } = {},
): Promise<Finding[]> {
  const subject = new URL(publicUrl).host;
  const { well, warning, danger } = findingsOf('public URL', subject, {
    money: 'customers cannot open the page that tells them what to pay',
    todo: 'look at the reverse proxy, at DNS, and at "publicUrl"',
  });
  const open = { money: 'whoever has or guesses the token can change the addresses that are paid to' };
  const inside = {
    ...open,
    todo: 'keep /admin/, /dashboard/ and /metrics inside (deploy/nginx.conf, deploy/Caddyfile)',
  };
  const certificate = await certificateOf(new URL(publicUrl), ca);
  if (certificate.fault !== null)
    return [danger(certificate.fault, { todo: 'mend it in the reverse proxy, with the whole chain' })];
  const findings = certificate.soon === null ? [] : [warning(certificate.soon, { todo: 'renew it' })];
  const served = await ask(`${publicUrl}/api/v1/schema/`);
  if (served.kind === 'failure')
    return [
      ...findings,
      warning(
        `it cannot be reached from here: ${served.reason} (some networks cannot call their own address)`,
      ),
    ];
  if (served.status !== 200 || !served.text.includes('"openapi"'))
    return [...findings, danger(`something else answers there: HTTP ${served.status} for /api/v1/schema/`)];
  const admin = await ask(`${publicUrl}/admin/v1/schema/`);
  const metrics = await ask(`${publicUrl}/metrics`);
  findings.unshift(well('it serves the API'));
  for (const path of ['/pay/', '/checkout/']) {
    const page = await ask(`${publicUrl}${path}none`);
    if (page.kind === 'answer' && page.text.includes('/pay/assets/')) continue;
    findings.push(danger(`it does not let ${path} through`, { todo: letThrough }));
  }
  const hook = inbound ? await ask(`${publicUrl}/in/none/none`) : null;
  if (hook !== null && !(hook.kind === 'answer' && hook.text.includes('"detail"')))
    findings.push(
      warning('it does not let /in/ through', {
        money: 'no provider can tell of a payment: it is confirmed late, when the provider is asked about it',
        todo: letThrough,
      }),
    );
  // Ours asks for a token; a proxy that keeps it inside says 403 or 404 in words of its own.
  if (admin.kind === 'answer' && isOurs(admin)) findings.push(warning('it serves /admin/', inside));
  if (metrics.kind === 'answer' && metrics.text.includes('depositd_build_info'))
    findings.push(warning('it serves /metrics', { ...inside, money: 'everybody sees how much is sold' }));
  return findings;
}

/** Whether customers' browsers refuse it; of what cannot be connected to nothing is said here. `ca` is for tests. */
async function certificateOf(
  { protocol, hostname, port }: URL,
  ca: readonly string[] | undefined,
): Promise<{ fault: string | null; soon: string | null }> {
  if (protocol !== 'https:') return { fault: null, soon: null };
  const address = hostname.replace(/^\[|\]$/g, '');
  const servername = isIP(address) === 0 ? address : '';
  const at = port === '' ? 443 : Number(port);
  const { fault, validUntil } = await tryAddress({ address, port: at, secure: { servername, ca } });
  if (validUntil === null) return { fault: null, soon: null };
  return { fault, soon: expiresSoon(validUntil) };
}

const letThrough = 'let it through in the reverse proxy (deploy/nginx.conf, deploy/Caddyfile)';

type Answered = { kind: 'answer'; status: number; text: string };

function isOurs({ status, text }: Answered): boolean {
  return (status === 401 || status === 200) && /"(detail|openapi)"/.test(text);
}

async function ask(url: string): Promise<Answered | { kind: 'failure'; reason: string }> {
  try {
    const answer = await request(url, { signal: AbortSignal.timeout(patienceMs) });
    let text = '';
    for await (const chunk of answer.body) {
      text += String(chunk);
      if (text.length > mostBytes) break;
    }
    return { kind: 'answer', status: answer.statusCode, text };
  } catch (error) {
    return { kind: 'failure', reason: reasonOf(error) };
  }
}
