import { reasonOf } from '../errors.ts';

/**
 * What `depositd doctor` found beside the nodes. `danger`: money would be missed, or no payment could be made, or nobody would
 * hear of it. `warning`: one day, or more slowly.
 */
export type Finding = {
  part:
    | 'clock'
    | 'disk'
    | 'file system'
    | 'database'
    | 'database signals'
    | 'sealing key'
    | 'addresses'
    | 'public URL'
    | 'webhooks'
    | 'prices'
    | 'provider';
  /** What it is about: a host, a file, a coin. */
  subject: string;
  outcome: 'well' | 'warning' | 'danger';
  found: string;
  /** What that means for money, and what to do; absent where all is well. */
  money?: string;
  todo?: string;
};

type Meaning = { money: string; todo: string };

/** Findings of one part, all of which mean the same. */
export function findingsOf(part: Finding['part'], subject: string, meaning: Meaning) {
  return {
    well: (found: string): Finding => ({ part, subject, outcome: 'well', found }),
    warning: (found: string, other: Partial<Meaning> = {}): Finding => {
      return { part, subject, outcome: 'warning', found, ...meaning, ...other };
    },
    danger: (found: string, other: Partial<Meaning> = {}): Finding => {
      return { part, subject, outcome: 'danger', found, ...meaning, ...other };
    },
    /** What stands in the way of looking. */
    unclear: (error: unknown): Finding => ({
      part,
      subject,
      outcome: 'warning',
      found: `it could not be looked at: ${reasonOf(error)}`,
      ...meaning,
    }),
  };
}
