import type { Cursor } from '../../core/chain.ts';
import type { Network } from '../../core/networks.ts';
import { findAnchorFrom } from '../../storage/chains/chains.ts';
import { findScanFrom } from '../../storage/chains/scans.ts';
import type { Db } from '../../storage/schema.ts';
import type { RereadRange } from './read.ts';

/** What of `(position, upTo]` is to be read again next: blocks that were read in one way, or that were never read. */
export async function nextRange(
  db: Db,
  network: Network,
  { position, upTo, cursor }: { position: Cursor; upTo: number; cursor: Cursor },
): Promise<RereadRange> {
  const first = position.height + 1;
  const scan = await findScanFrom(db, network, first);
  const inScan = scan !== null && scan.from <= first ? scan : null;
  const end = Math.min(upTo, inScan?.to ?? (scan === null ? upTo : scan.from - 1));
  return {
    cursor: position,
    upTo: end,
    anchor: (await findAnchorFrom(db, network, end)) ?? cursor,
    native: inScan?.native ?? false,
    hosts: new Set(inScan?.hosts),
  };
}
