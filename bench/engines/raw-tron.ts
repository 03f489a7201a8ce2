import { Pool } from 'undici';
import { parseLossless } from '../../src/core/lossless-json.ts';
import { measure, readTask } from '../support/engine.ts';
import { watchedKey } from '../support/transfer-chain.ts';

/*
 * The limit: the same requests as depositd's, the answers parsed, each log looked at, and what is found thrown away. Nothing
 * is proven and nothing kept.
 */

const { url, height, watched } = readTask();
const pool = new Pool(url, { connections: 8 });
const ours = new Set(Array.from({ length: watched }, (_, n) => watchedKey(n)));
const atOnce = 4;

type Info = { log?: { topics: string[] }[] };

async function post(method: string, body: object): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  const path = `/wallet/${method}`;
  const answer = await pool.request({ method: 'POST', path, headers, body: JSON.stringify(body) });
  return parseLossless(await answer.body.text());
}

await measure(async () => {
  let found = 0;
  for (let from = 1; from <= height; from += 10) {
    const end = Math.min(from + 10, height + 1);
    await post('getblockbylimitnext', { startNum: from, endNum: end });
    for (let at = from; at < end; at += atOnce) {
      const heights = Array.from({ length: Math.min(atOnce, end - at) }, (_, i) => at + i);
      const answers = await Promise.all(
        heights.map((num) => post('gettransactioninfobyblocknum', { num }) as Promise<Info[]>),
      );
      for (const info of answers.flat())
        for (const { topics } of info.log ?? [])
          if (ours.has((topics[2] ?? '').slice(24) as never)) found += 1;
    }
  }
  return found;
});
