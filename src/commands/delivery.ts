import type { EventType } from '../core/events.ts';
import { counted } from '../core/plural.ts';
import { CommandError } from '../errors.ts';
import { operatorReplays, operatorReplaysOne, type Replayed, type Sent } from '../notify/replays.ts';
import { presentAttempt, presentDelivery } from '../present/webhooks.ts';
import { inTransaction } from '../storage/database.ts';
import {
  type Delivery,
  type DeliveryState,
  getDelivery,
  listAttempts,
  listDeliveries,
} from '../storage/webhooks/deliveries.ts';
import { print, printJson, printTable, say, shortTime } from './output.ts';
import { noEndpoint } from './webhook.ts';
import { actor, atWork, type CommandOptions, type Workplace } from './workplace.ts';

const dayMs = 24 * 60 * 60 * 1000;

export type DeliveryListOptions = CommandOptions & {
  merchant?: string;
  endpoint?: string;
  status?: DeliveryState;
  event?: EventType;
  since?: number;
  until?: number;
  before?: number;
  limit: number;
};

export async function deliveryList(options: DeliveryListOptions): Promise<void> {
  const { merchant, endpoint, status, event, since, until, before, limit } = options;
  await atWork(options, async ({ db }) => {
    const found = await listDeliveries(db, {
      ...(merchant === undefined ? {} : { merchantId: merchant }),
      ...(endpoint === undefined ? {} : { endpointId: endpoint }),
      ...(status === undefined ? {} : { state: status }),
      ...(event === undefined ? {} : { eventType: event }),
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
      ...(before === undefined ? {} : { beforeId: before }),
      limit: limit + 1,
    });
    const page = found.slice(0, limit);
    if (options.json) return printJson({ data: page.map(presentDelivery) });
    printTable(
      ['ID', 'CREATED', 'EVENT', 'PAYMENT', 'ENDPOINT', 'STATUS', 'ATTEMPTS', 'LAST ANSWER'],
      page.map((one) => [
        String(one.id),
        shortTime(one.createdAt),
        one.eventType,
        one.paymentNumber ?? '–',
        one.endpointId,
        one.state,
        String(one.attempts),
        lastAnswer(one),
      ]),
    );
    if (found.length > limit) say(`There are more: --before ${page.at(-1)?.id}`);
  });
}

export async function deliveryShow(id: number, options: CommandOptions): Promise<void> {
  await atWork(options, async ({ db }) => {
    const delivery = await getDelivery(db, id);
    if (delivery === null) throw noDelivery(id);
    const attempts = await listAttempts(db, id);
    const shown = presentDelivery(delivery);
    if (options.json) return printJson({ ...shown, attempt_log: attempts.map(presentAttempt) });
    for (const [name, value] of Object.entries(shown)) {
      print(`${name.padEnd(16)}${value === null ? '–' : String(value)}`);
    }
    if (attempts.length === 0) return;
    print('');
    printTable(
      ['ATTEMPT', 'STARTED', 'TOOK', 'ANSWER', 'DETAIL'],
      attempts.map((one) => [
        String(one.attempt),
        new Date(one.startedAt).toISOString(),
        `${one.durationMs} ms`,
        String(one.status ?? one.error ?? '–'),
        one.detail,
      ]),
    );
  });
}

export type ReplayOptions = CommandOptions & {
  endpoint?: string;
  since?: number;
  until?: number;
  status?: 'failed' | 'cancelled' | 'delivered' | 'missed';
};

/** One delivery by its id, or what one endpoint did not get in a span of time. */
export async function deliveryReplay(id: number | undefined, options: ReplayOptions): Promise<void> {
  const { endpoint, since, ...rest } = options;
  await atWork(options, async (workplace) => {
    if (id !== undefined && endpoint === undefined && since === undefined)
      return replayOne(id, options, workplace);
    if (id === undefined && endpoint !== undefined && since !== undefined)
      return replaySpan({ ...rest, endpoint, since }, workplace);
    throw new CommandError('name a delivery, or an endpoint and a time: --endpoint ID --since TIME');
  });
}

async function replayOne(id: number, { json }: CommandOptions, { db, clock }: Workplace): Promise<void> {
  const sent = await inTransaction(db, (trx) => operatorReplaysOne(trx, id, { at: clock(), actor }));
  if (sent.kind !== 'queued') throw notQueued(sent, () => noDelivery(id));
  if (json) return printJson(presentDelivery(sent.delivery));
  print(`queued as delivery ${sent.delivery.id}: a running daemon sends it within a second or two`);
}

async function replaySpan(
  options: Omit<ReplayOptions, 'endpoint' | 'since'> & { endpoint: string; since: number },
  { db, clock, config }: Workplace,
): Promise<void> {
  const { endpoint: endpointId, since, until, status } = options;
  const wish = { endpointId, since, until, status, retentionMs: config.webhooks.retentionDays * dayMs };
  const replayed = await inTransaction(db, (trx) => operatorReplays(trx, wish, { at: clock(), actor }));
  if (replayed.kind !== 'queued') throw notQueued(replayed, () => noEndpoint(endpointId));
  const { count, more } = replayed;
  if (options.json) return printJson({ count, more });
  print(`queued ${counted(count, 'delivery')}, oldest first, 50 a second`);
  if (more) say('There are more: run the same command again.');
}

function notQueued({ kind }: Exclude<Sent | Replayed, { kind: 'queued' }>, notFound: () => CommandError) {
  if (kind === 'not-found') return notFound();
  return new CommandError('the endpoint is disabled or removed; "depositd webhook enable" enables it');
}

function noDelivery(id: number): CommandError {
  return new CommandError(`there is no delivery ${id}; "depositd delivery list" shows the latest`);
}

function lastAnswer({ lastStatus, lastError }: Delivery): string {
  if (lastError === null) return lastStatus === null ? '–' : String(lastStatus);
  return lastError === 'http' && lastStatus !== null ? String(lastStatus) : lastError;
}
