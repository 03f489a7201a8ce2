import type { Network } from '../../core/networks.ts';
import type { ReadRow } from '../pool/watched-addresses.ts';
import type { Db } from '../schema.ts';

/**
 * How far what happened to payments has been looked at: the last event and the last deposit that were read, null where there was
 * none yet; and how each chain stood.
 */
export type Marks = { event: ReadRow | null; deposit: ReadRow | null; heads: ReadonlyMap<Network, string> };

/** What has happened since: payments that changed, addresses that something reached, chains that moved. */
export type Changes = {
  marks: Marks;
  /** It may be anything: this is the first look, or the database has lost what was read last. */
  isUnknown: boolean;
  paymentIds: readonly number[];
  addressIds: readonly number[];
  networks: readonly Network[];
};

/** Read in one go; the rest the next time. */
const mostChanges = 1_000;

/**
 * Three small reads, whatever the number of payments. What was read last is read again: where it is gone, or is another, the
 * database has lost its last commits, and what comes next may have ids that were passed already. Ids of deposits are given before
 * they are committed: one that is overtaken is found when its payment is looked at anyway.
 */
export async function readChanges(db: Db, since: Marks | null): Promise<Changes> {
  const heads = await readHeads(db);
  if (since === null) return readEnd(db, heads);
  const events = await listEventsFrom(db, since.event?.id ?? 0).execute();
  const deposits = await listDepositsFrom(db, since.deposit?.id ?? 0).execute();
  const [firstEvent, firstDeposit] = [toEventRow(events[0]), toDepositRow(deposits[0])];
  if (isGone(since.event, firstEvent) || isGone(since.deposit, firstDeposit)) return readEnd(db, heads);
  const newEvents = since.event === null ? events : events.slice(1);
  const newDeposits = since.deposit === null ? deposits : deposits.slice(1);
  return {
    marks: { event: toEventRow(events.at(-1)), deposit: toDepositRow(deposits.at(-1)), heads },
    isUnknown: false,
    paymentIds: [...newEvents, ...newDeposits].flatMap(({ payment_id }) => payment_id ?? []),
    addressIds: newDeposits.map(({ address_id }) => address_id),
    networks: [...heads]
      .filter(([network, head]) => since.heads.get(network) !== head)
      .map(([network]) => network),
  };
}

async function readHeads(db: Db): Promise<ReadonlyMap<Network, string>> {
  const chains = await db
    .selectFrom('chain_cursors')
    .select(['network', 'head_height', 'head_hash', 'stopped_reason'])
    .execute();
  return new Map(
    chains.map((one) => [
      one.network as Network,
      `${one.head_height} ${one.head_hash} ${one.stopped_reason}`,
    ]),
  );
}

async function readEnd(db: Db, heads: ReadonlyMap<Network, string>): Promise<Changes> {
  const event = await listEventsFrom(db, 0).clearOrderBy().orderBy('sequence', 'desc').executeTakeFirst();
  const deposit = await listDepositsFrom(db, 0).clearOrderBy().orderBy('id', 'desc').executeTakeFirst();
  const marks = { event: toEventRow(event), deposit: toDepositRow(deposit), heads };
  return { marks, isUnknown: true, paymentIds: [], addressIds: [], networks: [] };
}

function listEventsFrom(db: Db, sequence: number) {
  return db
    .selectFrom('events')
    .select(['sequence', 'id', 'payment_id'])
    .where('sequence', '>=', sequence)
    .orderBy('sequence')
    .limit(mostChanges);
}

function listDepositsFrom(db: Db, id: number) {
  return db
    .selectFrom('deposits')
    .select(['id', 'network', 'tx_hash', 'recipient', 'ordinal', 'payment_id', 'address_id'])
    .where('id', '>=', id)
    .orderBy('id')
    .limit(mostChanges);
}

function isGone(known: ReadRow | null, first: ReadRow | null): boolean {
  return known !== null && (first?.id !== known.id || first.identity !== known.identity);
}

function toEventRow(row: { sequence: number; id: string } | undefined): ReadRow | null {
  return row === undefined ? null : { id: row.sequence, identity: row.id };
}

type DepositRow = { id: number; network: string; tx_hash: string; recipient: string; ordinal: number };

function toDepositRow(row: DepositRow | undefined): ReadRow | null {
  if (row === undefined) return null;
  return { id: row.id, identity: `${row.network} ${row.tx_hash} ${row.recipient} ${row.ordinal}` };
}

/** The id of the newest payment; 0 where there is none. Making one is no event. */
export async function readLatestPaymentId(db: Db): Promise<number> {
  const { last } = await db
    .selectFrom('payments')
    .select((of) => of.fn.max('id').as('last'))
    .executeTakeFirstOrThrow();
  return Number(last ?? 0);
}
