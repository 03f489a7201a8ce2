import type { EventType } from '../../core/events.ts';
import { serializeInserts } from '../database.ts';
import type { Db, Trx } from '../schema.ts';

/** Why an endpoint is disabled: an operator's word, a 410 answer, or five days without one success. */
export const disabledReasons = ['operator', 'gone', 'failing'] as const;
export type DisabledReason = (typeof disabledReasons)[number];

/** Which secret made a signature: while a rotation is open there are two. */
export type Signer = 'current' | 'previous';

export type Endpoint = {
  id: string;
  merchantId: string;
  url: string;
  events: readonly EventType[];
  description: string;
  /** Of the headers that the operator gave it. */
  headerNames: readonly string[];
  active: boolean;
  disabledReason: DisabledReason | null;
  /** First failure since the last success, Unix ms. */
  failingSince: number | null;
  /** When the secret was last changed. */
  rotatedAt: number | null;
  /** Until when the old secret signs, too; null: it does not. */
  previousSecretUntil: number | null;
  createdAt: number;
};

/** What sending needs to know; the secrets are sealed (notify/secrets.ts). */
export type SigningEndpoint = {
  id: string;
  url: string;
  /** Sealed; null: none. */
  headers: string | null;
  /** False for deleted endpoints, too. */
  active: boolean;
  failingSince: number | null;
  secret: string;
  previousSecret: string | null;
  previousSecretUntil: number | null;
  rotatedAt: number | null;
  /** Whose signature the receiver was seen to need last; null: nothing was learned. */
  lastSigner: Signer | null;
};

const endpointColumns = [
  'id',
  'merchant_id',
  'url',
  'events',
  'description',
  'header_names',
  'active',
  'disabled_reason',
  'failing_since',
  'rotated_at',
  'previous_secret_until',
  'created_at',
] as const;

type EndpointRow = {
  id: string;
  merchant_id: string;
  url: string;
  events: string;
  description: string;
  header_names: string;
  active: number;
  disabled_reason: string | null;
  failing_since: number | null;
  rotated_at: number | null;
  previous_secret_until: number | null;
  created_at: number;
};

export type SealedHeaders = { names: readonly string[]; sealed: string | null };

export async function addEndpoint(
  trx: Trx,
  endpoint: {
    id: string;
    merchantId: string;
    url: string;
    events: readonly EventType[];
    description: string;
    sealedSecret: string;
    headers: SealedHeaders;
    at: number;
  },
): Promise<Endpoint> {
  const row = await trx
    .insertInto('webhook_endpoints')
    .values({
      id: endpoint.id,
      merchant_id: endpoint.merchantId,
      url: endpoint.url,
      events: JSON.stringify(endpoint.events),
      description: endpoint.description,
      secret: endpoint.sealedSecret,
      headers: endpoint.headers.sealed,
      header_names: JSON.stringify(endpoint.headers.names),
      active: 1,
      created_at: endpoint.at,
    })
    .returning(endpointColumns)
    .executeTakeFirstOrThrow();
  return toEndpoint(row);
}

/** Null when there is none, or it was deleted. */
export async function getEndpoint(db: Db, id: string): Promise<Endpoint | null> {
  const row = await db
    .selectFrom('webhook_endpoints')
    .select(endpointColumns)
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  return row === undefined ? null : toEndpoint(row);
}

/** Oldest first. */
export async function listEndpoints(db: Db, merchantId: string): Promise<Endpoint[]> {
  const rows = await db
    .selectFrom('webhook_endpoints')
    .select(endpointColumns)
    .where('merchant_id', '=', merchantId)
    .where('deleted_at', 'is', null)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  return rows.map(toEndpoint);
}

/** Where webhooks go now, of all merchants. */
export async function listActiveUrls(db: Db): Promise<string[]> {
  const rows = await db
    .selectFrom('webhook_endpoints')
    .select('url')
    .distinct()
    .where('active', '=', 1)
    .where('deleted_at', 'is', null)
    .orderBy('url')
    .execute();
  return rows.map(({ url }) => url);
}

