import type { AnswerHeaders } from '../outbound.ts';

/*
 * Shops stand behind Cloudflare and its kin, which challenge what is no browser. Their answer is not the
 * receiver's: what a challenge refuses has not been refused by anybody, and what it "accepts" has not arrived.
 */

export type WalledAnswer = {
  status: number;
  headers: AnswerHeaders;
  /** The beginning of it is enough. */
  body: Uint8Array;
};

/**
 * Set by a wall only where it took the answer over, whatever the status: AWS WAF challenges with 202.
 * https://developers.cloudflare.com/cloudflare-challenges/challenge-types/challenge-pages/detect-response/
 * https://docs.aws.amazon.com/waf/latest/developerguide/waf-captcha-and-challenge-actions.html
 */
const wallHeaders = ['cf-mitigated', 'x-amzn-waf-action', 'x-vercel-mitigated', 'sg-captcha'] as const;

/** How much of a body is looked at. */
const lookedAt = 2_048;

/** By what a bot wall in front of the receiver shows itself in an answer, as a phrase; null: it is the receiver's. */
export function findBotWall(answer: WalledAnswer): string | null {
  for (const name of wallHeaders) if (textOf(answer.headers[name]) !== '') return `the header ${name}`;
  if (answer.status !== 403) return null;
  const text = Buffer.from(answer.body.subarray(0, lookedAt)).toString('utf8').trimStart();
  const cloudflare = textOf(answer.headers.server).toLowerCase() === 'cloudflare';
  // What Cloudflare sends to clients that do not ask for HTML.
  if (cloudflare && /^error code: \d{3,5}/i.test(text)) return 'an error page of Cloudflare';
  if (!isPage(answer.headers, text)) return null;
  return cloudflare ? 'a page of Cloudflare' : 'an HTML page';
}

/** A receiver refuses with JSON, a word or nothing; a page is for browsers. PHP calls everything text/html. */
function isPage(headers: WalledAnswer['headers'], text: string): boolean {
  const type = textOf(headers['content-type']).toLowerCase();
  if (type.includes('json')) return false;
  const encoding = textOf(headers['content-encoding']).toLowerCase();
  if (encoding !== '' && encoding !== 'identity') return text !== '' && type.includes('html');
  return /^(\uFEFF|<\?xml[^>]*>|<!--[^>]*-->|\s)*<(!doctype\s+html|html|head|body)\b/i.test(text);
}

function textOf(header: string | undefined): string {
  return (header ?? '').trim();
}
