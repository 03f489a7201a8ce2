import { readFileSync } from 'node:fs';
import type { Network } from '../core/networks.ts';
import { CommandError } from '../errors.ts';
import { isoTime } from '../payments/present.ts';
import { readAddressCsv } from '../pool/csv.ts';
import { type AddressImportSummary, type AddressRow, checkAndAddAddresses } from '../pool/import.ts';
import { listAddresses, type PoolAddress } from '../storage/addresses.ts';
import { print, printJson, printTable, say } from './output.ts';
import { showProgress } from './progress.ts';
import { reasonOf } from './reason.ts';
import { actor, atWork, type CommandOptions, requireMerchant, type Workplace } from './workplace.ts';

type AddOptions = CommandOptions & { merchant: string; network: Network; currency?: string; label?: string };

export async function addressAdd(addresses: readonly string[], options: AddOptions): Promise<void> {
  const { network, currency = '', label = '' } = options;
  const rows = addresses.map((address) => ({ network, address, currency, label }));
  await atWork(options, async (workplace) => {
    const summary = await addRows(workplace, options.merchant, rows);
    report(
      summary,
      summary.results.map((_, index) => `argument ${index + 1}`),
      options,
    );
  });
}

export async function addressImport(
  file: string,
  options: CommandOptions & { merchant: string },
): Promise<void> {
  const reading = readAddressCsv(readText(file));
  if ('error' in reading) throw new CommandError(`${file}: ${reading.error}`);
  await atWork(options, async (workplace) => {
    const summary = await addRows(workplace, options.merchant, reading.rows);
    const faults = reading.faults.map(({ reason }) => ({
      address: '',
      status: 'refused' as const,
      reason,
      id: null,
    }));
    report(
      {
        added: summary.added,
        refused: summary.refused + faults.length,
        results: [...summary.results, ...faults],
      },
      [...reading.rows, ...reading.faults].map(({ line }) => `line ${line}`),
      options,
    );
  });
}

export async function addressList(
  options: CommandOptions & { merchant: string; network?: Network },
): Promise<void> {
  await atWork(options, async ({ db }) => {
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
    if (options.json) return printJson({ data: addresses.map(present) });
    printTable(
      ['NETWORK', 'ADDRESS', 'FOR', 'STATE', 'LABEL'],
      addresses.map((one) => [one.network, one.address, one.currency ?? 'all', stateOf(one), one.label]),
    );
  });
}

async function addRows(
  workplace: Workplace,
  merchantId: string,
  rows: readonly AddressRow[],
): Promise<AddressImportSummary> {
  const merchant = await requireMerchant(workplace.db, merchantId);
  const progress = showProgress('adding addresses');
  try {
    return await checkAndAddAddresses(workplace, {
      merchantId: merchant.id,
      rows,
      actor,
      onProgress: progress.update,
    });
  } finally {
    progress.end();
  }
}

/** Fails only if nothing at all was added: what was refused is named, and the rest is in. */
function report(summary: AddressImportSummary, places: readonly string[], options: CommandOptions): void {
  if (options.json) {
    printJson({
      ...summary,
      results: summary.results.map((result, index) => ({ place: places[index], ...result })),
    });
  } else {
    for (const [index, { address, status, reason }] of summary.results.entries()) {
      if (status === 'refused') say(`${places[index]}: ${address === '' ? '' : `${address}: `}${reason}`);
    }
    print(`${summary.added} added, ${summary.refused} refused`);
  }
  if (summary.added === 0) throw new CommandError('no address was added');
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandError(`${file} cannot be read: ${reasonOf(error)}`, { cause: error });
  }
}

function stateOf({ active, lockedBy }: PoolAddress): string {
  if (!active) return 'out of service';
  return lockedBy === null ? 'free' : 'held';
}

function present(address: PoolAddress) {
  return {
    id: address.id,
    network: address.network,
    address: address.address,
    currency: address.currency,
    label: address.label,
    source: address.source,
    active: address.active,
    held: address.lockedBy !== null,
    created_at: isoTime(address.createdAt),
  };
}
