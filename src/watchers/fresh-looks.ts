import type { Clock } from '../clock.ts';
import type { ChainConfig } from '../config.ts';
import type { Deposit } from '../core/payment.ts';
import type { Logger } from '../log.ts';
import { isProven, type Look, lookAt } from './confirm.ts';
import { createDoubts, type Doubt } from './doubts.ts';
import { hostsServing } from './reread.ts';
import type { ChainSource, Hosts } from './source.ts';

export type FreshLooksDeps = { chain: ChainConfig; source: ChainSource; clock: Clock; log: Logger };

export type FreshLooks = {
  /** Deposits that were looked at in vain a moment ago. */
  resting: { count(): number; has(deposit: Deposit): boolean };
  /** Those of the deposits that may be confirmed. The others rest. */
  prove(deposits: readonly Deposit[], signal: AbortSignal): Promise<Deposit[]>;
};

/**
 * For so long, ms, a deposit waits for the word of another node than the one that showed it. Longer than a node takes
 * to start again, shorter than a customer's patience.
 */
const patienceMs = 5 * 60_000;

/** One node by its host name, or whoever answers first. */
type Witness = { host: string } | 'anyone';

type Open = { deposit: Deposit; left: Witness[]; reason: string };

/**
 * The fresh looks before confirmations. What one node has shown, another one has to have too: a node that invents a
 * transfer swears to it as well. Where there is no other, whoever is there is asked; where the others cannot say,
 * for {@link patienceMs} nobody. While any of them says that it is not there, the word of the first is not taken.
 */
export function createFreshLooks(deps: FreshLooksDeps): FreshLooks {
  const { chain, source, clock, log } = deps;
  const doubts = createDoubts(clock);
  /** Since when (Unix ms) these others had nothing to say, and when that was last tried. */
  let silence: { since: number; triedAt: number; hosts: readonly string[] } | null = null;

  async function prove(deposits: readonly Deposit[], signal: AbortSignal): Promise<Deposit[]> {
    forgetOldSilence();
    doubts.forgetOld();
    const proven: Deposit[] = [];
    let open = deposits.map(
      (deposit): Open => ({ deposit, left: witnessesOf(deposit), reason: 'not asked' }),
    );
    while (open.length > 0) {
      const witness = open[0]?.left[0];
      if (witness === undefined) {
        const [given] = open.splice(0, 1);
        if (given !== undefined) setAside(given);
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
        if (verdict === 'proven') proven.push(each.deposit);
        if (verdict !== 'unknown') open = open.filter((other) => other !== each);
      }
    }
    return proven;
  }

  function judge(open: Open, look: Look, witness: Witness): 'proven' | 'denied' | 'unknown' {
    const { deposit } = open;
    const { inclusion } = look;
    const another = witness !== 'anyone';
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
      deny(deposit, inclusion.kind === 'doubtful' ? inclusion.reason : 'absent', witness);
      return 'denied';
    }
    open.left.shift();
    open.reason = inclusion.kind === 'unknown' ? inclusion.reason : 'not deep enough below its head';
    return 'unknown';
  }

  /** Who is asked about a deposit, in this order, until one knows. */
  function witnessesOf(deposit: Deposit): Witness[] {
    const others = othersOf(deposit);
    if (deposit.shownBy === null || others.length === 0) return ['anyone'];
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
    return [...inOrder.map((host) => ({ host })), ...(alone ? (['anyone'] as const) : [])];
  }

  function othersOf({ shownBy }: Deposit): string[] {
    return [...new Set(hostsServing(source, 'receipts'))].filter((host) => host !== shownBy);
  }

  function exceptFor(witness: Witness): Hosts | undefined {
    if (witness === 'anyone') return undefined;
    return new Set(source.endpoints().flatMap(({ host }) => (host === witness.host ? [] : [host])));
  }

  /** Nobody could say. */
  function setAside({ deposit, reason }: Open): void {
    const hosts = othersOf(deposit);
    if (hosts.length > 0) silence = { since: silence?.since ?? clock(), triedAt: clock(), hosts };
    const { looks } = doubts.rest(deposit);
    report(deposit, looks === 1 ? 'warn' : 'debug', reason, 'deposit not confirmed yet');
  }

  /** A reorg that is under way shows here first, and the next poll finds it. What is said twice is another matter. */
  function deny(deposit: Deposit, reason: string, witness: Witness): void {
    const doubt = doubts.deny(deposit, witness === 'anyone' ? null : witness.host);
    report(deposit, doubt.looks === 1 ? 'warn' : 'debug', reason, 'deposit not confirmed yet');
    if (doubt.denials === 2 && doubt.deniedBy.size > 0) disagree(deposit, doubt);
  }

  function disagree({ txHash, height, shownBy }: Deposit, { deniedBy }: Doubt): void {
    const fields = { tx_hash: txHash, height, shown_by: shownBy, denied_by: [...deniedBy] };
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
    const { triedAt, hosts } = silence;
    const others = source.endpoints().filter(({ host }) => hosts.includes(host));
    if (others.some(({ answeredAt }) => (answeredAt ?? triedAt) > triedAt)) silence = null;
  }

  return { resting: doubts, prove };
}

function keyOf(witness: Witness): string {
  return witness === 'anyone' ? '' : witness.host;
}
