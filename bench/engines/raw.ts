import { readFileSync } from 'node:fs';
import { Pool } from 'undici';
import { measure, readTask } from '../support/engine.ts';
import { watchedKey } from '../support/transfer-chain.ts';

/*
 * The limit: the least that must be done with answers to know what reached the watched addresses. Sends requests that
 * were recorded, one after another, parses the answers and looks each recipient up in a set. Proves and keeps nothing.
 */

const { url, watched, recorded } = readTask();
const keys = new Set<string>();
for (let n = 0; n < watched; n++) keys.add(watchedKey(n));
const bodies = JSON.parse(readFileSync(recorded, 'utf8')) as string[];
const pool = new Pool(url, { connections: 1 });

type Answer = { result: unknown };

await measure(async () => {
  let found = 0;
  for (const body of bodies) {
    const request = {
      method: 'POST',
      path: '/',
      headers: { 'content-type': 'application/json' },
      body,
    } as const;
    const answer = JSON.parse(await (await pool.request(request)).body.text()) as Answer | Answer[];
    for (const { result } of Array.isArray(answer) ? answer : [answer]) {
      if (!Array.isArray(result)) continue;
      for (const { topics } of result as { topics: string[] }[]) {
        if (keys.has((topics[2] as string).slice(26))) found += 1;
      }
    }
  }
  return found;
});
