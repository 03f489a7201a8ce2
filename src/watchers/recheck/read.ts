import type { ChainConfig } from '../../config.ts';
import { type BlockRef, type Cursor, noTransaction, type Transfer } from '../../core/chain.ts';
import type { Capability } from '../../core/node.ts';
import type { Deposit } from '../../core/payment.ts';
import { RpcError } from '../../errors.ts';
import { listDepositsIn } from '../../storage/deposits/range.ts';
import type { Db } from '../../storage/schema.ts';
import { queryOf } from '../confirm.ts';
import type { ChainSource, Hosts, Inclusion, InclusionQuery, Span, Watchlist } from '../source.ts';

/*
 * Blocks that were read before, read again, and what differs from what is recorded. Nothing is written here.
 */

/** Which blocks to read again, and from whom. */
export type Piece = {
  /** The block below the first. */
  cursor: Cursor;
  upTo: number;
  /** A block of ours at or above `upTo`. */
  landmark: BlockRef;
  /** Whether the blocks were read whole, and are again. */
  native: boolean;
  /** Who showed them before. */
  hosts: Hosts;
};

/** A transfer of which nothing is recorded where it stands; `agreed` when another node has it too. */
export type Missed = { transfer: Transfer; agreed: boolean };

/**
 * A recorded deposit that this answer leaves out, though nobody says that it is gone. `upheld` by a third node, by the
 * one that showed it before, or by nobody who could be asked.
 */
export type Disputed = { deposit: Deposit; upheld: 'by third' | 'by first' | 'not yet' };

/** What reading blocks again has shown. */
export type Reading = {
  piece: Piece;
  span: Span;
  /** Transfers that are recorded just so. */
  known: number;
  missed: Missed[];
  /** Recorded, and not on the chain by two answers. */
  vanished: Deposit[];
  /** While there is any, the answer proves nothing. */
  disputed: Disputed[];
};

export type RereadDeps = { db: Db; chain: ChainConfig; source: ChainSource; watch: Watchlist };

export type RereadOutcome =
  | { kind: 'reading'; reading: Reading }
  /** The node has another block where the piece begins. */
  | { kind: 'forked'; reason: string; retryAt: number }
  | { kind: 'failed'; reason: string; retryAt: number };

/** Reads as much of a piece as one node serves at once, from any but `except`, and compares it with what is recorded. */
export async function reread(
  deps: RereadDeps,
  piece: Piece,
  except: Hosts,
  signal: AbortSignal,
): Promise<RereadOutcome> {
  const { db, chain, source, watch } = deps;
  const { cursor, upTo, landmark, native } = piece;
  const outcome = await source.reread({ cursor, upTo, landmark, except, watch, native, signal });
  if (outcome.kind === 'failed') return outcome;
  if (outcome.kind === 'reorg') {
    const reason = `another block ${cursor.height} than the one that was read`;
    return { kind: 'forked', reason, retryAt: 0 };
  }
  const { span } = outcome;
  const range = { above: cursor.height, upTo: span.to.height };
  const recorded = await listDepositsIn(db, chain.network, range);
  // What contracts paid was recorded when a node could tell; that none can now says nothing.
  const untraced = new Set(span.untraced);
  const asked = recorded.filter((deposit) => isAskedFor(deposit, deps, native));
  const compared = compare(span.transfers, asked);
  const { missed, known } = compared;
  const absent = compared.absent.filter(({ token, txHash }) => token !== 'native' || !untraced.has(txHash));

  const queries = [...missed, ...absent.map(queryOf)];
  const parties = [span.host, ...piece.hosts];
  const { looks, neutral, alone } = await lookElsewhere(source, queries, parties, signal);
  const lookOf = (i: number) => looks.get(queries[i] as InclusionQuery)?.kind ?? 'unknown';
  // Where who read these blocks before serves no receipts, this answer alone takes back nothing that is confirmed.
  const unheard = alone && source.endpoints().some(({ host }) => host !== span.host && piece.hosts.has(host));
  const absentLooks = absent.map((deposit, i) => {
    const look = lookOf(missed.length + i);
    const weak = unheard && deposit.status === 'confirmed' && look === 'absent';
    return { deposit, look: weak ? 'unknown' : look };
  });
  const upheld = neutral ? 'by third' : 'by first';
  return {
    kind: 'reading',
    reading: {
      piece,
      span,
      known,
      missed: missed.map((transfer, i) => ({ transfer, agreed: lookOf(i) === 'included' })),
      vanished: absentLooks.filter(({ look }) => look === 'absent').map(({ deposit }) => deposit),
      disputed: absentLooks
        .filter(({ look }) => look !== 'absent')
        .map(({ deposit, look }) => ({ deposit, upheld: look === 'included' ? upheld : 'not yet' })),
    },
  };
}

