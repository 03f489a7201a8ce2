/** One phrase, also for errors that bring no message of their own. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: unknown };
  return error.message === '' ? String(code ?? error.name) : error.message;
}
