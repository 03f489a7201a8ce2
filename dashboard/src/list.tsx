import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { type Held, holdRows } from './hold-rows.ts';
import { type Loaded, Shown, useLoad } from './load.tsx';
import type { List } from './pages/types.ts';

type Key<T> = (row: T) => string | number;

/** A list that stands still while it is read: what has come since is announced, and shown when that is asked for. */
export type LiveList<T> = {
  loaded: Loaded<List<T>>;
  arrived: number;
  more: boolean;
  /** Also after a change of the reader's own: then everything is shown as it is now. */
  show: () => void;
};

export function useList<T>(path: string | null, keyOf: Key<T>): LiveList<T> {
  const loaded = useLoad<List<T>>(path);
  const shown = useRef<{ path: string | null; answer: List<T>; held: Held<T> } | null>(null);
  const wantsAll = useRef(false);
  const [, setRound] = useState(0);
  const answer = loaded.data;
  const last = shown.current?.path === path ? shown.current : null;
  if (answer !== null && answer !== last?.answer) {
    const all: Held<T> = { rows: answer.data, arrived: 0, more: false };
    const held =
      last === null || wantsAll.current
        ? all
        : holdRows(last.held.rows, answer.data, { keyOf, hasMore: answer.next_cursor !== null });
    wantsAll.current = false;
    shown.current = { path, answer, held };
  }
  const current = shown.current?.path === path ? shown.current : null;
  const show = () => {
    if (current !== null) {
      const held = { rows: current.answer.data, arrived: 0, more: false };
      shown.current = { ...current, held };
    }
    wantsAll.current = true;
    setRound((n) => n + 1);
    loaded.reload();
  };
  const data = current === null ? null : { ...current.answer, data: current.held.rows };
  const { arrived, more } = current?.held ?? { arrived: 0, more: false };
  return { loaded: { ...loaded, data }, arrived, more, show };
}

/** `name`: of one and of many rows. */
export function ShownList<T>({
  list,
  name,
  children,
}: {
  list: LiveList<T>;
  name: readonly [one: string, many: string];
  children: (data: List<T>) => ComponentChildren;
}) {
  const { loaded, arrived, more, show } = list;
  const place = useRef<HTMLDivElement>(null);
  const text = `${arrived}${more ? ' or more' : ''} new ${name[arrived === 1 ? 0 : 1]}`;
  return (
    <>
      {/* Always there: what appears together with its text is not read out. It takes no room, so that nothing moves. */}
      <div class="arrivals" role="status">
        {arrived > 0 && (
          <button
            type="button"
            class="first"
            onClick={() => {
              show();
              // The button goes; who uses the keyboard goes on at the newest row.
              place.current?.focus();
              place.current?.scrollIntoView({ block: 'nearest' });
            }}
          >
            {text} – show
          </button>
        )}
      </div>
      <div ref={place} tabIndex={-1} class="list">
        <Shown loaded={loaded}>{children}</Shown>
      </div>
    </>
  );
}
