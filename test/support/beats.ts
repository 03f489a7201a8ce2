import { everyRole } from '../../src/core/roles.ts';
import type { Beat } from '../../src/storage/operators/daemons.ts';

/** What a daemon that does everything tells of itself. */
export function beatOf(id: string, prices: Beat['prices'] = []): Beat {
  return { id, version: '1', prices, host: 'here', pid: 1, roles: everyRole, configuration: {} };
}
