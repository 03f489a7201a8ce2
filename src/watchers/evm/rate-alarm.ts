import type { AddressKey } from '../../core/address.ts';

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

/** A node that rests longer after each doubt has had half a minute by then, and every other its turn. */
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
