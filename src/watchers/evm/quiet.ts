import { type AddressKey, keyOfHex } from '../../core/address.ts';
import { contradiction } from '../../nodes/fault.ts';
import { isRecord, type RpcClient } from '../../nodes/json-rpc.ts';
import { bloomAdmits } from './bloom.ts';
import { getHeader, transferTopic } from './calls.ts';
import { resultOf } from './preflight.ts';
import type { LogCounts, RateAlarm } from './rate-alarm.ts';

/** Headers looked at for one answer: one batch. */
const mostHeaders = 100;

/**
 * Doubts an answer to a query for whole tokens that shows none of one that always moves: if the bloom of its blocks
 * admits some, another node is asked. `from` and `to` are the heights asked for, both included.
 *
 * @throws NodeError `contradiction`, or what the node answers when it is asked for headers.
 */
export async function doubtSilence(
  client: RpcClient,
  alarm: RateAlarm,
  { from, to, logs }: { from: number; to: number; logs: readonly unknown[] },
  signal: AbortSignal,
): Promise<void> {
  const blocks = to - from + 1;
  const counts = countByToken(logs);
  const quiet = alarm.quiet(blocks, counts);
  if (quiet.length > 0) {
    const enough = Math.min(mostHeaders, Math.max(...quiet.map((one) => one.enough)));
    const heights = Array.from({ length: enough }, (_, i) => from + Math.floor((i * blocks) / enough));
    const answers = await client.send(heights.map(getHeader), signal);
    const blooms = answers.map(resultOf).map((header) => (isRecord(header) ? header.logsBloom : null));
    const loud = blooms.filter((bloom) => bloomAdmits(bloom, transferTopic));
    for (const { token } of quiet) {
      if (!loud.some((bloom) => bloomAdmits(bloom, `0x${token}`)) || !alarm.doubted(token, from)) continue;
      throw contradiction(`no transfer of 0x${token} in blocks ${from} to ${to}, though it always has some`);
    }
  }
  alarm.measured(blocks, counts);
}

function countByToken(logs: readonly unknown[]): LogCounts {
  // As nodes spell them first: there are few spellings and many logs.
  const spelled = new Map<unknown, number>();
  for (const log of logs) {
    const { address } = log as { address: unknown };
    spelled.set(address, (spelled.get(address) ?? 0) + 1);
  }
  const counts = new Map<AddressKey, number>();
  for (const [address, count] of spelled) {
    const key = keyOfHex(String(address));
    counts.set(key, (counts.get(key) ?? 0) + count);
  }
  return counts;
}
