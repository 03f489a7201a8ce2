import { z } from 'zod';
import { configSchema } from './schema.ts';

/** The keys that can stand at a path of the file. */
export function knownKeys(path: readonly (string | number)[]): string[] {
  let at: z.core.$ZodType = configSchema;
  for (const key of path) {
    const inner = unwrap(at);
    if (inner instanceof z.ZodObject) at = inner.shape[key];
    else if (inner instanceof z.ZodArray) at = inner.element;
    else return [];
  }
  const inner = unwrap(at);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape).filter((key) => key !== '$schema') : [];
}

/** What lies under a schema's default, optional and union wrappers; of a union, the alternative with keys. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return unwrap(schema.unwrap());
  }
  if (schema instanceof z.ZodUnion) {
    const alternatives = schema.options.map(unwrap);
    return alternatives.find((option) => option instanceof z.ZodObject) ?? schema;
  }
  return schema;
}
