import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { mistakes } from '../scripts/mistakes.ts';
import { paymentMistakes } from '../scripts/payment-mistakes.ts';

/*
 * The rules of the architecture that a program can check.
 */

const root = join(import.meta.dirname, '..');

/** What every part of the program may use. */
const ground = ['core', 'clock', 'errors', 'files', 'log', 'config'];
const heart = ['payments', 'pool', 'storage', ...ground];

/** Each part of `src/` and the parts it may import: arrows go one way, and the loops never import one another. */
const mayImport: Record<string, string[]> = {
  core: [],
  clock: [],
  errors: [],
  files: [],
  target: [],
  resolve: ['errors'],
  outbound: ['errors', 'resolve', 'target'],
  config: ['core', 'errors', 'target'],
  log: ['config', 'errors', 'log-text'],
  'log-text': [],
  loop: ['clock', 'core', 'errors', 'log'],
  version: [],
  'young-generation': [],
  metrics: ['pool', 'storage', 'version', ...ground],
  storage: ground,
  present: ['storage', ...ground],
  pool: ['present', 'storage', ...ground],
  payments: ['pool', 'present', 'storage', ...ground],
  users: ['storage', ...ground],
  rates: ['outbound', ...ground],
  nodes: ['loop', 'storage', ...ground],
  watchers: ['loop', 'metrics', 'nodes', ...heart],
  alerts: ['outbound', 'present', ...heart],
  notify: ['loop', 'metrics', 'outbound', 'present', 'target', ...heart],
  providers: ['loop', 'metrics', 'nodes', 'outbound', 'present', ...heart],
  checkout: ['loop', 'present', ...heart],
  api: ['checkout', 'metrics', 'present', 'users', ...heart],
  signals: ['loop', 'storage', ...ground],
  heartbeat: ['storage', 'version', ...ground],
  'daemon-parts': ['alerts', 'metrics', 'notify', 'outbound', 'rates', 'version', ...heart],
  daemon: [
    'alerts',
    'daemon-parts',
    'heartbeat',
    'providers',
    'signals',
    'version',
    'api',
    'checkout',
    'nodes',
    'watchers',
    'notify',
    'rates',
    'outbound',
    'loop',
    'metrics',
    'users',
    ...heart,
  ],
  doctor: ['loop', 'outbound', 'providers', 'resolve', 'storage', 'target', 'version', ...ground],
  demo: ['core', 'config', 'errors', 'log'],
  commands: [
    'alerts',
    'version',
    'young-generation',
    'present',
    'daemon',
    'demo',
    'doctor',
    'nodes',
    'notify',
    'providers',
    'rates',
    'users',
    'watchers',
    ...heart,
  ],
  cli: ['commands', 'resolve', 'young-generation', ...ground],
};

/** Single imports against the arrows, each with its reason. */
const exceptions: Record<string, string> = {
  'config -> alerts/catalog.ts': 'the closed list of alerts: pure, and importing nothing',
  'storage -> alerts/catalog.ts': 'the same list',
  'present -> alerts/catalog.ts': 'the same list',
  'api -> alerts/catalog.ts': 'the same list',
  'metrics -> alerts/catalog.ts': 'the same list',
  'alerts -> notify/signature.ts': 'signed as webhooks to shops are: pure',
  'alerts -> rates/rates.ts': 'a type: who has prices, handed in by the daemon',
  'payments -> rates/rates.ts':
    'the contract of prices: a type, implemented in rates/ and handed in by the daemon',
  'loop -> storage/faults.ts': 'a list of error codes, which says that a failed step is no bug',
  'api -> rates/create.ts': 'a type: how prices and their sources do, handed in by the daemon',
  'api -> loop.ts': 'looks for changes while a page of the dashboard follows them',
  'api -> version.ts': 'which program answers',
  'api -> rates/rates.ts': 'the same type, for saying what can be paid with',
  'api -> notify/audit.ts': 'what operators did with endpoints, for the audit log',
  'api -> providers/desk.ts': 'a type: what can be done with fiat providers, handed in by the daemon',
  'api -> providers/refund.ts': 'the same: what is told where it does not answer',
  'config -> providers/adapters.ts': 'each adapter knows its own settings: pure, and importing core alone',
  'config -> providers/provider.ts': 'the type of an adapter',
  'demo -> watchers/tron/hashes.ts': 'the simulated chain has the ids that the reader computes',
  'demo -> watchers/tron/protobuf.ts': 'the same: how what is hashed is written',
  'api -> notify/endpoints.ts': 'what operators do with endpoints: changes in a transaction, no loop',
  'api -> notify/replays.ts': 'what operators have sent again: changes in a transaction, no loop',
  'api -> notify/secrets.ts': 'a type: what seals the secrets, handed in by the daemon',
};

