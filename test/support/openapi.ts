import { Ajv, type ValidateFunction } from 'ajv';

export type OpenApiDocument = {
  paths: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, object> };
};

type Operation = { responses: Record<string, { content?: Record<string, { schema: object }> }> };

// Formats and examples are for readers; `nullable` is OpenAPI 3.0's and understood by ajv.
const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
const compiled = new WeakMap<object, ValidateFunction>();

/**
 * Holds an answer to the document that describes its route: the status must be named there and the body fit
 * its schema. Answers of routes that no document describes must be one of the three error shapes.
 *
 * @throws Error that says what does not fit.
 */
export function checkAnswer(
  documents: readonly OpenApiDocument[],
  method: string,
  path: string,
  answer: { status: number; body: unknown; text: string },
): void {
  const where = `${method} ${path} answered ${answer.status}`;
  const pathname = path.split('?')[0] as string;
  for (const document of documents) {
    const operation = findOperation(document, method, pathname);
    if (operation === undefined) continue;
    const response = operation.responses[String(answer.status)];
    if (response === undefined) throw new Error(`${where}, a status that its document does not name`);
    const schema = response.content?.['application/json']?.schema;
    if (schema === undefined) return;
    const validate = compiled.get(schema) ?? compile(document, schema);
    compiled.set(schema, validate);
    if (!validate(answer.body)) {
      const faults = validate.errors?.map((fault) => `${fault.instancePath} ${fault.message}`).join('; ');
      throw new Error(`${where}, but its document says otherwise: ${faults}\n${answer.text}`);
    }
    return;
  }
  // Payers get pages.
  if (/^\/(pay|checkout)\//.test(pathname)) return;
  if (answer.status < 400 || answer.status === 503 || isErrorShape(answer.body)) return;
  throw new Error(`${where} in none of the three shapes: ${answer.text}`);
}

function findOperation(document: OpenApiDocument, method: string, pathname: string): Operation | undefined {
  const slashed = pathname.endsWith('/') ? pathname : `${pathname}/`;
  // A path without a parameter goes before one with, as in the server.
  const parameters = (template: string) => template.split('{').length;
  const paths = Object.entries(document.paths).sort(([a], [b]) => parameters(a) - parameters(b));
  for (const [template, operations] of paths) {
    const pattern = template.replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&').replaceAll(/\{[^}]+\}/g, '[^/]+');
    const operation = operations[method.toLowerCase()];
    if (operation !== undefined && new RegExp(`^${pattern}$`).test(slashed)) return operation;
  }
  return undefined;
}

function compile(document: OpenApiDocument, schema: object): ValidateFunction {
  return ajv.compile(closed({ ...schema, components: document.components }));
}

/** For clients answers are open; here a field that no document mentions is a fault. */
function closed<T>(node: T): T {
  if (Array.isArray(node)) return node.map(closed) as T;
  if (typeof node !== 'object' || node === null) return node;
  const copy = Object.fromEntries(Object.entries(node).map(([name, child]) => [name, closed(child)]));
  const isObject = copy.type === 'object' && copy.properties !== undefined;
  return (
    isObject && !('additionalProperties' in copy) ? { ...copy, additionalProperties: false } : copy
  ) as T;
}

function isErrorShape(body: unknown): boolean {
  if (typeof body !== 'object' || body === null) return false;
  const keys = Object.keys(body).sort().join();
  return keys === 'errors' || keys === 'code,error' || keys === 'detail';
}
