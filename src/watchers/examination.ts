import { counted } from '../core/plural.ts';
import { reasonOf } from '../errors.ts';

/*
 * Looking one node over before money rests on it: what `depositd doctor` asks. Each check says what was found; what it means
 * for money and what to do about it stands in the command.
 */

/**
 * - `chain`: whether it is of the configured chain
 * - `head`: how old its newest block is
 * - `final`: how far it calls blocks final (TRON: solid)
 * - `transfers`: whether it shows what newest blocks did (logs; TRON: infos)
 * - `receipts`: whether it serves the look before a confirmation
 * - `history`: whether it still has what was a day ago
 * - `tokens`: whether each token's decimals are as configured
 * - `range`: whether it shows the logs of as many blocks at once as reading begins with (EVM)
 * - `batch`: whether it takes several calls in one request (EVM)
 * - `traces`: whether it shows what contracts paid (EVM, where the chain's own coin is taken)
 */
export type CheckName =
  | 'chain'
  | 'head'
  | 'final'
  | 'transfers'
  | 'receipts'
  | 'history'
  | 'tokens'
  | 'range'
  | 'batch'
  | 'traces';

export type Check = {
  name: CheckName;
  /** `danger`: with this node alone money would be missed, misread or never confirmed. `warning`: late, or one day. */
  outcome: 'well' | 'warning' | 'danger';
  found: string;
};

/** A newest block older than this is late on every chain that is known, s. */
const lateSeconds = 30;

export function well(found: string): Omit<Check, 'name'> {
  return { outcome: 'well', found };
}

export function warning(found: string): Omit<Check, 'name'> {
  return { outcome: 'warning', found };
}

export function danger(found: string): Omit<Check, 'name'> {
  return { outcome: 'danger', found };
}

/** One check; whatever its node says instead of an answer is what was found, and as bad as `otherwise`. */
export async function check(
  name: CheckName,
  look: () => Promise<Omit<Check, 'name'>>,
  otherwise: typeof danger = danger,
): Promise<Check> {
  try {
    return { name, ...(await look()) };
  } catch (error) {
    return { name, ...otherwise(reasonOf(error)) };
  }
}

/** How a newest block of this time (Unix ms) stands to our clock. */
export function judgeAge(timeMs: number, nowMs: number): Omit<Check, 'name'> {
  const seconds = Math.round((nowMs - timeMs) / 1000);
  if (seconds < -lateSeconds)
    return warning(`its newest block is ${counted(-seconds, 'second')} ahead of this clock`);
  const found = `its newest block is ${counted(Math.max(0, seconds), 'second')} old`;
  return seconds > lateSeconds ? warning(found) : well(found);
}
