import { fieldError } from './errors.ts';

/** A place in a list, opaque to the caller. */
export function encodeCursor(id: number | null): string | null {
  return id === null ? null : Buffer.from(`id ${id}`).toString('base64url');
}

/** @throws HttpError 400 on `field` when the text is no cursor of ours. */
export function decodeCursor(text: string | undefined, field: string): number | undefined {
  if (text === undefined) return undefined;
  const match = /^id ([0-9]{1,15})$/.exec(Buffer.from(text, 'base64url').toString());
  if (match === null) throw fieldError(field, 'expected the next_cursor of an earlier answer');
  return Number(match[1]);
}
