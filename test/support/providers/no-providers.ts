import { createProviderDesk, type ProviderDesk } from '../../../src/providers/desk.ts';
import type { Db } from '../../../src/storage/schema.ts';
import { silentLog } from '../log.ts';

/** The desk of a daemon without fiat providers. */
export function noProviders(db: Db): ProviderDesk {
  const deps = { db, clock: () => 0, log: silentLog, onEvents: () => {}, wake: () => {} };
  return createProviderDesk([], deps);
}
