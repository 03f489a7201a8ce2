type ExactParse = (
  text: string,
  reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
) => unknown;

/**
 * Reads JSON with every number as the text that stood there: money must not pass through a float.
 * `undefined` when the text is not JSON (which has no NaN and no Infinity).
 */
export function parseJsonExactly(text: string): unknown {
  try {
    return (JSON.parse as ExactParse)(text, (_key, value, context) =>
      typeof value === 'number' ? context.source : value,
    );
  } catch {
    return undefined;
  }
}

/** A value that JSON.stringify writes as just this number, digit for digit. */
export function exactNumber(text: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text);
}
