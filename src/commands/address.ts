import { readFileSync } from 'node:fs';
import type { Network } from '../core/networks.ts';
import { quarantineStart } from '../core/pool.ts';
import { privateKeyIn, privateKeyRefusal } from '../core/private-keys.ts';
import { CommandError, reasonOf } from '../errors.ts';
import { readAddressFile } from '../pool/address-file.ts';
import type { AddressRow } from '../pool/check.ts';
import { type AddressImportSummary, checkAndAddAddresses } from '../pool/import.ts';
import { presentAddress } from '../present/pools.ts';
import { listAddresses, type PoolAddress } from '../storage/pool/addresses.ts';
import { readQuarantine } from '../storage/pool/holds.ts';
import { createCodeLook } from '../watchers/code-look.ts';
import { createUsageMeters } from '../watchers/usage-notes.ts';
import { print, printJson, printTable, say } from './output.ts';
import { showProgress } from './progress.ts';
import {
  actor,
  atWork,
  type CommandOptions,
  requireMerchant,
  requireMerchantInUse,
  type Workplace,
} from './workplace.ts';

type ImportOptions = CommandOptions & {
  merchant: string;
  network?: Network;
  currency?: string;
  allowContract?: boolean;
  /** `--no-checksum`: addresses without one are taken as well. */
  checksum?: boolean;
  dryRun?: boolean;
};
type AddOptions = ImportOptions & { network: Network; label?: string };

export async function addressAdd(addresses: readonly string[], options: AddOptions): Promise<void> {
  const { network, currency = '', label = '' } = options;
  refuseSeedPhrase(addresses);
  const rows = addresses.map((address) => ({ network, address, currency, label }));
  await atWork(options, async (workplace) => {
    const summary = await addRows(workplace, options, rows);
    report(
      summary,
      summary.results.map((_, index) => `argument ${index + 1}`),
      options,
    );
  });
}

export async function addressImport(file: string, options: ImportOptions): Promise<void> {
  const { network, currency = '' } = options;
  const bytes = readBytes(file);
  await atWork(options, async (workplace) => {
    const chains = Object.values(workplace.config.chains);
    const reading = readAddressFile(bytes, { network, currency, chains });
    if ('error' in reading) throw new CommandError(`${file}: ${reading.error}`);
    refuseSeedPhrase(reading.rows.map((row) => row.address));
    const summary = await addRows(workplace, options, reading.rows);
    const faults = reading.faults.map(({ line, reason }) => ({
      line,
      result: { address: '', status: 'refused' as const, reason, id: null },
    }));
    const rows = summary.results.map((result, index) => ({ line: reading.rows[index]?.line ?? 0, result }));
    const lines = [...rows, ...faults].toSorted((a, b) => a.line - b.line);
    report(
      {
        ...summary,
        refused: summary.refused + faults.length,
        results: lines.map(({ result }) => result),
      },
      lines.map(({ line }) => `line ${line}`),
      options,
    );
  });
}

export async function addressList(
  options: CommandOptions & { merchant: string; network?: Network },
): Promise<void> {
  await atWork(options, async ({ db, config, clock }) => {
    const merchant = await requireMerchant(db, options.merchant);
    const network = options.network ?? null;
    const addresses: PoolAddress[] = [];
    for (let afterId = 0; ; ) {
      const page = await listAddresses(db, { merchantId: merchant.id, network, afterId, limit: 1000 });
      addresses.push(...page);
      const last = page.at(-1);
      if (last === undefined) break;
      afterId = last.id;
    }
    const now = clock();
    const quarantine = await readQuarantine(db, quarantineStart(config.payments, now), now);
    const shown = addresses.map((address) => presentAddress(address, quarantine));
    if (options.json) return printJson({ data: shown });
    printTable(
      ['NETWORK', 'ADDRESS', 'FOR', 'STATE', 'POOL', 'LABEL'],
      shown.map((one) => [
        one.network,
        one.address,
        one.currency ?? 'all',
        one.state,
        one.derived_pool_id === null ? 'list' : `${one.derived_pool_id}, m/0/${one.derivation_index}`,
        one.label,
      ]),
    );
  });
}

async function addRows(
  workplace: Workplace,
  options: ImportOptions,
  rows: readonly AddressRow[],
): Promise<AddressImportSummary> {
  const merchant = await requireMerchantInUse(workplace.db, options.merchant);
  const meters = createUsageMeters(workplace.clock);
  const codeLook = createCodeLook({ ...workplace, meterOf: meters.meterOf });
  const progress = showProgress(options.dryRun === true ? 'checking addresses' : 'adding addresses');
  try {
    return await checkAndAddAddresses(
      { ...workplace, codeLook },
      {
        merchantId: merchant.id,
        rows,
        actor,
        allowContract: options.allowContract ?? false,
        requireChecksum: options.checksum ?? true,
        dryRun: options.dryRun ?? false,
        onProgress: progress.update,
      },
    );
  } finally {
    progress.end();
    await meters.noteLast(workplace.db);
  }
}

/** Fails only if nothing at all was added, or would be: what was refused is named, and the rest is in. */
function report(summary: AddressImportSummary, places: readonly string[], options: ImportOptions): void {
  const dryRun = options.dryRun ?? false;
  if (options.json) {
    const { valid, ...counts } = summary;
    printJson({
      ...(dryRun ? { dry_run: true, valid } : {}),
      ...counts,
      results: summary.results.map((result, index) => ({ place: places[index], ...result })),
    });
  } else {
    for (const [index, { address, status, reason }] of summary.results.entries()) {
      if (status === 'refused') say(`${places[index]}: ${address === '' ? '' : `${address}: `}${reason}`);
    }
    for (const warning of summary.warnings) say(`warning: ${warning}`);
    if (dryRun) print(`${summary.valid} would be added, ${summary.refused} refused; nothing was changed`);
    else print(`${summary.added} added, ${summary.refused} refused`);
  }
  if (dryRun ? summary.valid === 0 : summary.added === 0) {
    throw new CommandError(dryRun ? 'no address would be added' : 'no address was added');
  }
}

/** Its words may come one by one, each of them harmless. */
function refuseSeedPhrase(texts: readonly string[]): void {
  const secret = privateKeyIn(texts.join(' '));
  if (secret === 'a seed phrase') throw new CommandError(privateKeyRefusal(secret));
}

function readBytes(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new CommandError(`${file} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
}
