import { type Clock, steadyClock } from '../clock.ts';
import type { ChainConfig } from '../config.ts';
import { noTransaction } from '../core/chain.ts';
import type { Network } from '../core/networks.ts';
import type { Deposit } from '../core/payment.ts';
import type { Logger } from '../log.ts';
import type { RecheckFinding } from '../metrics.ts';
import { isProven, type Look, lookAt } from './confirm.ts';
import { createDoubts, type Doubt } from './doubts.ts';
import type { ChainSource } from './source.ts';
import { createWitnesses, keyOf, type Witness } from './witnesses.ts';

export type FreshLooksDeps = {
  chain: ChainConfig;
  source: ChainSource;
  clock: Clock;
  log: Logger;
  /** Told of each finding, for metrics. */
  found?: (network: Network, finding: RecheckFinding) => void;
};

/** Deposits that may be confirmed, and those that nobody has any more: they are to be taken back. */
export type Looked = { proven: Deposit[]; gone: Deposit[] };

export type FreshLooks = {
  /** Deposits that were looked at in vain a moment ago. */
  resting: { count(): number; has(deposit: Deposit): boolean };
  /** What becomes of these deposits now. Those of which nothing is decided rest. */
  prove(deposits: readonly Deposit[], signal: AbortSignal): Promise<Looked>;
};

/**
 * For so long, ms, a deposit waits for the word of another node than the one that showed it. Longer than a node takes
 * to start again, shorter than a customer's patience.
 */
const patienceMs = 5 * 60_000;

/** What everybody denies, so long, ms, after all of them did so first, was never on the chain, or is no longer. */
const goneMs = 30_000;

/** A deposit in one look: who is still to be asked, and who of those asked has not got it. */
type Open = {
  deposit: Deposit;
  left: Witness[];
  reason: string;
  denied: boolean;
  deniers: Set<string>;
  upheld: boolean;
};

/**
 * The fresh looks before confirmations. What one node has shown, another one has to have too: a node that invents a
 * transfer swears to it as well. Where there is no other, whoever is there is asked; where the others cannot say,
 * for {@link patienceMs} nobody. While any of them says that it is not there, the word of the first is not taken; once
 * all of them do, that one is asked whether it still has it. What it denies too is taken back, the second time.
 */
