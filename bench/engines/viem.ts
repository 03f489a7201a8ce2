import { createPublicClient, http, parseAbiItem } from 'viem';
import { measure, readTask } from '../support/engine.ts';
import { watchedKey } from '../support/transfer-chain.ts';

/* viem's getLogs with an event of the ABI, whole tokens; each recipient is looked up in a set. */

const { url, token, height, watched, range } = readTask();
const keys = new Set<string>();
for (let n = 0; n < watched; n++) keys.add(watchedKey(n));
const client = createPublicClient({ transport: http(url) });
const event = parseAbiItem('event Transfer(address indexed from, address indexed to, uint256 value)');

await measure(async () => {
  let found = 0;
  for (let from = 1; from <= height; from += range) {
    const logs = await client.getLogs({
      address: token as `0x${string}`,
      event,
      fromBlock: BigInt(from),
      toBlock: BigInt(Math.min(height, from + range - 1)),
      strict: true,
    });
    for (const { args } of logs) if (keys.has(args.to.slice(2).toLowerCase())) found += 1;
  }
  return found;
});
