import type { FastifyRequest, FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';
import { counted } from '../../core/plural.ts';
import { fieldErrors, type HttpError, notFound } from './errors.ts';

type Issue = z.core.$ZodIssue;

/**
 * Lets zod read body, query and path; what it refuses becomes field errors. (Fastify's own validation error
 * has a shape that this API does not have.)
 */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  const whole = httpPart === 'querystring' ? 'query' : (httpPart ?? 'body');
  // Headers are only described; who needs one reads it.
  if (httpPart === 'headers') return () => true;
  return (data) => {
    // Fastify has null for a body that is not there.
    const result = schema.safeParse(data ?? undefined, { error: explain });
    return result.success ? { value: result.data } : { error: toFieldErrors(result.error.issues, whole) };
  };
};

/**
 * `whole` names what no single field is to blame for. A fault deep within a field is told with its path.
 */
export function toFieldErrors(issues: readonly Issue[], whole: string): HttpError {
  return fieldErrors(
    issues.flatMap((issue): [string, string][] => {
      if (issue.code === 'unrecognized_keys' && issue.path.length === 0) {
        return issue.keys.map((key) => [key, 'unknown field']);
      }
      const [field = whole, ...inner] = issue.path.map(String);
      return [[field, inner.length === 0 ? issue.message : `${inner.join('.')}: ${issue.message}`]];
    }),
  );
}

/** Words for the faults whose own words in zod say less than can be said; undefined keeps zod's. */
function explain(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined)
        return isWhole(issue) ? 'a JSON object is required' : 'this field is required';
      return `expected ${expectedKinds[issue.expected] ?? issue.expected}, found ${kindOf(issue.input)}`;
    case 'invalid_value':
      if (issue.input === undefined) return 'this field is required';
      return `expected one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return limit(issue.origin, 'at least', issue.minimum);
    case 'too_big':
      return limit(issue.origin, 'at most', issue.maximum);
    case 'unrecognized_keys':
      return `unknown field: ${issue.keys.join(', ')}`;
    default:
      return undefined;
  }
}

/** Whether nothing came at all. */
function isWhole({ path }: z.core.$ZodRawIssue): boolean {
  return path === undefined || path.length === 0;
}

const expectedKinds: Record<string, string> = {
  int: 'a whole number',
  number: 'a number',
  string: 'a text',
  object: 'an object',
  record: 'an object',
  array: 'a list',
  boolean: 'true or false',
};

function limit(origin: string, bound: string, value: number | bigint): string {
  const verb = Number(value) === 1 ? 'is' : 'are';
  switch (origin) {
    case 'string':
      return `${bound} ${counted(value, 'character')} ${verb} allowed`;
    case 'array':
      return `${bound} ${counted(value, 'entry')} ${verb} allowed`;
    default:
      return `${bound} ${value} is allowed`;
  }
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  switch (typeof value) {
    case 'number':
      return Number.isInteger(value) ? 'a number' : 'a number with a fraction';
    case 'string':
      return 'a text';
    case 'boolean':
      return String(value);
    default:
      return 'an object';
  }
}

const nulFault = 'control characters such as NUL are not allowed';

/**
 * Refuses NUL (U+0000) in whatever a caller sends, before a route looks at it: PostgreSQL takes it in no text, not even to
 * compare, and what SQLite takes could not be copied to PostgreSQL. `metadata` may hold it: it is kept as JSON, which
 * escapes it. Raw bytes (a provider's webhook) are not read here.
 *
 * @throws HttpError 404 for a path, else 400 with the fields.
 */
export async function refuseNul({ params, query, body }: FastifyRequest): Promise<void> {
  if (hasNul(params)) throw notFound();
  const faults = [...fieldsWithNul(query, 'query'), ...fieldsWithNul(body, 'body')];
  if (faults.length > 0) throw fieldErrors(faults.map((field) => [field, nulFault]));
}

/** Their names; `whole` where no single field is to blame, or its name is the fault. */
function fieldsWithNul(part: unknown, whole: string): string[] {
  if (typeof part !== 'object' || part === null || Array.isArray(part) || ArrayBuffer.isView(part))
    return hasNul(part) ? [whole] : [];
  // A form is read as a map.
  const fields: [string, unknown][] = part instanceof Map ? [...part] : Object.entries(part);
  return fields.flatMap(([name, value]) => {
    if (name.includes('\0')) return [whole];
    return name !== 'metadata' && hasNul(value) ? [name] : [];
  });
}

/** Also in names. What is read from JSON is not nested deeper than `parseJsonBody` lets it. */
function hasNul(value: unknown): boolean {
  if (typeof value === 'string') return value.includes('\0');
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false;
  return Object.entries(value).some(([name, child]) => name.includes('\0') || hasNul(child));
}
