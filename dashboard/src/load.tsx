import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, get } from './api.ts';
import { onChange, stream } from './changes.ts';

export type Loaded<T> = { data: T | null; error: string | null; stale: boolean; reload: () => void };

/** Between two looks at what may have changed, ms: where changes are told, and where they are not. */
const toldEveryMs = 30_000;
const everyMs = 5_000;

/** What the API answers for a path, asked for again while the page is seen; null asks for nothing. */
export function useLoad<T>(path: string | null, live = true): Loaded<T> {
  const [state, setState] = useState<{ path: string | null; data: T | null; error: string | null }>({
    path: null,
    data: null,
    error: null,
  });
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (path === null) return;
    let gone = false;
    let timer = 0;
    let looking = false;
    const wait = () => {
      clearTimeout(timer);
      timer = window.setTimeout(again, stream.peek() === 'open' ? toldEveryMs : everyMs);
    };
    const look = async () => {
      if (looking) return;
      looking = true;
      try {
        const data = await get<T>(path);
        if (!gone) setState({ path, data, error: null });
      } catch (error) {
        const said = error instanceof ApiError ? error.message : String(error);
        if (!gone)
          setState((before) => ({ path, data: before.path === path ? before.data : null, error: said }));
      }
      looking = false;
      if (live && !gone) wait();
    };
    const again = () => {
      if (document.hidden) wait();
      else void look();
    };
    const letGo = live ? onChange(again) : () => {};
    void look();
    return () => {
      gone = true;
      letGo();
      clearTimeout(timer);
    };
  }, [path, round, live]);
  const mine = state.path === path;
  const data = mine ? state.data : null;
  const error = mine ? state.error : null;
  return { data, error, stale: data !== null && error !== null, reload: () => setRound((n) => n + 1) };
}

/** Shows what was loaded, or why it was not; what was there before stays, and says that it is old. */
export function Shown<T>({
  loaded,
  children,
}: {
  loaded: Loaded<T>;
  children: (data: T) => ComponentChildren;
}) {
  const { data, error, stale } = loaded;
  if (data === null && error === null) return <p class="loading">Loading…</p>;
  return (
    <>
      {error !== null && (
        <p class="notice bad" role="status">
          {error} {stale ? 'What you see may be old; trying again.' : ''}
        </p>
      )}
      {data !== null && children(data)}
    </>
  );
}

/** The same for what depends on the time: what was there before stays until there is something newer. */
export function useLoadOf<Q, T>(query: Q, pathOf: (query: Q) => string): Loaded<{ query: Q; answer: T }> {
  const loaded = useLoad<T>(pathOf(query), false);
  const kept = useRef<{ query: Q; answer: T } | null>(null);
  if (loaded.data !== null && loaded.data !== kept.current?.answer)
    kept.current = { query, answer: loaded.data };
  return { ...loaded, data: kept.current, stale: kept.current !== null && loaded.error !== null };
}
