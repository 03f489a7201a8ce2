import { TronWeb } from 'tronweb';
import { measure, readTask } from '../support/engine.ts';
import { watchedKey } from '../support/transfer-chain.ts';

/* As its documentation has it: block by block, and the infos by a raw request, for which it has no method. */

const { url, height, watched } = readTask();
const tronWeb = new TronWeb({ fullHost: url });
const ours = new Set(Array.from({ length: watched }, (_, n) => watchedKey(n)));

type Info = { log?: { topics: string[] }[] };

await measure(async () => {
  let found = 0;
  for (let num = 1; num <= height; num++) {
    await tronWeb.trx.getBlockByNumber(num);
    const infos = await tronWeb.fullNode.request<Info[]>(
      'wallet/gettransactioninfobyblocknum',
      { num },
      'post',
    );
    for (const info of infos)
      for (const { topics } of info.log ?? []) if (ours.has((topics[2] ?? '').slice(24) as never)) found += 1;
  }
  return found;
});
