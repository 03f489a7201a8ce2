import { fillArgument } from '../config/load.ts';
import { counted } from '../core/plural.ts';
import { CommandError, reasonOf } from '../errors.ts';
import { auditEndpoint } from '../notify/audit.ts';
import { createEndpoint, type EndpointFaults, rotateSecret } from '../notify/endpoints.ts';
import { sendTestEvent } from '../notify/replays.ts';
import { openSecrets, type Secrets } from '../notify/secrets.ts';
import { isoTime } from '../present/values.ts';
import { presentEndpoint } from '../present/webhooks.ts';
import { inTransaction } from '../storage/database.ts';
import type { Trx } from '../storage/schema.ts';
import { countKept } from '../storage/webhooks/counts.ts';
import {
  deleteEndpoint,
  disableEndpoint,
  enableEndpoint,
  findSealedSecret,
  finishEndpointRotation,
  getEndpoint,
  listEndpoints,
} from '../storage/webhooks/endpoints.ts';
import { print, printJson, printTable, say } from './output.ts';
import {
  actor,
  atWork,
  type CommandOptions,
  requireMerchant,
  requireMerchantInUse,
  type Workplace,
} from './workplace.ts';

const hourMs = 60 * 60 * 1000;

type MerchantOptions = CommandOptions & { merchant: string };

export async function webhookAdd(
  url: string,
  options: MerchantOptions & {
    events?: string[];
    description?: string;
    header?: readonly string[];
    allowSameUrl?: boolean;
  },
): Promise<void> {
  await atWork(options, async (workplace) => {
    const { db, config, clock } = workplace;
    const merchant = await requireMerchantInUse(db, options.merchant);
    const secrets = await secretsOf(workplace);
    const { events, description } = options;
    const headers = readHeaders(options.header ?? [], options.config);
    const { allowHosts, headerPrefix } = config.webhooks;
    const at = clock();
    const outcome = await inTransaction(db, async (trx) => {
      const created = await createEndpoint(
        trx,
        { secrets, allowHosts, headerPrefix },
        {
          merchantId: merchant.id,
          url,
          headers,
          at,
          allowSameUrl: options.allowSameUrl ?? false,
          ...(events === undefined ? {} : { events }),
          ...(description === undefined ? {} : { description }),
        },
      );
      if (created.kind === 'invalid') return created;
      const detail = { events: created.endpoint.events };
      await auditEndpoint(trx, 'added', created.endpoint, { at, actor }, detail);
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
  await atWork(options, async ({ db, clock }) => {
    const merchant = await requireMerchant(db, options.merchant);
    const endpoints = await listEndpoints(db, merchant.id);
    const shown = await Promise.all(endpoints.map((one) => presentEndpoint(db, one, clock())));
    if (options.json) return printJson({ data: shown });
    printTable(
      ['ID', 'STATE', 'URL', 'EVENTS', 'HEADERS'],
      shown.map((one) => [
        one.id,
        endpointState(one),
        one.url,
        one.events.join(', '),
        Object.keys(one.headers).join(', '),
      ]),
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
      if (done !== null) {
        const { previousSecretUntil } = done.endpoint;
        const detail = { previous_secret_until: previousSecretUntil };
        await auditEndpoint(trx, 'rotated', done.endpoint, { at, actor }, detail);
      }
      return done;
    });
    if (rotated === null) throw noEndpoint(id);
    const { endpoint, secret } = rotated;
    if (options.json)
      return printJson({ ...(await presentEndpoint(workplace.db, endpoint, workplace.clock())), secret });
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
  await atWork(options, async ({ config, db, clock }) => {
    const at = clock();
    const sent = await inTransaction(db, async (trx) => {
      const queued = await sendTestEvent(trx, { endpointId: id, livemode: !config.sandbox, at });
      const endpoint = await getEndpoint(trx, id);
      if (queued.kind === 'queued' && endpoint !== null) {
        const detail = { delivery: queued.delivery.id };
        await auditEndpoint(trx, 'tested', endpoint, { at, actor }, detail);
      }
      return queued;
    });
    if (sent.kind === 'not-found') throw noEndpoint(id);
    if (sent.kind === 'endpoint-disabled')
      throw new CommandError(`${id} is disabled; "depositd webhook enable ${id}" enables it`);
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
      await auditEndpoint(trx, 'enabled', enabled, { at, actor });
      return { endpoint: enabled, kept: await countKept(trx, id) };
    });
    if (options.json) return printJson(await presentEndpoint(db, endpoint, clock()));
    print(`enabled ${id}`);
    if (kept.since !== null) say(keptSentence(id, kept.count, isoTime(kept.since)));
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
      await auditEndpoint(trx, verb, before, { at, actor });
      return (await getEndpoint(trx, id)) ?? before;
    });
    if (options.json) return printJson(await presentEndpoint(db, endpoint, clock()));
    print(`${verb.replace('_', ' ')} ${id}`);
  });
}

async function secretsOf({ db, config }: Workplace): Promise<Secrets> {
  const { dataFolder, webhooks } = config;
  return openSecrets({ dataFolder, secretKey: webhooks.secretKey }, await findSealedSecret(db));
}

export function noEndpoint(id: string): CommandError {
  return new CommandError(
    `there is no webhook endpoint ${JSON.stringify(id)}; "depositd webhook list" shows a merchant's`,
  );
}

function keptSentence(id: string, count: number, since: string): string {
  const [wait, them] = count === 1 ? ['waits that was', 'it'] : ['wait that were', 'them'];
  return `${counted(count, 'event')} ${wait} kept while it was disabled. Send ${them}: depositd delivery replay --endpoint ${id} --since ${since}`;
}

/** `Name: value`; `${NAME}` in a value is taken from the environment, so that no list of processes shows it. */
function readHeaders(lines: readonly string[], path: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const at = line.indexOf(':');
    // Without the line itself: it may be a value alone.
    if (at < 1) throw new CommandError("headers: expected 'Name: value'");
    const name = line.slice(0, at).trim();
    if (Object.hasOwn(headers, name))
      throw new CommandError(`headers: ${JSON.stringify(name)} is given twice`);
    headers[name] = fillHeader(name, line.slice(at + 1).trim(), path);
  }
  return headers;
}

function fillHeader(name: string, value: string, path: string): string {
  try {
    return fillArgument(value, path);
  } catch (error) {
    throw new CommandError(`headers: ${name}: ${reasonOf(error)}`, { cause: error });
  }
}

function describe(faults: EndpointFaults): string {
  return Object.entries(faults)
    .flatMap(([field, messages]) => messages.map((message) => `${field}: ${message}`))
    .join('; ');
}

/** In words, of an endpoint as it is presented. */
export function endpointState(
  endpoint: Pick<Awaited<ReturnType<typeof presentEndpoint>>, 'active' | 'disabled_reason' | 'failing_since'>,
): string {
  const { active, disabled_reason, failing_since } = endpoint;
  if (!active) return `disabled (${disabled_reason ?? 'operator'})`;
  return failing_since === null ? 'active' : `failing since ${failing_since}`;
}
