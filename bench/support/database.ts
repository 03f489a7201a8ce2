import Sqlite from 'better-sqlite3';
import { writeAddress } from '../../src/core/address.ts';
import { inTransaction, openDatabase } from '../../src/storage/database.ts';
import { addMerchant } from '../../src/storage/operators/merchants.ts';
import { watchedKey } from './transfer-chain.ts';

/** Makes a database with one merchant, whose receive addresses are the first so many of {@link watchedKey}. */
export async function fillDatabase(
  path: string,
  addresses: number,
  network: 'bsc' | 'tron' = 'bsc',
): Promise<{ merchantId: string }> {
  const db = await openDatabase(`sqlite:${path}`);
  const { id } = await inTransaction(db, (trx) => addMerchant(trx, { name: 'Bench', at: Date.now() }));
  await db.destroy();
  fillPool(path, { merchantId: id, addresses, network });
  return { merchantId: id };
}

/** Gives a merchant of a database that nobody has open the first so many of {@link watchedKey}. */
export function fillPool(
  path: string,
  { merchantId, addresses, network }: { merchantId: string; addresses: number; network: 'bsc' | 'tron' },
): void {
  const file = new Sqlite(path);
  const insert = file.prepare(
    `insert into addresses (merchant_id, network, address, address_key, currency, source, created_at)
     values (?, ?, ?, ?, '', 'static', 0)`,
  );
  file.transaction(() => {
    for (let n = 0; n < addresses; n++) {
      const key = watchedKey(n);
      insert.run(merchantId, network, network === 'bsc' ? `0x${key}` : writeAddress('tron', key), key);
    }
  })();
  // One file, to be copied.
  file.pragma('wal_checkpoint(truncate)');
  file.close();
}
