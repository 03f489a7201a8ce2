import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { AddressKey } from '../core/address.ts';
import { privateKeyIn } from '../core/private-keys.ts';
import { inTransaction, serializeInserts } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { type AddressHolder, addAddresses, findAddressHolders } from '../storage/pool/addresses.ts';
import type { Db, Trx } from '../storage/schema.ts';
import { type AddressRules, addressRules, type CheckedAddress, checkAddressRow } from './check.ts';
import { type CodeLook, createExaminer } from './contracts.ts';

/** One address as somebody wrote it: nothing in it has been checked. */
export type AddressRow = { network: string; address: string; currency: string; label: string };

export type AddressResult =
  | { address: string; status: 'added'; reason: null; id: number }
  | { address: string; status: 'refused'; reason: string; id: null };

export type AddressImport = {
  merchantId: string;
  rows: readonly AddressRow[];
  /** For the audit log: `admin` or `cli`. */
  actor: string;
  /** Whether addresses with code are added as well. Default: refused. */
  allowContract?: boolean;
  onProgress?: (done: number, total: number) => void;
};

export type AddressImportSummary = {
  added: number;
  refused: number;
  /** One for each row, in the order of the rows. */
  results: AddressResult[];
  /** What else whoever imports should know, one sentence each. */
  warnings: string[];
};

export type ImportDeps = {
  db: Db;
  config: Pick<Config, 'chains'>;
  clock: Clock;
  /** Without it nobody is asked whether an address is a contract. */
  codeLook?: CodeLook | undefined;
};

/** Rows checked and committed together: large enough to be fast, small enough not to hold others up. */
const chunkSize = 500;

/**
 * Adds addresses to a merchant's pool. Every row is checked for itself: what is wrong with one is said and
 * does not keep the others out. Chunks are committed as they go, so an interrupted import may be repeated:
 * the rows that are in already are then refused as duplicates. The merchant must exist.
 */
export async function checkAndAddAddresses(
  deps: ImportDeps,
  request: AddressImport,
): Promise<AddressImportSummary> {
  const rules = addressRules(deps.config);
  const examiner = createExaminer(deps.codeLook ?? null, request.allowContract ?? false);
  const seen = new Set<string>();
  const results: AddressResult[] = [];
  for (let start = 0; start < request.rows.length; start += chunkSize) {
    const rows = request.rows.slice(start, start + chunkSize);
    const wellFormed = rows.map((row) => checkOnce(rules, seen, row));
    await examiner.examine(wellFormed.filter(isChecked));
    const checked = wellFormed.map((row): Checked => {
      const fault = isChecked(row) ? examiner.faultOf(row) : null;
      return fault === null ? row : { error: fault };
    });
    const { merchantId, actor } = request;
    const at = deps.clock();
    results.push(
      ...(await inTransaction(deps.db, (trx) => addChunk(trx, { merchantId, actor, at }, rows, checked))),
    );
    request.onProgress?.(results.length, request.rows.length);
    // Lets a daemon that imports serve its other requests meanwhile.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const added = results.filter((result) => result.status === 'added').length;
  return { added, refused: results.length - added, results, warnings: examiner.warnings() };
}

type Checked = CheckedAddress | { error: string };

function isChecked(row: Checked): row is CheckedAddress {
  return !('error' in row);
}

/** Checks a row by itself and against the rows before it. */
function checkOnce(rules: AddressRules, seen: Set<string>, row: AddressRow): Checked {
  const checked = checkAddressRow(rules, row);
  if ('error' in checked) return checked;
  const identity = `${checked.network} ${checked.key}`;
  if (seen.has(identity)) return { error: 'the same address stands earlier in this list' };
  seen.add(identity);
  return checked;
}

async function addChunk(
  trx: Trx,
  by: { merchantId: string; actor: string; at: number },
  rows: readonly AddressRow[],
  checked: readonly Checked[],
): Promise<AddressResult[]> {
  await serializeInserts(trx, 'addresses');
  const wellFormed = checked.filter(isChecked);
  const holders = groupByKey(await findAddressHolders(trx, [...new Set(wellFormed.map((row) => row.key))]));
  const verdicts = checked.map((row): Checked => {
    if ('error' in row) return row;
    const fault = holderFault(row, by.merchantId, holders.get(row.key) ?? []);
    return fault === null ? row : { error: fault };
  });
  const accepted = verdicts.filter(isChecked);
  const ids = await addAddresses(trx, by.merchantId, accepted, by.at);
  if (ids.length > 0) {
    await recordAudit(trx, {
      at: by.at,
      actor: by.actor,
      action: 'addresses.added',
      subject: by.merchantId,
      detail: { addresses: accepted.map((row) => ({ network: row.network, address: row.address })) },
    });
  }
  let next = 0;
  return verdicts.map((row, index): AddressResult => {
    const address = shown(rows[index]?.address ?? '');
    if ('error' in row) return { address, status: 'refused', reason: row.error, id: null };
    return { address, status: 'added', reason: null, id: ids[next++] as number };
  });
}

/** A private key that somebody took for an address is not repeated. */
function shown(text: string): string {
  return privateKeyIn(text) === null ? text : '(withheld)';
}

/**
 * An address belongs to one merchant, on every network where the same key controls it: otherwise a customer
 * who pays on the wrong network would pay another merchant.
 */
function holderFault(
  row: CheckedAddress,
  merchantId: string,
  holders: readonly AddressHolder[],
): string | null {
  if (holders.some((holder) => holder.merchantId !== merchantId)) return 'another merchant has this address';
  const same = holders.find((holder) => holder.network === row.network);
  if (same === undefined) return null;
  const purpose = same.currency === null ? 'every currency' : same.currency;
  return `already in the pool, for ${purpose}${same.active ? '' : ' (out of service)'}`;
}

function groupByKey(holders: readonly AddressHolder[]): Map<AddressKey, AddressHolder[]> {
  return Map.groupBy(holders, (holder) => holder.key);
}
