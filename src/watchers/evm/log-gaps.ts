import { keccak_256 } from '@noble/hashes/sha3.js';
import { type AddressKey, keyOfHex } from '../../core/address.ts';
import { contradiction } from '../../nodes/fault.ts';
import { isRecord, type RpcClient } from '../../nodes/json-rpc.ts';
import { getHeader, transferTopic } from './calls.ts';
import { resultOf } from './preflight.ts';

/** Logs of each token in some blocks; a token without any may be missing. */
export type LogCounts = ReadonlyMap<AddressKey, number>;

/** Knows how often each token moves, and notices when one that always does stops. */
export type RateAlarm = {
  /**
   * Tokens of which `blocks` blocks hold no log though that is absurd, with as many blocks as are enough to look at:
   * in those its own rate would have some.
   */
  quiet(blocks: number, counts: LogCounts): { token: AddressKey; enough: number }[];
  /** Learns from blocks that are believed. */
  measured(blocks: number, counts: LogCounts): void;
  /**
   * Notes that the blocks from a height on were doubted for a token. False when nothing but doubt came of them
   * several times: then the token has gone quiet in earnest, its bloom is an accident, and its rate is forgotten.
   */
  doubted(token: AddressKey, from: number): boolean;
};

/** Chance that a silence is an accident, by Poisson: below one in a million. */
const absurd = -Math.log(1e-6);

/** Logs from which a rate is known well enough. */
const enoughLogs = 100;

/** Blocks over which a rate is remembered: rates of noon and of night differ. */
const memory = 5_000;

/** After so many refused answers a node has been left alone for half a minute, and every other node has had its turn. */
const mostDoubts = 5;

export function createRateAlarm(tokens: Iterable<AddressKey>): RateAlarm {
  const rates = new Map([...tokens].map((token) => [token, { perBlock: 0, blocks: 0 }]));
  const doubts = new Map<AddressKey, { from: number; times: number }>();

  return {
    quiet: (blocks, counts) =>
      [...rates].flatMap(([token, rate]) => {
        const known = rate.perBlock * rate.blocks >= enoughLogs;
        if (!known || (counts.get(token) ?? 0) > 0 || rate.perBlock * blocks < absurd) return [];
        return [{ token, enough: Math.min(blocks, Math.ceil(absurd / rate.perBlock)) }];
      }),

    measured(blocks, counts) {
      if (blocks <= 0) return;
      for (const [token, rate] of rates) {
        rate.blocks = Math.min(memory, rate.blocks + blocks);
        const share = Math.min(1, blocks / rate.blocks);
        rate.perBlock += ((counts.get(token) ?? 0) / blocks - rate.perBlock) * share;
      }
    },

    doubted(token, from) {
      const doubt = doubts.get(token);
      const times = doubt?.from === from ? doubt.times + 1 : 1;
      doubts.set(token, { from, times });
      if (times <= mostDoubts) return true;
      rates.set(token, { perBlock: 0, blocks: 0 });
      return false;
    },
  };
}

/** Headers looked at for one answer: one batch. */
const mostHeaders = 100;

/**
 * Refuses an answer to a query for whole tokens that has no log of a token which always moves, where the blooms of its blocks say that
 * there are some. `from` and `to` are the heights asked for, both included.
 *
 * @throws NodeError `contradiction`, or what the node answers when it is asked for headers.
 */
export async function checkForMissingLogs(
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

const bloomPattern = /^0x[0-9a-fA-F]{512}$/;

/**
 * Whether a block's `logsBloom` admits a log with this address or topic (hex with `0x`). False proves that the block
 * has none; true may be an accident: of 9 % of the items that are not there at 400 distinct ones, 33 % at 800, 96 % at
 * 3,000. A bloom that a node does not tell admits nothing. (Ethereum yellow paper, 4.3.1)
 */
export function bloomAdmits(bloom: unknown, item: string): boolean {
  if (typeof bloom !== 'string' || !bloomPattern.test(bloom)) return false;
  const hash = keccak_256(Buffer.from(item.slice(2), 'hex'));
  return [0, 2, 4].every((at) => {
    const bit = (((hash[at] ?? 0) << 8) | (hash[at + 1] ?? 0)) & 2047;
    // Bit 0 is the lowest of the last byte; a hex digit holds four.
    const digit = Number.parseInt(bloom.charAt(bloom.length - 1 - (bit >> 2)), 16);
    return (digit & (1 << (bit & 3))) !== 0;
  });
}