/** Files of more than 350 lines, each with its reason. */
const longFiles: Record<string, string> = {
  'src/config/schema.ts': 'every setting of the file, in one schema',
  'src/providers/forhopp.ts': "one provider's page, to be read beside it",
  'src/providers/fourpoch.ts': "one provider's page, to be read beside it",
  'src/commands/program.ts': 'every command with its options, in one list',
  'src/storage/schema.ts': 'one list of all tables',
  'src/storage/payments/payments.ts': 'every query of one table group',
  'src/storage/deposits/deposits.ts': 'every query of one table group',
  'src/storage/webhooks/endpoints.ts': 'every query of one table group',
};

/** Files of less than 40 lines that a single other one imports, each with its reason. */
const smallFiles: Record<string, string> = {
  'src/checkout/languages/sandbox.ts': 'one text in every language',
  'src/commands/health.ts': 'a command of its own, loaded only when it is asked for',
  'src/cli.ts': 'where the program begins',
  'src/api/inbound/routes.ts': 'raw bytes instead of JSON: what providers send',
  'src/checkout/qr.ts': 'one library, and how its codes are drawn',
  'src/commands/demo.ts': 'one command, loaded when it is called',
  'src/demo/token-bytecode.ts': 'made by scripts/compile-contracts.ts',
  'src/demo/token.ts': 'the tests and benchmarks pay with it too',
  'src/rates/binance.ts': 'one price source, as the others',
  'src/api/http/health-server.ts': 'what a process without the API serves, beside the server that has it all',
  'src/api/http/discard.ts': 'a wait with a limit of its own, told apart from what errors say',
  'src/nodes/snapshot.ts': 'how nodes look, written down for other processes',
  'src/watchers/evm/location.ts': 'how two answers say together where a transaction is',
  'src/watchers/evm/calldata.ts': 'a scan of bytes that runs for each transaction',
  'src/watchers/evm/code-check.ts': 'what one node says of code, as for each family',
  'src/watchers/tron/slots.ts': 'a memory of its own, shown by itself',
  'src/watchers/examine.ts': 'opens one node of whatever family, for whoever only looks it over',
  'src/pool/measure.ts': 'a loop of its own, which every process with the API runs',
  'src/watchers/clock-skew.ts': 'an alarm with a memory of its own',
};

/** Numbers before a plural that are constants of more than one, or are only told when they are large. */
const neverOne = [
  'src/api/http/body.ts: deepest',
  'src/api/merchant/payment-request.ts: metadataKeys',
  'src/core/gaps.ts: longestGap',
  'src/core/labels.ts: longest',
  'src/core/user.ts: longestPassword',
  'src/core/user.ts: shortestPassword',
  'src/demo/stage.ts: addressesPerNetwork',
];

type Import = { file: string; target: string };

const importPattern = /(?:\bfrom\s+|\bimport\s*\(\s*|^import\s+)'([^']+)'/gm;

function sources(folder: string): string[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.ts')).map((name) => join(folder, name));
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(importPattern)].map((match) => match[1] as string);
}

/** Imports of our own files, as paths from the root. */
function ownImports(folder: string): Import[] {
  return sources(folder).flatMap((file) =>
    importsOf(file)
      .filter((name) => name.startsWith('.'))
      .map((name) => ({ file, target: join(dirname(file), name) })),
  );
}

/** `src/core/money.ts` and `src/clock.ts` are of the parts `core` and `clock`. */
function partOf(path: string): string {
  return (relative('src', path).split('/')[0] as string).replace(/\.ts$/, '');
}

function isAllowed({ file, target }: Import): boolean {
  if (!target.startsWith('src/')) return partOf(file) === 'storage' && target.startsWith('migrations/');
  const from = partOf(file);
  const to = partOf(target);
  if (from === to || mayImport[from]?.includes(to)) return true;
  return `${from} -> ${relative('src', target)}` in exceptions;
}

function filesOver350Lines(): string[] {
  return sources('src').filter((file) => readFileSync(join(root, file), 'utf8').split('\n').length > 351);
}

function smallFilesWithOneImporter(): string[] {
  const importers = Map.groupBy(ownImports('src'), ({ target }) => target);
  return sources('src').filter((file) => {
    const lines = readFileSync(join(root, file), 'utf8').split('\n').length - 1;
    return lines < 40 && new Set(importers.get(file)?.map((one) => one.file)).size <= 1;
  });
}

