import type { Deposit } from '../core/payment.ts';
import { hostsServing } from './recheck/read.ts';
import type { ChainSource, Hosts } from './source.ts';

/** One node by its host name, or whoever answers first. */
export type Witness = { host: string } | 'anyone';

export function keyOf(witness: Witness): string {
  return witness === 'anyone' ? '' : witness.host;
}

/** Which of a chain's nodes can say something of a deposit. */
export function createWitnesses(source: ChainSource) {
  /** Those that may be asked for receipts, but the one that showed it. */
  function othersOf({ reportedBy }: Deposit): string[] {
    return [...new Set(hostsServing(source, 'receipts'))].filter((host) => host !== reportedBy);
  }

  /** The node that showed it, where it can be asked. */
  function showerOf({ reportedBy }: Deposit): { host: string } | null {
    return hostsServing(source, 'receipts').some((host) => host === reportedBy) && reportedBy !== null
      ? { host: reportedBy }
      : null;
  }

  function isConfigured(host: string | null): boolean {
    return source.endpoints().some((node) => node.host === host);
  }

  /** Whose word it was: whoever answers is that one, where there is one node alone. */
  function hostOf(witness: Witness): string | null {
    if (witness !== 'anyone') return witness.host;
    const [only, ...more] = new Set(source.endpoints().map(({ host }) => host));
    return more.length === 0 ? (only ?? null) : null;
  }

  /** Whom not to ask, so that it is this one that answers. */
  function exceptFor(witness: Witness): Hosts | undefined {
    if (witness === 'anyone') return undefined;
    return new Set(source.endpoints().flatMap(({ host }) => (host === witness.host ? [] : [host])));
  }

  return { othersOf, showerOf, isConfigured, hostOf, exceptFor };
}
