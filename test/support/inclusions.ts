import { inclusionOf } from '../../src/watchers/agreement/ask.ts';
import type { ChainSource, Inclusion, InclusionQuery } from '../../src/watchers/source.ts';

/** What one node says of transfers, by itself: the first that is configured, or the one of that name. */
export async function inclusionsBy(
  source: Pick<ChainSource, 'inclusionsOfEach'>,
  queries: readonly InclusionQuery[],
  host?: string,
): Promise<Map<InclusionQuery, Inclusion>> {
  const answers = await source.inclusionsOfEach(queries, new AbortController().signal);
  const answer = host === undefined ? answers[0] : answers.find((one) => one.host === host);
  if (answer === undefined) throw new Error(`no node ${host}`);
  return new Map(queries.map((query) => [query, inclusionOf(answer, query)]));
}