/** Files that import one another, however many lie between them, as one text each (Tarjan's algorithm). */
function circles(imports: readonly Import[]): string[] {
  const targets = Map.groupBy(imports, ({ file }) => file);
  const index = new Map<string, number>();
  const open: string[] = [];
  const found: string[] = [];

  function visit(file: string): number {
    index.set(file, index.size);
    let low = index.size - 1;
    open.push(file);
    for (const { target } of targets.get(file) ?? []) {
      if (!index.has(target)) low = Math.min(low, visit(target));
      else if (open.includes(target)) low = Math.min(low, index.get(target) as number);
    }
    if (low !== index.get(file)) return low;
    const circle = open.splice(open.indexOf(file));
    if (circle.length > 1) found.push(circle.toSorted().join(', '));
    return low;
  }

  for (const file of targets.keys()) if (!index.has(file)) visit(file);
  return found.toSorted();
}

describe('the source', () => {
  test('has no circle of imports, those of types included', () => {
    expect(circles(ownImports('src'))).toEqual([]);
  });

  test('imports along the arrows of the architecture and never against them', () => {
    const wrong = ownImports('src').filter((one) => !isAllowed(one));
    expect(wrong.map(({ file, target }) => `${file} imports ${target}`)).toEqual([]);
  });

  test('has no part that the arrows do not mention', () => {
    const parts = new Set(sources('src').map(partOf));
    expect([...parts].filter((part) => !(part in mayImport))).toEqual([]);
  });

  test('keeps the core pure: it imports nothing of ours but core, and nothing that does I/O', () => {
    const outside = ownImports('src').filter(
      ({ file, target }) => partOf(file) === 'core' && !target.startsWith('src/core/'),
    );
    expect(outside).toEqual([]);
    const modules = new Set(
      sources('src/core')
        .flatMap(importsOf)
        .filter((name) => !name.startsWith('.')),
    );
    expect([...modules].filter((name) => !pureModules.includes(name))).toEqual([]);
  });

  test('S45: connects to the outside through the guarded client, and to the configured nodes through theirs, alone', () => {
    // Of Node's own modules only what connects: not what serves, nor lists of status codes.
    const connects =
      /^import \{[^}]*\} from 'undici'|\bfetch\(|^import \{[^}]*\b(request|get|connect|createConnection|Agent|Socket)\b[^}]*\} from '(node:)?(http|https|http2|net|tls)'/m;
    const files = sources('src').filter((file) => connects.test(readFileSync(join(root, file), 'utf8')));
    const ofTheDemo = (file: string) => file.startsWith('src/demo/');
    expect(files.filter((file) => !ofTheDemo(file)).toSorted()).toEqual([
      // The daemon's own port, for the checks of containers.
      'src/commands/health.ts',
      // What the operator has configured, asked when the operator says so; of receivers each address is checked before.
      'src/doctor/connection.ts',
      'src/doctor/machine.ts',
      'src/doctor/public-url.ts',
      'src/nodes/http.ts',
      'src/outbound.ts',
      'src/watchers/evm/new-heads.ts',
    ]);
  });

  test('has migrations that import nothing of ours, so that they stay as they were released', () => {
    expect(ownImports('migrations')).toEqual([]);
  });

  test('has no file of more than 350 lines without a reason', () => {
    expect(filesOver350Lines().filter((file) => !(file in longFiles))).toEqual([]);
  });

  test('has no file of less than 40 lines that one other imports without a reason', () => {
    expect(smallFilesWithOneImporter().filter((file) => !(file in smallFiles))).toEqual([]);
  });

  test('counts nothing in words but through counted(), which knows of one', () => {
    const nouns =
      'address|attempt|block|character|confirmation|day|decimal|deliver|deposit|endpoint|entr|event|field|hour|key|level|line|merchant|minute|node|payment|row|second|transfer|webhook';
    const plural = new RegExp(`\\$\\{([^}]+)\\} (?:${nouns})(?:s|es|ies)\\b`, 'g');
    const found = sources('src').flatMap((file) =>
      [...readFileSync(join(root, file), 'utf8').matchAll(plural)].map(([, name = '']) => `${file}: ${name}`),
    );
    expect(found.toSorted()).toEqual(neverOne);
  });

  test('finds a circle wherever it is', () => {
    const imports = ['a b', 'b c', 'c d', 'd b', 'c e', 'e e2', 'e2 a2', 'x y', 'y x'].map((pair) => {
      const [file = '', target = ''] = pair.split(' ');
      return { file, target };
    });
    expect(circles(imports)).toEqual(['b, c, d', 'x, y']);
  });

  test('lists no reason for a rule that nothing breaks any more', () => {
    const broken = new Set(
      ownImports('src').map(({ file, target }) => `${partOf(file)} -> ${relative('src', target)}`),
    );
    expect(Object.keys(exceptions).filter((exception) => !broken.has(exception))).toEqual([]);
    expect(Object.keys(longFiles).filter((file) => !sources('src').includes(file))).toEqual([]);
    const small = smallFilesWithOneImporter();
    expect(Object.keys(smallFiles).filter((file) => !small.includes(file))).toEqual([]);
  });
});

