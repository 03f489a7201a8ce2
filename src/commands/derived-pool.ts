import { shortKey } from '../core/account-key.ts';
import { gapWarning } from '../core/gaps.ts';
import type { Network } from '../core/networks.ts';
import { counted } from '../core/plural.ts';
import { CommandError } from '../errors.ts';
import { changePoolLimit, createDerivedPool, describeDerivedPools, endDerivedPool } from '../pool/derived.ts';
import { presentDerivedPool } from '../present/pools.ts';
import { print, printJson, printTable, say } from './output.ts';
import { actor, atWork, type CommandOptions, requireMerchant, requireMerchantInUse } from './workplace.ts';

type DeriveOptions = CommandOptions & {
  merchant: string;
  network: Network;
  xpub: string;
  currency?: string;
  label?: string;
  limit?: number;
  confirmFirst?: string;
};

/** Adds a pool whose addresses are derived when payments need them. */
export async function addressDerive(options: DeriveOptions): Promise<void> {
  await atWork(options, async (workplace) => {
    const merchant = await requireMerchantInUse(workplace.db, options.merchant);
    const outcome = await createDerivedPool(workplace, {
      merchantId: merchant.id,
      network: options.network,
      currency: options.currency ?? '',
      label: options.label ?? '',
      xpub: options.xpub,
      limit: options.limit ?? null,
      confirmFirst: options.confirmFirst,
      actor,
    });
    if ('error' in outcome) throw new CommandError(`${outcome.field}: ${outcome.error}`);
    const { pool, firstAddresses } = outcome;
    if (options.json) {
      return printJson({
        id: pool.id,
        network: pool.network,
        currency: pool.currency,
        label: pool.label,
        key: shortKey(pool.xpub),
        limit: pool.limit,
        first_addresses: firstAddresses,
      });
    }
    print(`derived pool ${pool.id} on ${pool.network}, up to ${counted(pool.limit, 'address')}`);
    print('Compare its first addresses with your wallet before you take a payment. If they are others,');
    print(`depositd address pools remove ${pool.id} --merchant ${merchant.id}`);
    for (const [index, address] of firstAddresses.entries()) print(`  m/0/${index}  ${address}`);
  });
}

export async function addressPools(options: CommandOptions & { merchant: string }): Promise<void> {
  await atWork(options, async ({ db }) => {
    const merchant = await requireMerchant(db, options.merchant);
    const pools = await describeDerivedPools(db, merchant.id);
    if (options.json) return printJson({ data: pools.map(presentDerivedPool) });
    printTable(
      ['ID', 'NETWORK', 'FOR', 'KEY', 'DERIVED', 'USED', 'LIMIT', 'LONGEST GAP', 'LABEL'],
      pools.map(({ gaps, ...pool }) => [
        String(pool.id),
        pool.network,
        pool.currency ?? 'all',
        shortKey(pool.xpub),
        String(gaps.derived),
        String(gaps.used),
        String(pool.limit),
        String(gaps.longestGap),
        pool.label,
      ]),
    );
    for (const { id, gaps } of pools) {
      const warning = gapWarning(gaps);
      if (warning !== null) say(`warning: pool ${id}: ${warning}`);
    }
  });
}

/** Takes a pool, such as one of a wrong key, out of use with everything derived for it. */
export async function addressPoolRemove(
  poolId: number,
  options: CommandOptions & { merchant: string },
): Promise<void> {
  await atWork(options, async (workplace) => {
    const merchant = await requireMerchant(workplace.db, options.merchant);
    const removed = await endDerivedPool(workplace, { merchantId: merchant.id, poolId, actor });
    if (removed === null) throw new CommandError(`the merchant has no derived pool ${poolId}`);
    if (options.json) return printJson({ id: poolId, ...removed });
    print(`derived pool ${poolId} is removed, ${counted(removed.retired, 'address')} derived for it retired`);
    if (removed.held > 0) {
      say(
        `warning: pending payments hold ${counted(removed.held, 'address')} of it; cancel them if the key was wrong`,
      );
    }
  });
}

export async function addressLimit(
  poolId: number,
  limit: number,
  options: CommandOptions & { merchant: string },
): Promise<void> {
  await atWork(options, async (workplace) => {
    const merchant = await requireMerchant(workplace.db, options.merchant);
    if (!(await changePoolLimit(workplace, { merchantId: merchant.id, poolId, limit, actor }))) {
      throw new CommandError(`the merchant has no derived pool ${poolId}`);
    }
    if (options.json) return printJson({ id: poolId, limit });
    print(`derived pool ${poolId} may have up to ${counted(limit, 'address')}`);
  });
}
