/** A place in a list, opaque to the caller. */
export const cursorPattern = /^id-[0-9]{1,15}$/;

export function encodeCursor(id: number | null): string | null {
  return id === null ? null : `id-${id}`;
}

/** A page of a list that grows at its end alone: its cursor counts what comes before. `found`: one more than the page, if any. */
export function pageFrom<T>(
  found: readonly T[],
  { offset, limit }: { offset: number; limit: number },
): { data: T[]; next_cursor: string | null } {
  return {
    data: found.slice(0, limit),
    next_cursor: encodeCursor(found.length > limit ? offset + limit : null),
  };
}

/** Of a text that {@link cursorPattern} takes. */
export function decodeCursor(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text.slice('id-'.length));
}