describe('the tour of one transfer in CONTRIBUTING.md', () => {
  const page = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8');
  const tour = page.slice(page.indexOf('## One transfer'), page.indexOf('## Rules that'));
  const stops = [...tour.matchAll(/^\| `([a-z/-]+)` \| [^|]+ \|$/gm)].map(([, file = '']) => file);
  const answers = [...tour.matchAll(/^\| [^|`]+ \| `([a-z/-]+)` \| `([A-Za-z]+)` \|$/gm)];

  test('goes through nine files that are there', () => {
    expect(stops).toHaveLength(9);
    expect(stops.filter((file) => !sources('src').includes(`src/${file}.ts`))).toEqual([]);
  });

  test('answers ten questions, each by a function of one of these files', () => {
    expect(answers).toHaveLength(10);
    const lacking = answers.filter(([, file = '', name = '']) => {
      const declares = new RegExp(`^\\s*(export )?(async )?function ${name}[(<]`, 'm');
      return !stops.includes(file) || !declares.test(readFileSync(join(root, `src/${file}.ts`), 'utf8'));
    });
    expect(lacking.map(([line]) => line)).toEqual([]);
  });
});

describe('the invariants', () => {
  const ids = [
    'S1',
    'S2',
    'S3',
    'S4',
    'S5',
    'S6',
    'L1',
    'L2',
    'L3',
    'L4',
    'E1',
    'E2',
    'E3',
    'E4',
    'I1',
    'I2',
  ];
  /** `| S1 | … | `a`, `b` |` of the table. */
  const rows = [
    ...readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8').matchAll(/^\| ([A-Z]\d) \| .* \| (`.*`) \|$/gm),
  ].map(([, id = '', files = '']) => ({ id, files: files.split(', ').map((name) => name.slice(1, -1)) }));

  test('are listed with their tests, every one', () => {
    expect(rows.map(({ id }) => id)).toEqual(ids);
  });

  test('are each the beginning of a name in the tests that are listed', () => {
    const lacking = rows.flatMap(({ id, files }) =>
      files
        .filter((file) => !invariantsNamedIn(`test/${file}.test.ts`).has(id))
        .map((file) => `${id}: ${file}`),
    );
    expect(lacking).toEqual([]);
  });
});

/** Those that names begin with: `'S1: what …'`, `'S1, S4: at every …'`. */
function invariantsNamedIn(file: string): Set<string> {
  const names = readFileSync(join(root, file), 'utf8').matchAll(/['`]([A-Z]\d(?:, [A-Z]\d)*): /g);
  return new Set([...names].flatMap(([, list = '']) => list.split(', ')));
}

/** Packages that only compute. */
const pureModules = [
  '@noble/curves/secp256k1.js',
  '@noble/hashes/sha2.js',
  '@scure/base',
  '@scure/bip32',
  '@noble/hashes/sha3.js',
];

test('each mistake that scripts/mutate.ts plants is a change of a line that is in the sources, once', () => {
  const times = (file: string, text: string) => readFileSync(join(root, file), 'utf8').split(text).length - 1;
  const wrong = [...mistakes, ...paymentMistakes].filter(({ file, find }) => times(file, find) !== 1);
  expect(wrong.map(({ file, what }) => `${file}: ${what}`)).toEqual([]);
});

describe('package-lock.json', () => {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { resolved?: string; gypfile?: boolean; hasInstallScript?: boolean }>;
  };

  test('names no registry: everybody installs from their own (npm run lock)', () => {
    expect(Object.keys(lock.packages).filter((name) => lock.packages[name]?.resolved !== undefined)).toEqual(
      [],
    );
  });

  test('keeps npm from compiling better-sqlite3, which brings its binaries (npm run lock)', () => {
    expect(lock.packages['node_modules/better-sqlite3']?.gypfile).toBe(false);
  });

  test('keeps npm from running anvil’s install script, which needs a Unix shell (npm run lock)', () => {
    expect(lock.packages['node_modules/@foundry-rs/anvil']).toBeDefined();
    expect(lock.packages['node_modules/@foundry-rs/anvil']?.hasInstallScript).toBeUndefined();
  });
});