/** Changes what is given. Null when there is no such endpoint. */
export async function updateEndpoint(
  trx: Trx,
  id: string,
  change: {
    url?: string;
    events?: readonly EventType[];
    description?: string;
    headers?: SealedHeaders;
  },
): Promise<Endpoint | null> {
  const values = {
    ...(change.url === undefined ? {} : { url: change.url }),
    ...(change.events === undefined ? {} : { events: JSON.stringify(change.events) }),
    ...(change.description === undefined ? {} : { description: change.description }),
    ...(change.headers === undefined
      ? {}
      : { headers: change.headers.sealed, header_names: JSON.stringify(change.headers.names) }),
  };
  if (Object.keys(values).length > 0) {
    await trx
      .updateTable('webhook_endpoints')
      .set(values)
      .where('id', '=', id)
      .where('deleted_at', 'is', null)
      .execute();
  }
  return getEndpoint(trx, id);
}

/**
 * Takes up sending again, with a clean record. Null when there is no such endpoint. Events that are being written
 * at this moment are waited for: each is either kept, and then counted by whoever asks now, or sent.
 */
export async function enableEndpoint(trx: Trx, id: string): Promise<Endpoint | null> {
  await serializeInserts(trx, 'events');
  await trx
    .updateTable('webhook_endpoints')
    .set({ active: 1, disabled_reason: null, failing_since: null })
    .where('id', '=', id)
    .where('active', '=', 0)
    .where('deleted_at', 'is', null)
    .execute();
  return getEndpoint(trx, id);
}

/** Nothing more is sent to it: what waits is cancelled by the notifier, what happens is kept. False when it was off already. */
export async function disableEndpoint(trx: Trx, id: string, reason: DisabledReason): Promise<boolean> {
  const result = await trx
    .updateTable('webhook_endpoints')
    .set({ active: 0, disabled_reason: reason })
    .where('id', '=', id)
    .where('active', '=', 1)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  return Number(result.numUpdatedRows) === 1;
}

/** The row stays for its deliveries' sake, without its secrets. False when there is no such endpoint. */
export async function deleteEndpoint(trx: Trx, id: string, at: number): Promise<boolean> {
  const result = await trx
    .updateTable('webhook_endpoints')
    .set({
      deleted_at: at,
      active: 0,
      secret: '',
      previous_secret: null,
      previous_secret_until: null,
      headers: null,
      header_names: '[]',
    })
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  return Number(result.numUpdatedRows) === 1;
}

/** Gives it a new secret; the present one goes on signing until `previousUntil`, null: ends at once. */
export async function rotateEndpointSecret(
  trx: Trx,
  id: string,
  rotation: { sealedSecret: string; previousUntil: number | null; at: number },
): Promise<Endpoint | null> {
  const { sealedSecret, previousUntil, at } = rotation;
  const row = await trx
    .updateTable('webhook_endpoints')
    .set((eb) => ({
      previous_secret: previousUntil === null ? null : eb.ref('secret'),
      previous_secret_until: previousUntil,
      secret: sealedSecret,
      rotated_at: at,
      last_signer: null,
    }))
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .returning(endpointColumns)
    .executeTakeFirst();
  return row === undefined ? null : toEndpoint(row);
}

/** Forgets the old secret now. Null when there is no such endpoint. */
export async function finishEndpointRotation(trx: Trx, id: string): Promise<Endpoint | null> {
  await trx
    .updateTable('webhook_endpoints')
    .set({ previous_secret: null, previous_secret_until: null, last_signer: null })
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .execute();
  return getEndpoint(trx, id);
}

/** Forgets every old secret whose time is over. */
export async function forgetEndedRotations(trx: Trx, now: number): Promise<void> {
  await trx
    .updateTable('webhook_endpoints')
    .set({ previous_secret: null, previous_secret_until: null, last_signer: null })
    .where('previous_secret_until', '<=', now)
    .execute();
}

/** Any sealed secret, to try the key on; null when there is none. */
export async function findSealedSecret(db: Db): Promise<string | null> {
  const row = await db
    .selectFrom('webhook_endpoints')
    .select('secret')
    .where('deleted_at', 'is', null)
    .limit(1)
    .executeTakeFirst();
  if (row !== undefined) return row.secret;
  // The paths that providers' webhooks come in at are sealed with the same key.
  const provider = await db.selectFrom('providers').select('inbound_path').limit(1).executeTakeFirst();
  return provider?.inbound_path ?? null;
}

/** Those in trouble, off or failing, and those of `ids`; by id. */
export async function listTroubledEndpoints(db: Db, ids: readonly string[]): Promise<Endpoint[]> {
  const rows = await db
    .selectFrom('webhook_endpoints')
    .select(endpointColumns)
    .where('deleted_at', 'is', null)
    .where((eb) =>
      eb.or([
        eb('active', '=', 0),
        eb('failing_since', 'is not', null),
        ...(ids.length === 0 ? [] : [eb('id', 'in', ids)]),
      ]),
    )
    .orderBy('id')
    .execute();
  return rows.map(toEndpoint);
}

