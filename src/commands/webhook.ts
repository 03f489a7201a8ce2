import { CommandError } from '../errors.ts';
import { createEndpoint, type EndpointFaults, rotateSecret, sendTestEvent } from '../notify/endpoints.ts';
import { openSecrets, type Secrets } from '../notify/secrets.ts';
import { isoTime } from '../payments/present.ts';
import { inTransaction } from '../storage/database.ts';
import { recordAudit } from '../storage/operators/audit.ts';
import type { Trx } from '../storage/schema.ts';
import {
  deleteEndpoint,
  disableEndpoint,
  type Endpoint,
  enableEndpoint,
  findSealedSecret,
  finishEndpointRotation,
  getEndpoint,
  listEndpoints,
} from '../storage/webhooks/endpoints.ts';
import { countKept } from '../storage/webhooks/replays.ts';
import { print, printJson, printTable, say } from './output.ts';
import { actor, atWork, type CommandOptions, requireMerchant, type Workplace } from './workplace.ts';

const hourMs = 60 * 60 * 1000;

type MerchantOptions = CommandOptions & { merchant: string };

export async function webhookAdd(
  url: string,
  options: MerchantOptions & { events?: string[]; description?: string },
): Promise<void> {
  await atWork(options, async (workplace) => {
    const { db, config, clock } = workplace;
    const merchant = await requireMerchant(db, options.merchant);
    const secrets = await secretsOf(workplace);
    const { events, description } = options;
    const at = clock();
    const outcome = await inTransaction(db, async (trx) => {
      const created = await createEndpoint(
        trx,
        { secrets, allowHosts: config.webhooks.allowHosts },
        {
          merchantId: merchant.id,
          url,
          at,
          ...(events === undefined ? {} : { events }),
          ...(description === undefined ? {} : { description }),
        },
      );
      if (created.kind === 'created') await audit(trx, 'added', created.endpoint, at);
      return created;
    });
    if (outcome.kind === 'invalid') throw new CommandError(describe(outcome.faults));
    const { endpoint, secret } = outcome;
    if (options.json)
      return printJson({ id: endpoint.id, url: endpoint.url, events: endpoint.events, secret });
    print(`endpoint  ${endpoint.id}`);
    print(`events    ${endpoint.events.join(', ')}`);
    print(`secret    ${secret}`);
    say('Keep the secret for checking signatures: it is not shown again.');
  });
}

export async function webhookList(options: MerchantOptions): Promise<void> {
  await atWork(options, async ({ db }) => {
    const merchant = await requireMerchant(db, options.merchant);
    const endpoints = await listEndpoints(db, merchant.id);
    if (options.json) return printJson({ data: endpoints.map(present) });
    printTable(
      ['ID', 'STATE', 'URL', 'EVENTS'],
      endpoints.map((one) => [one.id, stateOf(one), one.url, one.events.join(', ')]),
    );
  });
}

export async function webhookRotate(
  id: string,
  options: CommandOptions & { overlapHours?: number },
): Promise<void> {
  const { overlapHours } = options;
  await atWork(options, async (workplace) => {
    const secrets = await secretsOf(workplace);
    const at = workplace.clock();
    const rotated = await inTransaction(workplace.db, async (trx) => {
      const overlap = overlapHours === undefined ? {} : { overlapMs: overlapHours * hourMs };
      const done = await rotateSecret(trx, secrets, { endpointId: id, at, ...overlap });
      if (done !== null) await audit(trx, 'rotated', done.endpoint, at);
      return done;
    });
    if (rotated === null) throw noEndpoint(id);
    const { endpoint, secret } = rotated;
    if (options.json) return printJson({ ...present(endpoint), secret });
    print(`secret  ${secret}`);
    const { previousSecretUntil } = endpoint;
    const until =
      previousSecretUntil === null
        ? 'does not sign any more'
        : `signs until ${isoTime(previousSecretUntil)}, too`;
    say(`Keep it: it is not shown again. The old one ${until}.`);
  });
}

export async function webhookFinishRotation(id: string, options: CommandOptions): Promise<void> {
  await change(id, 'rotation_finished', options, async (trx) => {
    await finishEndpointRotation(trx, id);
  });
}

