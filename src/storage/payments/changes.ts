import type { Network } from '../../core/networks.ts';
import type { Db } from '../schema.ts';

/** How far what happened to payments has been looked at, and how each chain stood. */
export type Marks = { event: number; deposit: number; heads: ReadonlyMap<Network, string> };

/** What has happened since: payments that changed, addresses that something reached, chains that moved. */
export type Changes = {
  marks: Marks;
  paymentIds: readonly number[];
  addressIds: readonly number[];
  networks: readonly Network[];
};

/** Read in one go; the rest the next time. */
const mostChanges = 1_000;

/**
 * Three small reads, whatever the number of payments. Ids of deposits are given before they are committed: one that is
 * overtaken is found when its payment is looked at anyway.
 */
export async function readChanges(db: Db, since: Marks | null): Promise<Changes> {
  const chains = await db
    .selectFrom('chain_cursors')
    .select(['network', 'head_height', 'head_hash', 'stopped_reason'])
    .execute();
  const heads = new Map(
    chains.map((one) => [
      one.network as Network,
      `${one.head_height} ${one.head_hash} ${one.stopped_reason}`,
    ]),
  );
  if (since === null) {
    const last = await db
      .selectNoFrom((eb) => [
        eb
          .selectFrom('events')
          .select((of) => of.fn.max('sequence').as('n'))
          .as('event'),
        eb
          .selectFrom('deposits')
          .select((of) => of.fn.max('id').as('n'))
          .as('deposit'),
      ])
      .executeTakeFirstOrThrow();
    const marks = { event: Number(last.event ?? 0), deposit: Number(last.deposit ?? 0), heads };
    return { marks, paymentIds: [], addressIds: [], networks: [] };
  }
  const events = await db
    .selectFrom('events')
    .select(['sequence', 'payment_id'])
    .where('sequence', '>', since.event)
    .orderBy('sequence')
    .limit(mostChanges)
    .execute();
  const deposits = await db
    .selectFrom('deposits')
    .select(['id', 'payment_id', 'address_id'])
    .where('id', '>', since.deposit)
    .orderBy('id')
    .limit(mostChanges)
    .execute();
  return {
    marks: {
      event: events.at(-1)?.sequence ?? since.event,
      deposit: deposits.at(-1)?.id ?? since.deposit,
      heads,
    },
    paymentIds: [...events, ...deposits].flatMap(({ payment_id }) => payment_id ?? []),
    addressIds: deposits.map(({ address_id }) => address_id),
    networks: [...heads]
      .filter(([network, head]) => since.heads.get(network) !== head)
      .map(([network]) => network),
  };
}

/** The id of the newest payment; 0 where there is none. Making one is no event. */
export async function readLatestPaymentId(db: Db): Promise<number> {
  const { last } = await db
    .selectFrom('payments')
    .select((of) => of.fn.max('id').as('last'))
    .executeTakeFirstOrThrow();
  return Number(last ?? 0);
}
