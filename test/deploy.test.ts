import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { parseConfig } from '../src/config/load.ts';
import { testFolder } from './support/databases.ts';
import { findProgram } from './support/programs.ts';
import { startScenario } from './support/scenario.ts';
import { waitFor } from './support/wait.ts';

/* What is in deploy/ speaks of metrics that a daemon really shows, after a payment of its life. */

const folder = join(import.meta.dirname, '../deploy');
const read = (name: string) => readFileSync(join(folder, name), 'utf8');

type Panel = { title: string; targets?: { expr: string; legendFormat: string }[] };

/** Samples by metric: the labels of each. Of a metric that has none at present only its name. */
type Shown = Map<string, Set<string>[]>;

let shown: Shown;
let text = '';

beforeAll(async () => {
  const shop = await startScenario({ requestsPerDay: 1_000_000 });
  try {
    const payment = await shop.create('bsc', 'usdt');
    await shop.payAndMine(payment, 15);
    await shop.until(payment, 'confirmed', ({ status }) => status === 'confirmed');
    await shop.receiver.waitForEvent('payment.confirmed', payment.payment_number);
    // Pools are counted every now and then, and the clock is judged by a chain that was watched for a minute without a pause.
    for (const seconds of [50, 50, 20]) {
      await shop.home.advanceClock(seconds);
      await shop.untilPolled('bsc');
    }
    text = await waitFor('the delivery to be measured', async () => {
      const answer = await fetch(`${shop.home.current().url}/metrics`);
      const found = await answer.text();
      return /^depositd_event_delivered_seconds_count [1-9]/m.test(found) && found;
    });
    shown = metricsOf(text);
  } finally {
    await shop.stop();
  }
}, 60_000);

function metricsOf(text: string): Shown {
  const metrics: Shown = new Map();
  for (const line of text.split('\n')) {
    const [, declared] = /^# TYPE (\w+)/.exec(line) ?? [];
    if (declared !== undefined) metrics.set(declared, []);
    const [, name, labels = ''] = /^(\w+)(?:\{(.*)\})? /.exec(line) ?? [];
    if (name === undefined) continue;
    const names = [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label as string);
    metrics.set(name, [...(metrics.get(name) ?? []), new Set(names)]);
  }
  return metrics;
}

/** Has a sample once something went wrong, a pool runs dry, or a provider is there. */
const onlySometimes = /^depositd_(loop_failures_total|pool_exhausted_in_seconds|provider_\w+)$/;

const metricsIn = (expression: string) => expression.match(/\b(?:depositd|process)_\w+/g) ?? [];