export async function webhookTest(id: string, options: CommandOptions): Promise<void> {
  await atWork(options, async ({ db, clock }) => {
    const at = clock();
    const sent = await inTransaction(db, async (trx) => {
      const queued = await sendTestEvent(trx, { endpointId: id, at });
      const endpoint = await getEndpoint(trx, id);
      if (queued.kind === 'queued' && endpoint !== null) await audit(trx, 'tested', endpoint, at);
      return queued;
    });
    if (sent.kind === 'not-found') throw noEndpoint(id);
    if (sent.kind === 'endpoint-off')
      throw new CommandError(`${id} is off; "depositd webhook enable ${id}" turns it on`);
    if (options.json) return printJson({ delivery_id: sent.delivery.id });
    print(`queued as delivery ${sent.delivery.id}: a running daemon sends it within a second or two`);
  });
}

export async function webhookEnable(id: string, options: CommandOptions): Promise<void> {
  await atWork(options, async ({ db, clock }) => {
    const at = clock();
    const { endpoint, kept } = await inTransaction(db, async (trx) => {
      const enabled = await enableEndpoint(trx, id);
      if (enabled === null) throw noEndpoint(id);
      await audit(trx, 'enabled', enabled, at);
      return { endpoint: enabled, kept: await countKept(trx, id) };
    });
    const keptSince = kept.since === null ? null : isoTime(kept.since);
    if (options.json) return printJson({ ...present(endpoint), kept: kept.count, kept_since: keptSince });
    print(`enabled ${id}`);
    if (keptSince !== null) say(keptSentence(kept.count, keptSince));
  });
}

export async function webhookDisable(id: string, options: CommandOptions): Promise<void> {
  await change(id, 'disabled', options, async (trx) => {
    await disableEndpoint(trx, id, 'operator');
  });
}

export async function webhookRemove(id: string, options: CommandOptions): Promise<void> {
  await change(id, 'removed', options, async (trx, at) => {
    await deleteEndpoint(trx, id, at);
  });
}

async function change(
  id: string,
  verb: 'disabled' | 'removed' | 'rotation_finished',
  options: CommandOptions,
  work: (trx: Trx, at: number) => Promise<void>,
): Promise<void> {
  await atWork(options, async ({ db, clock }) => {
    const at = clock();
    const endpoint = await inTransaction(db, async (trx) => {
      const before = await getEndpoint(trx, id);
      if (before === null) throw noEndpoint(id);
      await work(trx, at);
      await audit(trx, verb, before, at);
      return (await getEndpoint(trx, id)) ?? before;
    });
    if (options.json) return printJson(present(endpoint));
    print(`${verb.replace('_', ' ')} ${id}`);
  });
}

async function secretsOf({ db, config }: Workplace): Promise<Secrets> {
  const { dataFolder, webhooks } = config;
  return openSecrets({ dataFolder, secretKey: webhooks.secretKey }, await findSealedSecret(db));
}

/** Without the secret, and of the URL only the host: the rest can be one. */
async function audit(trx: Trx, verb: string, endpoint: Endpoint, at: number): Promise<void> {
  const detail = { endpoint: endpoint.id, host: new URL(endpoint.url).host };
  await recordAudit(trx, { at, actor, action: `webhook.${verb}`, subject: endpoint.merchantId, detail });
}

function noEndpoint(id: string): CommandError {
  return new CommandError(
    `there is no webhook endpoint ${JSON.stringify(id)}; "depositd webhook list" shows a merchant's`,
  );
}

function keptSentence(count: number, since: string): string {
  const [events, they] =
    count === 1 ? ['1 event waits that was', 'it'] : [`${count} events wait that were`, 'them'];
  return `${events} kept while it was off. Replay the range since ${since} to send ${they}: docs/webhooks.md#replay`;
}

function describe(faults: EndpointFaults): string {
  return Object.entries(faults)
    .flatMap(([field, messages]) => messages.map((message) => `${field}: ${message}`))
    .join('; ');
}

function stateOf({ active, disabledReason, failingSince }: Endpoint): string {
  if (!active) return `off (${disabledReason ?? 'operator'})`;
  return failingSince === null ? 'on' : 'failing';
}

function present(endpoint: Endpoint) {
  return {
    id: endpoint.id,
    url: endpoint.url,
    events: endpoint.events,
    description: endpoint.description,
    active: endpoint.active,
    previous_secret_until:
      endpoint.previousSecretUntil === null ? null : isoTime(endpoint.previousSecretUntil),
    disabled_reason: endpoint.disabledReason,
    failing_since: endpoint.failingSince === null ? null : isoTime(endpoint.failingSince),
    created_at: isoTime(endpoint.createdAt),
  };
}