/** How many endpoints are in trouble: on and failing, and off, by reason. */
export async function countTroubledEndpoints(
  db: Db,
): Promise<{ failing: number; disabled: Record<DisabledReason, number> }> {
  const rows = await db
    .selectFrom('webhook_endpoints')
    .select((eb) => ['active', 'disabled_reason', eb.fn.countAll().as('count')])
    .where('deleted_at', 'is', null)
    .where((eb) => eb.or([eb('active', '=', 0), eb('failing_since', 'is not', null)]))
    .groupBy(['active', 'disabled_reason'])
    .execute();
  const counts = { failing: 0, disabled: { operator: 0, gone: 0, failing: 0 } };
  for (const row of rows) {
    if (row.active === 1) counts.failing += Number(row.count);
    else counts.disabled[(row.disabled_reason ?? 'operator') as DisabledReason] += Number(row.count);
  }
  return counts;
}

export async function getSigningEndpoints(db: Db, ids: readonly string[]): Promise<SigningEndpoint[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom('webhook_endpoints')
    .select([
      'id',
      'url',
      'headers',
      'active',
      'failing_since',
      'secret',
      'previous_secret',
      'previous_secret_until',
      'rotated_at',
      'last_signer',
      'deleted_at',
    ])
    .where('id', 'in', ids)
    .execute();
  return rows.map((row) => ({
    id: row.id,
    url: row.url,
    headers: row.headers,
    active: row.active === 1 && row.deleted_at === null,
    failingSince: row.failing_since,
    secret: row.secret,
    previousSecret: row.previous_secret,
    previousSecretUntil: row.previous_secret_until,
    rotatedAt: row.rotated_at,
    lastSigner: row.last_signer as Signer | null,
  }));
}

/** Remembers whose signature a receiver needs last, unless the secret was changed again since. */
export async function recordLastSigner(
  trx: Trx,
  id: string,
  { signer, rotatedAt }: { signer: Signer; rotatedAt: number | null },
): Promise<void> {
  await trx
    .updateTable('webhook_endpoints')
    .set({ last_signer: signer })
    .where('id', '=', id)
    .where('rotated_at', '=', rotatedAt)
    .where('previous_secret', 'is not', null)
    .execute();
}

/** Keeps `failingSince` true after attempts: one success ends it, the first failure begins it. */
export async function recordEndpointHealth(
  trx: Trx,
  health: { succeeded: readonly string[]; failed: readonly string[]; at: number },
): Promise<void> {
  if (health.succeeded.length > 0) {
    await trx
      .updateTable('webhook_endpoints')
      .set({ failing_since: null })
      .where('id', 'in', health.succeeded)
      .where('failing_since', 'is not', null)
      .execute();
  }
  if (health.failed.length > 0) {
    await trx
      .updateTable('webhook_endpoints')
      .set({ failing_since: health.at })
      .where('id', 'in', health.failed)
      .where('failing_since', 'is', null)
      .execute();
  }
}

/** Turns off those of `ids` that have been failing since before `before`; answers which. */
export async function disableFailingEndpoints(
  trx: Trx,
  ids: readonly string[],
  before: number,
): Promise<Endpoint[]> {
  if (ids.length === 0) return [];
  const rows = await trx
    .updateTable('webhook_endpoints')
    .set({ active: 0, disabled_reason: 'failing' satisfies DisabledReason })
    .where('id', 'in', ids)
    .where('active', '=', 1)
    .where('failing_since', '<=', before)
    .returning(endpointColumns)
    .execute();
  return rows.map(toEndpoint);
}

function toEndpoint(row: EndpointRow): Endpoint {
  return {
    id: row.id,
    merchantId: row.merchant_id,
    url: row.url,
    events: JSON.parse(row.events) as EventType[],
    description: row.description,
    headerNames: JSON.parse(row.header_names) as string[],
    active: row.active === 1,
    disabledReason: row.disabled_reason as DisabledReason | null,
    failingSince: row.failing_since,
    rotatedAt: row.rotated_at,
    previousSecretUntil: row.previous_secret_until,
    createdAt: row.created_at,
  };
}
