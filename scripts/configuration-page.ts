import type { JsonSchema } from './json-schema.ts';

type Row = {
  path: string;
  type: string;
  required: boolean;
  /** The default of each variant (`bsc`, `ethereum`) that this row stands for; empty when there is none. */
  defaults: Map<string, unknown>;
  description: string;
};

/** Below these keys stand names that all take the same entry. */
const placeholders: Record<string, string> = { chains: '<network>', tokens: '<token>', fixed: '<coin>' };

const introduction = `<!-- Made by "npm run generate" from src/config/schema.ts: change it there. -->

# Configuration

One JSON file, \`./config.json\` unless \`-c\` names another. Begin with a copy of \`config.example.json\`; a key
that is left out takes its default.

- \`depositd check-config\` tells whether a file is right. Unknown keys, wrong types and bad values keep the
  daemon from starting (exit code 78), and all of them are listed at once.
- Any text may hold \`\${NAME}\`: it is replaced by that environment variable, which must be set. Keep
  \`adminToken\` and the keys of your nodes out of the file this way.
- With \`"$schema": "./config.schema.json"\` an editor completes and checks while you type.
- What is secret (the token, headers, addresses of nodes and of the database) is never printed or logged.
`;

const sections: readonly { title: string; begins: string; text?: string }[] = [
  { title: 'General', begins: '' },
  { title: 'Where it listens', begins: 'listen.' },
  { title: 'Payments', begins: 'payments.' },
  { title: 'Prices', begins: 'rates.' },
  {
    title: 'Chains',
    begins: 'chains.',
    text: 'A chain without an entry is off. `<network>` is `bsc`, `ethereum`, `polygon`, `base`, `arbitrum`, `optimism`, `avalanche`, `linea` or `gnosis`; `<token>` is `usdt`, `usdc` (and `busd` on the first two). Any other EVM chain and any other token can be described: see [chains](chains.md#any-evm-chain-any-token).',
  },
  { title: 'Webhooks', begins: 'webhooks.' },
  { title: 'API', begins: 'api.' },
  { title: 'Log', begins: 'log.' },
];

/** The reference page, in Markdown. */
export function configurationPage(schema: JsonSchema): string {
  const rows = mergeVariants(rowsOf(schema, [], null));
  const isGeneral = (row: Row) =>
    !sections.some(({ begins }) => begins !== '' && row.path.startsWith(begins));
  const parts = sections.map(({ title, begins, text }) => {
    const own = rows.filter((row) => (begins === '' ? isGeneral(row) : row.path.startsWith(begins)));
    return [`## ${title}`, '', ...(text === undefined ? [] : [text, '']), table(own)].join('\n');
  });
  return `${[introduction, ...parts, providersSection(schema)].join('\n')}`;
}

/** The entries of `providers`: what all have in common, then what each type has beside. */
function providersSection(schema: JsonSchema): string {
  const entry = schema.properties?.providers?.additionalProperties;
  const types = typeof entry === 'object' ? (entry.oneOf ?? []) : [];
  const [first, ...others] = types.map((type) => rowsOf(type, ['providers', '<name>'], null));
  const isCommon = ({ path, description }: Row) =>
    others.every((rows) => rows.some((row) => row.path === path && row.description === description));
  const common = (first ?? []).filter(isCommon);
  const typeNames = types.map(({ properties }) => properties?.type?.const);
  const shared = common.map((row) =>
    row.path.endsWith('.type') ? { ...row, type: typeText({ enum: typeNames }) } : row,
  );
  const parts = types.map((type, i) => [
    `With \`"type": "${typeNames[i]}"\` also:`,
    '',
    table(rowsOf(type, ['providers', '<name>'], null).filter((row) => !isCommon(row))),
  ]);
  return [
    '## Fiat providers',
    '',
    '`<name>` is a name of yours; it is the `network` of the payments. How to get each key: [providers](providers.md).',
    '',
    table(shared),
    ...parts.flat(),
  ].join('\n');
}

function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const cells = [`\`${row.path}\``, row.type, defaultText(row), row.description];
    return `| ${cells.map((cell) => escapeCell(cell)).join(' | ')} |`;
  });
  return ['| key | type | default | meaning |', '|---|---|---|---|', ...lines, ''].join('\n');
}

function defaultText(row: Row): string {
  if (row.required) return '**required**';
  const values = [...row.defaults].map(([variant, value]) => [variant, JSON.stringify(value)] as const);
  const different = new Set(values.map(([, value]) => value));
  if (different.size === 0) return '–';
  if (different.size === 1) return `\`${[...different][0]}\``;
  return values.map(([variant, value]) => `${variant} \`${value}\``).join(', ');
}

function rowsOf(schema: JsonSchema, path: readonly string[], variant: string | null): Row[] {
  const parent = path.at(-1);
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]): Row[] => {
    const placeholder = parent === undefined ? undefined : placeholders[parent];
    const here = [...path, placeholder ?? key];
    const chain = placeholder === '<network>' ? key : variant;
    const own: Row = {
      path: here.join('.'),
      type: typeText(value),
      required: schema.required?.includes(key) ?? false,
      defaults: new Map(value.default === undefined ? [] : [[chain ?? '', value.default]]),
      description: value.description ?? '',
    };
    const inner = withKeys(value);
    if (inner === null) return [own];
    const rows = rowsOf(inner, value.items === undefined ? here : [...path, `${key}[]`], chain);
    return value.type === 'object' && rows.length > 0 ? rows : [own, ...rows];
  });
}

/** The object with named keys that a value is, or may be, or is a list of. */
function withKeys(schema: JsonSchema): JsonSchema | null {
  const candidates = [schema, ...(schema.anyOf ?? []), schema.items ?? {}, ...(schema.items?.anyOf ?? [])];
  return candidates.find((candidate) => candidate.properties !== undefined) ?? null;
}

function typeText(schema: JsonSchema): string {
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeText).join(' or ');
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`"${value}"\``).join(' or ');
  if (schema.const !== undefined) return `\`"${schema.const}"\``;
  switch (schema.type) {
    case 'array':
      return `list of ${typeText(schema.items ?? {})}`;
    case 'integer':
      return `whole number ${rangeText(schema)}`;
    case 'number':
      return `number ${rangeText(schema)}`;
    case 'string':
      return 'text';
    case 'boolean':
      return 'true or false';
    default:
      return 'object';
  }
}

function rangeText({ minimum, maximum }: JsonSchema): string {
  return maximum === undefined || maximum === Number.MAX_SAFE_INTEGER
    ? `from ${minimum}`
    : `${minimum} to ${maximum}`;
}

function mergeVariants(rows: readonly Row[]): Row[] {
  const merged = new Map<string, Row>();
  for (const row of rows) {
    const first = merged.get(row.path);
    if (first === undefined) merged.set(row.path, row);
    else for (const [variant, value] of row.defaults) first.defaults.set(variant, value);
  }
  return [...merged.values()];
}

/** Outside of code, an angle bracket would begin a tag. */
function escapeCell(cell: string): string {
  const escaped = cell.startsWith('`') ? cell : cell.replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return escaped.replaceAll('|', '\\|');
}
