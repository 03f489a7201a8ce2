import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import { familyOf } from '../core/address.ts';
import type { TxHash } from '../core/chain.ts';
import type { Network } from '../core/networks.ts';
import type { OnchainView } from '../core/payment.ts';
import { findPaymentById } from '../storage/payments/payments.ts';
import { viewOf } from '../storage/payments/views.ts';
import type { Db } from '../storage/schema.ts';
import { decideVerdict, type Finding, type Verdict } from './verdict.ts';

/** Between two looks for one payment, ms: each asks every node of several chains. */
export const lookEveryMs = 20_000;

/** How long one look may take, ms. */
const longestLookMs = 15_000;

/** Looks at once: a crowd of payers must not take the nodes from the watchers. */
const mostAtOnce = 4;

export type LookOutcome =
  /** `nextAt`: when another look is possible, Unix ms. */
  { outcome: 'looked'; verdict: Verdict; nextAt: number } | { outcome: 'too_soon'; nextAt: number };

export type LookUp = (
  network: Network,
  request: { txHash: TxHash; since: number; signal: AbortSignal },
) => Promise<Finding>;

export type Looks = {
  /** Looks for a transaction on every chain where the payment's address could have received it. */
  look(view: OnchainView, txHash: TxHash): Promise<LookOutcome>;
};

/** Looks of payers for what they say they paid, a few at once and seldom for one payment. */
export function createLooks(deps: {
  db: Db;
  config: Pick<Config, 'chains'>;
  clock: Clock;
  lookUp: LookUp;
}): Looks {
  const { db, config, clock, lookUp } = deps;
  const lastLooks = new Map<number, number>();
  let running = 0;

  function forgetOld(now: number): void {
    for (const [id, at] of lastLooks) if (now - at >= lookEveryMs || at > now) lastLooks.delete(id);
  }

  return {
    async look({ payment }, txHash) {
      const now = clock();
      forgetOld(now);
      const last = lastLooks.get(payment.id);
      if (last !== undefined) return { outcome: 'too_soon', nextAt: last + lookEveryMs };
      if (running >= mostAtOnce) return { outcome: 'too_soon', nextAt: now + longestLookMs };
      lastLooks.set(payment.id, now);
      running += 1;
      try {
        const family = familyOf(payment.address);
        const networks = Object.values(config.chains).filter((chain) => chain.family === family);
        const signal = AbortSignal.timeout(longestLookMs);
        const request = { txHash, since: payment.lockChainTime, signal };
        const findings = await Promise.all(
          networks.map(async ({ network }) => [network, await lookUp(network, request)] as const),
        );
        const view = await viewOf(db, await findPaymentById(db, payment.id));
        const verdict = decideVerdict(view, family, new Map(findings));
        return { outcome: 'looked', verdict, nextAt: now + lookEveryMs };
      } finally {
        running -= 1;
      }
    },
  };
}