/** Labels that an expression selects or sums by, and those that a text shows. */
function labelsIn(expression: string, text: string): string[] {
  const selected = [...expression.matchAll(/\{(\w+)[=!]/g)].map(([, label]) => label as string);
  const summed = [...expression.matchAll(/by \(([\w, ]+)\)/g)].flatMap(([, list]) =>
    (list as string).split(', '),
  );
  const told = [...text.matchAll(/\{\{ ?(?:\$labels\.)?(\w+) ?\}\}/g)].map(([, label]) => label as string);
  return [...selected, ...summed, ...told];
}

/** What is missing for it to mean something, by name. */
function missing(expression: string, text: string): string[] {
  return expression.split(' / ').flatMap((operand) => missingIn(operand, text));
}

function missingIn(expression: string, text: string): string[] {
  const metrics = metricsIn(expression);
  const unknown = metrics.filter((name) => !shown.has(name));
  const samples = metrics.flatMap((name) => shown.get(name) ?? []);
  const labels = labelsIn(expression, text).filter((label) => !samples.every((sample) => sample.has(label)));
  return [...unknown, ...labels];
}

test('each rule asks for metrics and labels that are there', () => {
  const rules = read('alerts.rules.yml').split('- alert: ').slice(1);
  expect(rules.length).toBeGreaterThan(10);
  for (const rule of rules) {
    const [name] = rule.split('\n');
    const expression = /expr: (.*)/.exec(rule)?.[1] ?? '';
    const summary = /summary: (.*)/.exec(rule)?.[1] ?? '';
    expect(metricsIn(expression).length + Number(expression.startsWith('up{')), name).toBeGreaterThan(0);
    if (!expression.startsWith('up{')) expect(missing(expression, summary), name).toEqual([]);
    expect(summary, name).not.toBe('');
  }
});

test('each panel shows something after a payment, with the labels that its legend names', () => {
  const { panels } = JSON.parse(read('grafana.json')) as { panels: Panel[] };
  const targets = panels.flatMap(({ title, targets = [] }) =>
    targets.map((target) => ({ title, ...target })),
  );
  expect(targets.length).toBeGreaterThan(20);
  for (const { title, expr, legendFormat } of targets) {
    expect(missing(expr, legendFormat), title).toEqual([]);
    for (const metric of metricsIn(expr).filter((name) => !onlySometimes.test(name)))
      expect(shown.get(metric)?.length, `${title}: ${metric}`).toBeGreaterThan(0);
  }
});

test('a payment is in each latency on its way: from its block to the reading, to its confirmation, to the shop', () => {
  for (const name of ['depositd_detection_seconds', 'depositd_confirmation_seconds'])
    expect(text).toMatch(new RegExp(`^${name}_count\\{network="bsc"\\} 1$`, 'm'));
  const [, delivered] = /^depositd_event_delivered_seconds_count (\d+)$/m.exec(text) ?? [];
  expect(Number(delivered)).toBeGreaterThan(0);
});

/** Facts that stand still, and what other panels show in another way. */
const needNoPanel = [
  'depositd_build_info',
  'depositd_chain_cursor_timestamp_seconds',
  'depositd_provider_success_timestamp_seconds',
  'depositd_rate_source_answered_timestamp_seconds',
  'depositd_rate_usd',
  'depositd_rpc_head_height',
];

test('every metric of ours has a panel', () => {
  const panels = read('grafana.json');
  const ours = [...shown.keys()].filter((name) => name.startsWith('depositd_'));
  const families = new Set(ours.map((name) => name.replace(/_(bucket|sum|count)$/, '')));
  const without = [...families].filter((name) => !panels.includes(name)).toSorted();
  expect(without).toEqual(needNoPanel);
});

test('every metric of ours that an operator is told to watch has its rule', () => {
  const rules = read('alerts.rules.yml');
  const told = readFileSync(join(folder, '../docs/operations.md'), 'utf8').matchAll(/^\| `(depositd_\w+)/gm);
  const withoutRule = [...told].map(([, name]) => name as string).filter((name) => !rules.includes(name));
  expect(withoutRule).toEqual([]);
});

const promtool = findProgram('promtool');

// `apt-get install prometheus`; no package of npm brings it.
test.skipIf(promtool === null)('Prometheus takes the rules and the configuration as they are', async () => {
  const home = testFolder();
  const rules = join(home, 'alerts.rules.yml');
  writeFileSync(rules, read('alerts.rules.yml'));
  const config = read('prometheus.yml').replace('/etc/prometheus/alerts.rules.yml', rules);
  writeFileSync(join(home, 'prometheus.yml'), config);
  const checked = promisify(execFile)(String(promtool), ['check', 'config', join(home, 'prometheus.yml')]);
  expect((await checked).stdout).toMatch(/SUCCESS: \d\d rules found/);
});

test('what compose.yaml starts is not root, offers its ports to this machine alone, each of which can be another, and has all that it names', () => {
  const compose = read('compose.yaml');
  const docs = readFileSync(join(folder, '../docs/operations.md'), 'utf8');
  const mounted = [...compose.matchAll(/- \.\/([\w.-]+):/g)].map(([, name]) => name as string);
  expect(mounted.filter((name) => !existsSync(join(folder, name)))).toEqual(['config.json']);
  const ports = [...compose.matchAll(/ports: \["(.*)"\]/g)].map(([, port]) => port as string);
  expect(ports).toHaveLength(2);
  for (const port of ports) {
    // Where something else listens there already.
    const [, name] = /^127\.0\.0\.1:\$\{(\w+):-(\d+)\}:\2$/.exec(port) ?? [];
    expect(name, port).toBeDefined();
    expect(docs).toContain(`\`${name}\``);
  }
  const needed = [...compose.matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name as string);
  expect(new Set(needed)).toEqual(
    new Set(['DEPOSITD_ADMIN_TOKEN', 'DEPOSITD_SECRET_KEY', 'POSTGRES_PASSWORD']),
  );
  for (const name of needed) expect(docs).toContain(`\`${name}\``);
  expect(compose).toMatch(/read_only: true[\s\S]*no-new-privileges:true[\s\S]*cap_drop: \[ALL\]/);
  const image = readFileSync(join(folder, '../Dockerfile'), 'utf8');
  expect(image.match(/^FROM /gm)).toHaveLength(2);
  expect(image).toMatch(/^USER node$/m);
});

test('the configuration that the documentation gives for it is right with the variables that compose.yaml sets', () => {
  const docs = readFileSync(join(folder, '../docs/operations.md'), 'utf8');
  const part = /^\[`deploy\/compose\.yaml`\][\s\S]*?\n\n/m.exec(docs)?.[0] ?? '';
  // "checkout" is given in the lines before.
  const sections = [...part.matchAll(/`("\w+": .+?)`/g)].map(([, section]) => section as string);
  const named = sections.map((section) => /"(\w+)"/.exec(section)?.[1]);
  expect(named).toEqual(['database', 'listen', 'adminToken', 'webhooks']);
  const rest = '"publicUrl": "https://pay.example.com", "chains": {"bsc": {"rpc": ["https://a.example"]}}';
  const set = [...read('compose.yaml').matchAll(/^ {6}(DEPOSITD_\w+): (.*)$/gm)];
  const environment = Object.fromEntries(
    set.map(([, name, value]) => [
      name as string,
      (value as string).replaceAll(/\$\{(\w+):\?[^}]*\}/g, (_, of: string) =>
        of === 'DEPOSITD_SECRET_KEY' ? randomBytes(32).toString('hex') : `the-${of}-of-a-test`,
      ),
    ]),
  );
  const config = parseConfig(`{${[...sections, rest].join(', ')}}`, testFolder(), environment);
  expect(config.database).toBe('postgres://depositd:the-POSTGRES_PASSWORD-of-a-test@postgres/depositd');
  expect(config.listen).toEqual({ host: '0.0.0.0', port: 8080 });
});
