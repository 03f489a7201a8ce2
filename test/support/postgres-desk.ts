import { inject } from 'vitest';

/** For a suite: the caller removes it. */
export async function createPostgresDatabase(
  migrated: boolean,
): Promise<{ url: string; empty(): Promise<boolean>; remove(): Promise<void> }> {
  const desk = inject('databaseDesk');
  const answer = await fetch(`${desk}/${migrated ? 'migrated' : 'empty'}`, { method: 'POST' });
  const url = await answer.text();
  if (answer.status !== 201) throw new Error(`no PostgreSQL for this test: ${url}`);
  const ask = (method: string) => fetch(`${desk}/${new URL(url).pathname.slice(1)}`, { method });
  return {
    url,
    /** Where it is migrated: false when it cannot be used any more. */
    empty: async () => (await ask('PUT')).ok,
    remove: async () => {
      await ask('DELETE');
    },
  };
}
