import { STATUS_CODES } from 'node:http';
import type { ApiDocument, ApiSchema, Operation } from './api-documents.ts';

const introduction = `<!-- Made by "npm run generate" from the routes in src/api/: change it there. -->

# API reference

Every call of both APIs, as their OpenAPI documents have it: \`GET /api/v1/schema/\` without a key, \`GET /admin/v1/schema/\` with the admin
token. How they are used is told in [integrate](integrate.md), [webhooks](webhooks.md) and [operations](operations.md).

Answers may get more fields in time; what is sent may have only those that are listed. Times are ISO 8601 in UTC, amounts decimals in quotes.
A path works without its last slash. Lists take \`cursor\`, the \`next_cursor\` of the page before, which is null on the last one.

A fault is answered in one of three shapes: \`{"errors": {"<field>": ["…"]}}\` (400), \`{"error": "…", "code": "…"}\` where a program may want to tell
faults apart, else \`{"detail": "…"}\`. NUL (U+0000) is refused everywhere but within \`metadata\`.
`;

/** The reference page, in Markdown. */
export function apiPage({ merchant, operator }: { merchant: ApiDocument; operator: ApiDocument }): string {
  const codes = merchant.components.schemas?.ServiceError?.properties?.code?.enum ?? [];
  // What both have looks the same in both.
  const components = { ...operator.components.schemas, ...merchant.components.schemas };
  return [
    introduction,
    `The codes are ${codes.map((code) => `\`${String(code)}\``).join(', ')}; more may come.`,
    '',
    ...part("## The merchant's API", merchant),
    ...part("## The operator's API", operator),
    '## What they are made of',
    '',
    ...Object.entries(components)
      .toSorted(([a], [b]) => a.localeCompare(b, 'en'))
      .flatMap(([name, schema]) => component(name, schema)),
  ].join('\n');
}

function part(title: string, { info, tags, paths, components }: ApiDocument): string[] {
  const [scheme] = Object.values(components.securitySchemes);
  const header = scheme?.name ?? 'Authorization: Bearer';
  const lines = [
    title,
    '',
    `${info.description} Each request has the header \`${header}\`: ${scheme?.description}`,
    '',
  ];
  for (const { name } of tags) {
    for (const [path, operations] of Object.entries(paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        if (operation.tags[0] === name) lines.push(...call(method, path, operation));
      }
    }
  }
  return lines;
}

function component(name: string, schema: ApiSchema): string[] {
  if (faults.has(name)) return [];
  const lines = [`### ${name}`, ''];
  if (schema.description !== undefined) lines.push(schema.description, '');
  return [...lines, ...table(['field', 'type', 'meaning'], cellsOf(schema))];
}

/** The three shapes of the introduction. */
const faults = new Set(['FieldErrors', 'ServiceError', 'Detail']);

function call(method: string, path: string, operation: Operation): string[] {
  const lines = [`### ${method.toUpperCase()} ${path}`, '', sentence(operation.summary)];
  if (operation.description !== undefined) lines.push('', operation.description);
  lines.push('');
  const given = (operation.parameters ?? []).map(({ name, in: place, required, description, schema }) => [
    `\`${name}\``,
    place,
    `${typeOf(schema)}${required === true ? ', **required**' : defaultOf(schema)}`,
    description ?? schema.description ?? '',
  ]);
  if (given.length > 0) lines.push(...table(['parameter', 'in', 'type', 'meaning'], given));
  const body = jsonOf(operation.requestBody);
  if (body !== undefined) {
    lines.push(...table(['field of the body', 'type', 'meaning'], cellsOf(body)));
  }
  const statuses = Object.keys(operation.responses);
  for (const status of statuses.filter((one) => one.startsWith('2'))) {
    const schema = jsonOf(operation.responses[status]);
    const rows = schema === undefined ? [] : cellsOf(schema);
    const what = `${status} ${STATUS_CODES[status]}`;
    if (rows.length > 0) lines.push(...table([`answer ${what}`, 'type', 'meaning'], rows));
    else lines.push(`Answer ${what}${schema === undefined ? '' : `: ${typeOf(schema)}`}.`, '');
  }
  const refusals = statuses.filter((one) => !one.startsWith('2'));
  if (refusals.length > 0) lines.push(`Refused with ${refusals.join(', ')}.`, '');
  return lines;
}

function jsonOf(
  holder: { content?: Record<string, { schema: ApiSchema }> } | undefined,
): ApiSchema | undefined {
  return holder?.content?.['application/json']?.schema;
}

/** A row for each field of an object, those of objects within it under their path. */
function cellsOf(schema: ApiSchema, path = ''): string[][] {
  return Object.entries(fieldsOf(schema)).flatMap(([name, field]) => {
    const here = `${path}${name}`;
    const item = field.type === 'array' ? (field.items ?? {}) : field;
    const inner = cellsOf(item, `${here}${field.type === 'array' ? '[]' : ''}.`);
    const needed = schema.required?.includes(name) === true ? '' : defaultOf(field);
    return [[`\`${here}\``, `${typeOf(field)}${needed}`, field.description ?? ''], ...inner];
  });
}

/** Its own, not those of a component, which has a table for itself. */
function fieldsOf(schema: ApiSchema): Record<string, ApiSchema> {
  const nested = schema.anyOf?.find(({ properties }) => properties !== undefined);
  return schema.properties ?? nested?.properties ?? {};
}

function typeOf(schema: ApiSchema): string {
  const text = bareTypeOf(schema);
  return schema.nullable === true && !text.endsWith('null') ? `${text} or null` : text;
}

function bareTypeOf(schema: ApiSchema): string {
  if (schema.$ref !== undefined) {
    const name = schema.$ref.split('/').at(-1) ?? '';
    return `[${name}](#${name.toLowerCase()})`;
  }
  if (schema.allOf?.[0] !== undefined) return schema.allOf.map(typeOf).join(' and ');
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(typeOf))].join(' or ');
  if (schema.enum !== undefined)
    return schema.enum.map((value) => (value === null ? 'null' : `\`${String(value)}\``)).join(', ');
  switch (schema.type) {
    case 'array':
      return `list of ${typeOf(schema.items ?? {})}`;
    case 'integer':
      return `whole number${rangeOf(schema)}`;
    case 'string':
      return schema.format === 'date-time' ? 'time' : 'text';
    case 'boolean':
      return 'true or false';
    case undefined:
      return 'anything';
    default:
      return schema.type;
  }
}

function rangeOf({ minimum, maximum }: ApiSchema): string {
  if (minimum === undefined || maximum === undefined || maximum === Number.MAX_SAFE_INTEGER) return '';
  return ` ${minimum} to ${maximum}`;
}

function defaultOf({ default: value }: ApiSchema): string {
  return value === undefined ? ', optional' : `, default \`${JSON.stringify(value)}\``;
}

function sentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return [];
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), `|${'---|'.repeat(header.length)}`, ...rows.map(line), ''];
}
