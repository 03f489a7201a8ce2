import { sql } from 'kysely';
import type { Db } from '../schema.ts';

/** Merchants in use, at most `limit`, whose payments cannot get an address; `retired`: those that they had are retired. */
export async function listMerchantsWithoutAddresses(
  db: Db,
  limit: number,
): Promise<{ id: string; name: string; retired: boolean }[]> {
  const rows = await merchantsInUse(db)
    .select((eb) =>
      eb
        .exists(
          eb
            .selectFrom('addresses')
            .select('addresses.id')
            .whereRef('addresses.merchant_id', '=', 'merchants.id'),
        )
        .as('retired'),
    )
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('addresses')
            .select('addresses.id')
            .whereRef('addresses.merchant_id', '=', 'merchants.id')
            .where('addresses.active', '=', sql.lit(1)),
        ),
      ),
    )
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('derived_pools')
            .select('derived_pools.id')
            .whereRef('derived_pools.merchant_id', '=', 'merchants.id')
            .whereRef('derived_pools.next_index', '<', 'derived_pools.address_limit'),
        ),
      ),
    )
    .limit(limit)
    .execute();
  return rows.map((row) => ({ ...row, retired: Boolean(row.retired) }));
}

/** Merchants in use, at most `limit`, none of whose webhook endpoints is active; `off`: they have some. */
export async function listMerchantsWithoutEndpoints(
  db: Db,
  limit: number,
): Promise<{ id: string; name: string; off: boolean }[]> {
  const rows = await merchantsInUse(db)
    .select((eb) =>
      eb
        .exists(
          eb
            .selectFrom('webhook_endpoints')
            .select('webhook_endpoints.id')
            .whereRef('webhook_endpoints.merchant_id', '=', 'merchants.id')
            .where('webhook_endpoints.deleted_at', 'is', null),
        )
        .as('off'),
    )
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('webhook_endpoints')
            .select('webhook_endpoints.id')
            .whereRef('webhook_endpoints.merchant_id', '=', 'merchants.id')
            .where('webhook_endpoints.deleted_at', 'is', null)
            .where('webhook_endpoints.active', '=', 1),
        ),
      ),
    )
    .limit(limit)
    .execute();
  return rows.map((row) => ({ ...row, off: Boolean(row.off) }));
}

function merchantsInUse(db: Db) {
  return db.selectFrom('merchants').select(['id', 'name']).where('removed_at', 'is', null).orderBy('id');
}