/** Whether a node that was asked for everything watched would show this deposit. */
function isAskedFor(deposit: Deposit, { chain, watch }: RereadDeps, native: boolean): boolean {
  if (!watch.has(deposit.recipient) || deposit.txHash === noTransaction) return false;
  if (deposit.token === 'native') return native;
  return chain.assets.some(({ token }) => token === deposit.token);
}

/** What is shown and not recorded at its place, and what is recorded and not shown. */
export function compare(
  transfers: readonly Transfer[],
  recorded: readonly Deposit[],
): { missed: Transfer[]; absent: Deposit[]; known: number } {
  const shown = new Set(transfers.map((transfer) => placeOf(transfer, transfer.block.hash)));
  const held = new Set(recorded.map((deposit) => placeOf(deposit, deposit.blockHash)));
  const missed = transfers.filter((transfer) => !held.has(placeOf(transfer, transfer.block.hash)));
  return {
    missed,
    absent: recorded.filter((deposit) => !shown.has(placeOf(deposit, deposit.blockHash))),
    known: transfers.length - missed.length,
  };
}

/** The hosts of a chain that may be asked for something, resting ones too. */
export function hostsServing(source: ChainSource, what: Capability): string[] {
  const serving = source
    .endpoints()
    .filter(({ state, lacks }) => state !== 'wrong chain' && !lacks.includes(what));
  return serving.map(({ host }) => host);
}

type Identity = Pick<Transfer, 'txHash' | 'token' | 'recipient' | 'ordinal' | 'amount'>;

function placeOf({ txHash, token, recipient, ordinal, amount }: Identity, block: string): string {
  return [block, txHash, token, recipient, ordinal, amount].join(' ');
}

/**
 * What others say: nodes that are not party to it first, then those that read the blocks before, and only where there
 * is no other node at all the one that answered. `parties` begins with that one.
 */
async function lookElsewhere(
  source: ChainSource,
  queries: readonly InclusionQuery[],
  parties: readonly string[],
  signal: AbortSignal,
): Promise<{ looks: Looks; neutral: boolean; alone: boolean }> {
  const nothing = { looks: new Map(), neutral: false, alone: false };
  if (queries.length === 0) return nothing;
  const hosts = hostsServing(source, 'receipts');
  const answerer = parties.slice(0, 1);
  for (const excluded of [parties, answerer]) {
    if (hosts.every((host) => excluded.includes(host))) continue;
    const looks = await lookUnlessDown(source, queries, new Set(excluded), signal);
    if ([...looks.values()].some(({ kind }) => kind === 'included' || kind === 'absent'))
      return { looks, neutral: excluded === parties, alone: false };
  }
  const alone = hosts.every((host) => answerer.includes(host));
  return alone
    ? { looks: await lookUnlessDown(source, queries, new Set(), signal), neutral: false, alone }
    : nothing;
}

type Looks = Map<InclusionQuery, Inclusion>;

async function lookUnlessDown(
  source: ChainSource,
  queries: readonly InclusionQuery[],
  except: Hosts,
  signal: AbortSignal,
): Promise<Looks> {
  try {
    return await source.inclusions(queries, signal, except);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return new Map();
  }
}
