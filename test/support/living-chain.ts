import type { World } from './chain-world.ts';

/** An answer and its commit take so long, ms. */
const stepMs = 6;

export type Life = {
  /** Lets time pass until so many more blocks were made. */
  live(blocks: number): Promise<void>;
  /** A payment was made: the next step is due at once. */
  wake(): void;
};

/**
 * A chain that lives: its blocks come by their own clock, not when they are asked for, and are read by the watcher and a
 * second time by the recheck as often as these want to. Time is the world's.
 */
export function liveIn(
  world: World,
  {
    blockMs,
    read = async () => {},
  }: {
    blockMs: number;
    /** Called after each step of the watcher. */
    read?: () => Promise<void>;
  },
): Life {
  const begun = world.clock();
  let blocks = 0;
  let stepAt = begun;
  let recheckAt = begun;

  async function live(count: number): Promise<void> {
    for (const end = blocks + count; blocks < end; ) {
      const blockAt = begun + (blocks + 1) * blockMs;
      const next = Math.min(blockAt, stepAt, recheckAt);
      world.pass(Math.max(0, next - world.clock()) / 1000);
      if (next === blockAt) {
        world.chain.mine();
        blocks += 1;
      } else if (next === stepAt) {
        const { nextAt } = await world.step();
        await read();
        stepAt = Math.max(world.clock(), nextAt) + stepMs;
      } else {
        const { nextAt } = await world.recheckStep();
        recheckAt = Math.max(world.clock(), nextAt) + stepMs;
      }
    }
  }

  return {
    live,
    wake: () => {
      stepAt = world.clock();
    },
  };
}