export function createFreshLooks(deps: FreshLooksDeps): FreshLooks {
  const { chain, source, log } = deps;
  const clock = steadyClock(deps.clock);
  const doubts = createDoubts(clock);
  const { othersOf, showerOf, isConfigured, hostOf, exceptFor } = createWitnesses(source);
  /** Since when others have had nothing to say, when that was last tried, and when each had last answered by then. */
  let silence: { since: number; triedAt: number; answeredAt: ReadonlyMap<string, number | null> } | null =
    null;

  async function prove(deposits: readonly Deposit[], signal: AbortSignal): Promise<Looked> {
    forgetOldSilence();
    doubts.forgetOld();
    const proven: Deposit[] = [];
    const gone: Deposit[] = [];
    let open = deposits.map(begin);
    while (open.length > 0) {
      const witness = open[0]?.left[0];
      if (witness === undefined) {
        const [given] = open.splice(0, 1);
        if (given !== undefined && conclude(given) === 'gone') gone.push(given.deposit);
        continue;
      }
      const key = keyOf(witness);
      const asked = open.filter(({ left }) => left[0] !== undefined && keyOf(left[0]) === key);
      const looks = await lookAt(
        source,
        asked.map(({ deposit }) => deposit),
        signal,
        exceptFor(witness),
      );
      for (const [i, each] of asked.entries()) {
        const look = looks[i];
        const verdict = look === undefined ? 'unknown' : judge(each, look, witness);
        if (verdict !== 'proven') continue;
        proven.push(each.deposit);
        open = open.filter((other) => other !== each);
      }
    }
    return { proven, gone };
  }

  function begin(deposit: Deposit): Open {
    const nothing = { reason: 'not asked', denied: false, deniers: new Set<string>(), upheld: false };
    return { deposit, left: witnessesOf(deposit), ...nothing };
  }

  function judge(open: Open, look: Look, witness: Witness): 'proven' | 'denied' | 'unknown' {
    const { deposit } = open;
    const { inclusion } = look;
    const another = witness !== 'anyone' && witness.host !== deposit.reportedBy;
    if (inclusion.kind === 'included' && inclusion.block.hash === deposit.blockHash) {
      open.upheld = true;
      doubts.uphold(deposit);
    }
    if (!another && open.upheld && isDeniedByAnother(deposit)) {
      open.left.shift();
      open.reason = 'no other node has it';
      return 'unknown';
    }
    if (isProven(look, chain.requiredConfirmations)) {
      if (another) silence = null;
      else if (othersOf(deposit).length > 0)
        report(deposit, 'info', 'no other node could be asked', 'deposit confirmed by one node alone');
      doubts.settle(deposit);
      return 'proven';
    }
    const elsewhere = inclusion.kind === 'included' && inclusion.block.hash !== deposit.blockHash;
    if (elsewhere || inclusion.kind === 'absent' || inclusion.kind === 'doubtful') {
      if (another) silence = null;
      if (!open.denied) deny(deposit, inclusion.kind === 'doubtful' ? inclusion.reason : 'absent', witness);
      const host = hostOf(witness);
      if (host !== null && inclusion.kind !== 'doubtful') open.deniers.add(host);
      open.left = open.denied ? open.left.slice(1) : askedNext(open);
      open.denied = true;
      return 'denied';
    }
    open.left.shift();
    open.reason = inclusion.kind === 'unknown' ? inclusion.reason : 'not deep enough below its head';
    return 'unknown';
  }

  /** Who is asked about a deposit, in this order, until one knows. */
  function witnessesOf(deposit: Deposit): Witness[] {
    const others = othersOf(deposit);
    if (deposit.reportedBy === null || others.length === 0) return ['anyone'];
    const { deniedBy, since } = doubts.of(deposit);
    const denied = [...deniedBy];
    const distrusted = new Set(
      source.endpoints().flatMap(({ state, host }) => (state === 'distrusted' ? [host] : [])),
    );
    // Who has not denied it yet, then who did so longest ago.
    const inOrder = others.toSorted(
      (a, b) =>
        denied.indexOf(a) - denied.indexOf(b) || Number(distrusted.has(a)) - Number(distrusted.has(b)),
    );
    const waited = clock() - Math.min(since, silence?.since ?? since);
    const alone = deniedBy.size === 0 && waited >= patienceMs;
    return [
      ...inOrder.map((host) => ({ host })),
      ...(alone ? [showerOf(deposit) ?? ('anyone' as const)] : []),
    ];
  }

  /** Who else is asked in the same look when the first one has denied it: once all others have, who showed it. */
  function askedNext({ deposit, left: [asked, ...left] }: Open): Witness[] {
    const { deniedBy } = doubts.of(deposit);
    const others = othersOf(deposit).map((host) => ({ host }));
    if (deposit.txHash === noTransaction || others.some(({ host }) => !deniedBy.has(host) && isLeft(host)))
      return [];
    if (!isConfigured(deposit.reportedBy)) return asked === 'anyone' ? others : left;
    const shower = showerOf(deposit);
    return shower === null || (asked !== undefined && keyOf(asked) === shower.host) ? [] : [shower];

    function isLeft(host: string): boolean {
      return left.some((witness) => keyOf(witness) === host);
    }
  }

  /** What one look has come to that has not proven the deposit. */
  function conclude(open: Open): 'gone' | 'open' {
    const { deposit, denied, deniers, upheld } = open;
    if (!denied) {
      setAside(open);
      return 'open';
    }
    const configured = new Set(source.endpoints().map(({ host }) => host));
    const { reportedBy, txHash } = deposit;
    // One of the others, and the one that showed it: see askedNext.
    if (txHash === noTransaction || upheld || deniers.size < Math.min(2, configured.size)) {
      const doubt = doubts.of(deposit);
      if (doubt.denials > 1 && doubt.deniedBy.size > 0 && !doubt.told) disagree(deposit, doubt);
      return 'open';
    }
    const { goneSince } = doubts.lose(deposit);
    if (clock() - (goneSince ?? clock()) < goneMs) return 'open';
    const fields = {
      tx_hash: txHash,
      height: deposit.height,
      reported_by: reportedBy,
      denied_by: [...deniers],
    };
    deps.found?.(chain.network, 'vanished');
    log.warn(fields, 'recorded transfer not on the chain');
    return 'gone';
  }

  function isDeniedByAnother(deposit: Deposit): boolean {
    return [...doubts.of(deposit).deniedBy].some((host) => host !== deposit.reportedBy);
  }

  /** Nobody could say. */
  function setAside({ deposit, reason }: Open): void {
    const others = new Set(othersOf(deposit));
    if (others.size > 0) {
      const nodes = source.endpoints().filter(({ host }) => others.has(host));
      const answeredAt = new Map(nodes.map((node) => [node.host, node.answeredAt]));
      silence = { since: silence?.since ?? clock(), triedAt: clock(), answeredAt };
    }
    const { looks } = doubts.rest(deposit);
    report(deposit, looks === 1 ? 'warn' : 'debug', reason, 'deposit not confirmed yet');
  }

  /** A reorg that is under way shows here first, and the next poll finds it. What is said twice is another matter. */
  function deny(deposit: Deposit, reason: string, witness: Witness): void {
    const { looks } = doubts.deny(deposit, witness === 'anyone' ? null : witness.host);
    report(deposit, looks === 1 ? 'warn' : 'debug', reason, 'deposit not confirmed yet');
  }

  function disagree(deposit: Deposit, { deniedBy }: Doubt): void {
    const { txHash, height, reportedBy } = deposit;
    doubts.tell(deposit);
    const fields = { tx_hash: txHash, height, reported_by: reportedBy, denied_by: [...deniedBy] };
    log.warn(fields, 'nodes disagree about a transfer');
  }

  function report(
    { txHash, height }: Deposit,
    level: 'info' | 'warn' | 'debug',
    reason: string,
    msg: string,
  ): void {
    log[level]({ tx_hash: txHash, height, reason }, msg);
  }

  /** Others that answered something since it was last tried may be back; then the wait begins anew. */
  function forgetOldSilence(): void {
    if (silence === null || clock() - silence.triedAt < patienceMs) return;
    const before = silence.answeredAt;
    const others = source.endpoints().filter(({ host }) => before.has(host));
    if (others.some(({ host, answeredAt }) => answeredAt !== before.get(host))) silence = null;
  }

  return { resting: doubts, prove };
}
