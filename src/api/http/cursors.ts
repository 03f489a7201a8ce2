/** A place in a list, opaque to the caller. */
export const cursorPattern = /^id-[0-9]{1,15}$/;

export function encodeCursor(id: number | null): string | null {
  return id === null ? null : `id-${id}`;
}

/** Of a text that {@link cursorPattern} takes. */
export function decodeCursor(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text.slice('id-'.length));
}
