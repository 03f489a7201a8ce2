import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { Address, AddressKey } from '../core/address.ts';
import { counted } from '../core/plural.ts';
import { privateKeyIn } from '../core/private-keys.ts';
import { inTransaction, serializeInserts } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import { type AddressHolder, addAddresses, findAddressHolders } from '../storage/pool/addresses.ts';
import type { Db, Trx } from '../storage/schema.ts';
import {
  type AddressRow,
  type AddressRules,
  addressRules,
  type CheckedAddress,
  checkAddressRow,
} from './check.ts';
import { type CodeLook, createExaminer } from './contracts.ts';

export type AddressResult =
  | { address: string; status: 'added'; reason: null; id: number }
  /** Of a dry run: it would be added. */
  | { address: string; status: 'valid'; reason: null; id: null }
  | { address: string; status: 'refused'; reason: string; id: null };

export type AddressImport = {
  merchantId: string;
  rows: readonly AddressRow[];
  /** For the audit log: `admin` or `cli`. */
  actor: string;
  /** Whether addresses with code are added as well. Default: refused. */
  allowContract?: boolean;
  /** Whether addresses without a checksum are refused. Default: they are added, with a warning. */
  requireChecksum?: boolean;
  /** Checks everything and adds nothing. */
  dryRun?: boolean;
  onProgress?: (done: number, total: number) => void;
};

export type AddressImportSummary = {
  added: number;
  /** Of a dry run: how many would be added. */
  valid: number;
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
  const unchecked: Address[] = [];
  for (let start = 0; start < request.rows.length; start += chunkSize) {
    const rows = request.rows.slice(start, start + chunkSize);
    const wellFormed = rows.map((row) => checkOnce(rules, seen, row));
    // What is refused anyway need not be looked at.
    const taken = (row: CheckedAddress) => row.hasChecksum || request.requireChecksum !== true;
    await examiner.examine(wellFormed.filter(isChecked).filter(taken));
    const checked = wellFormed.map((row): Checked => {
      const fault = isChecked(row) ? examiner.faultOf(row) : null;
      return fault === null ? row : { error: fault };
    });
    const at = deps.clock();
    const chunk = await inTransaction(deps.db, (trx) => addChunk(trx, request, at, rows, checked));
    results.push(...chunk.map(({ result }) => result));
    unchecked.push(...chunk.flatMap(({ row }) => (row === null || row.hasChecksum ? [] : [row.address])));
    request.onProgress?.(results.length, request.rows.length);
    // Lets a daemon that imports serve its other requests meanwhile.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const count = (status: AddressResult['status']) =>
    results.filter((result) => result.status === status).length;
  return {
    added: count('added'),
    valid: count('valid'),
    refused: count('refused'),
    results,
    warnings: [...examiner.warnings(), ...checksumWarnings(unchecked)],
  };
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

/** What became of a row, and the row itself unless it was refused. */
type Verdict = { result: AddressResult; row: CheckedAddress | null };

async function addChunk(
  trx: Trx,
  request: AddressImport,
  at: number,
  rows: readonly AddressRow[],
  checked: readonly Checked[],
): Promise<Verdict[]> {
  const { merchantId, actor, requireChecksum = false, dryRun = false } = request;
  await serializeInserts(trx, 'addresses');
  const wellFormed = checked.filter(isChecked);
  const holders = groupByKey(await findAddressHolders(trx, [...new Set(wellFormed.map((row) => row.key))]));
  const verdicts = checked.map((row): Checked => {
    if ('error' in row) return row;
    const fault =
      holderFault(row, merchantId, holders.get(row.key) ?? []) ??
      (requireChecksum && !row.hasChecksum ? checksumFault(row) : null);
    return fault === null ? row : { error: fault };
  });
  const accepted = verdicts.filter(isChecked);
  const ids = dryRun ? [] : await addAddresses(trx, merchantId, accepted, at);
  if (ids.length > 0) {
    const detail = { addresses: accepted.map((row) => ({ network: row.network, address: row.address })) };
    await recordAudit(trx, { at, actor, action: 'addresses.added', subject: merchantId, detail });
  }
  let next = 0;
  return verdicts.map((row, index): Verdict => {
    const address = shown(rows[index]?.address ?? '');
    if ('error' in row)
      return { result: { address, status: 'refused', reason: row.error, id: null }, row: null };
    if (dryRun) return { result: { address, status: 'valid', reason: null, id: null }, row };
    return { result: { address, status: 'added', reason: null, id: ids[next++] as number }, row };
  });
}

function checksumFault({ address }: CheckedAddress): string {
  return `has no checksum, so that a wrong digit cannot be noticed: compare ${address} with your wallet and give it in this form, or say --no-checksum`;
}

/** What whoever imports should compare; the first of many are enough to find them. */
function checksumWarnings(addresses: readonly Address[]): string[] {
  if (addresses.length === 0) return [];
  const named = addresses.slice(0, 10).join(', ');
  const more = addresses.length > 10 ? ` and ${addresses.length - 10} more` : '';
  const subject = `${counted(addresses.length, 'address')} ${addresses.length === 1 ? 'has' : 'have'}`;
  return [
    `${subject} no checksum, so that a wrong digit cannot be noticed: compare with your wallet: ${named}${more}`,
  ];
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
  return `already in the pool, for ${purpose}${same.active ? '' : ' (retired)'}`;
}

function groupByKey(holders: readonly AddressHolder[]): Map<AddressKey, AddressHolder[]> {
  return Map.groupBy(holders, (holder) => holder.key);
}
