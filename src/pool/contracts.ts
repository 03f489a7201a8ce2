import type { Address } from '../core/address.ts';
import type { Network } from '../core/networks.ts';
import { counted } from '../core/plural.ts';
import type { CheckedAddress } from './check.ts';

/**
 * Asks a chain which of these addresses have code. A contract may refuse a payment or keep it; wallets with
 * several owners are contracts, too, and fine. Implemented in `watchers/`, because only that part asks nodes.
 */
export type CodeLook = (network: Network, addresses: readonly Address[]) => Promise<CodeAnswer>;

export type CodeAnswer =
  | { withCode: ReadonlySet<Address> }
  /** No node said; why, without a node's address. */
  | { unchecked: string };

/** What one import learns about contracts. A chain whose nodes do not answer is asked no second time. */
export type Examiner = {
  /** Why a row is refused; null when it is not a contract, may be one, or was not looked at. */
  faultOf(row: CheckedAddress): string | null;
  /** Looks at these rows; to be awaited before {@link Examiner.faultOf}, and with no transaction open. */
  examine(rows: readonly CheckedAddress[]): Promise<void>;
  /** What whoever imports should know, one sentence each. */
  warnings(): string[];
};

export function createExaminer(look: CodeLook | null, allowContract: boolean): Examiner {
  const contracts = new Set<string>();
  const allowed = new Map<Network, number>();
  const unchecked = new Map<Network, { reason: string; rows: number }>();

  async function examineOn(network: Network, rows: readonly CheckedAddress[]): Promise<void> {
    if (look === null) return;
    const known = unchecked.get(network);
    const answer: CodeAnswer =
      known === undefined
        ? await look(
            network,
            rows.map((row) => row.address),
          )
        : { unchecked: known.reason };
    if ('unchecked' in answer) {
      unchecked.set(network, { reason: answer.unchecked, rows: (known?.rows ?? 0) + rows.length });
      return;
    }
    for (const { address } of rows) {
      if (!answer.withCode.has(address)) continue;
      if (allowContract) allowed.set(network, (allowed.get(network) ?? 0) + 1);
      else contracts.add(`${network} ${address}`);
    }
  }

  return {
    async examine(rows) {
      for (const [network, own] of Map.groupBy(rows, (row) => row.network)) await examineOn(network, own);
    },
    faultOf({ network, address }) {
      if (!contracts.has(`${network} ${address}`)) return null;
      return `a contract on ${network}: money sent to it may be lost; if it is a wallet of yours, allow contracts`;
    },
    warnings() {
      return [
        ...[...allowed].map(
          ([network, rows]) => `${network}: ${count(rows)} a contract; make sure that you can spend from it`,
        ),
        ...[...unchecked].map(
          ([network, { reason, rows }]) =>
            `${network}: whether ${count(rows)} a contract was not checked: ${reason}`,
        ),
      ];
    },
  };
}

function count(rows: number): string {
  return `${rows === 1 ? '' : 'any of '}${counted(rows, 'address')} is`;
}
