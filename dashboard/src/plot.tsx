import { useEffect, useRef, useState } from 'preact/hooks';
import type { Drawn } from './draw.ts';
import { Table, Time } from './parts.tsx';
import { shownIn, type Unit } from './units.ts';

/** One line, or the same part of each bar. Null: nothing is known of that time. */
export type Line = {
  name: string;
  values: readonly (number | null)[];
  /** A class that has one. */
  colour: string;
  dashed?: boolean;
};

export type Drawing = {
  /** Unix seconds, in order, `step` apart. */
  times: readonly number[];
  step: number;
  lines: readonly Line[];
  kind: 'lines' | 'steps' | 'bars';
  unit: Unit;
  /** Whether times are days of UTC. */
  utc: boolean;
  /** Whether a line goes on over times without a value: there nothing happened, and nothing is missing. */
  joined?: boolean;
};

export const colours = ['c0', 'c1', 'c2', 'c3', 'c4', 'c5'];

/** A plot, its legend with the numbers that the reader points at, and the same as a table. */
export function Plot({ label, empty, ...drawing }: Drawing & { label: string; empty: string }) {
  const target = useRef<HTMLDivElement>(null);
  const drawn = useRef<Drawn | null>(null);
  const latest = useRef(drawing);
  const [cursor, setCursor] = useState<number | null>(null);
  const [fault, setFault] = useState(false);
  const { times, lines, unit } = drawing;
  const isEmpty = lines.every(({ values }) => values.every((value) => value === null));
  latest.current = drawing;

  useEffect(() => {
    if (isEmpty) return;
    let gone = false;
    import('./draw.ts').then(
      ({ draw }) => {
        if (gone || target.current === null) return;
        drawn.current = draw(target.current, latest.current, setCursor);
      },
      () => setFault(true),
    );
    return () => {
      gone = true;
      drawn.current?.close();
      drawn.current = null;
    };
  }, [isEmpty]);
  const text = JSON.stringify(drawing);
  useEffect(() => drawn.current?.update(latest.current), [text]);

  if (isEmpty) return <p class="empty">{empty}</p>;
  const known = times.map((_, i) => i).filter((i) => lines.some(({ values }) => values[i] != null));
  const at = cursor ?? known.at(-1) ?? 0;
  return (
    <figure class="plot">
      <figcaption>
        {label}{' '}
        <small>
          <Moment at={times[at] ?? 0} drawing={drawing} />
        </small>
      </figcaption>
      {fault ? (
        <p>The plot could not be loaded; below are its numbers.</p>
      ) : (
        <div
          ref={target}
          class="canvas"
          role="img"
          aria-label={`${label}; the table below has the numbers`}
        />
      )}
      <ul class="legend">
        {lines.map((line) => (
          <li key={line.name} class={`${line.colour} ${line.dashed ? 'dashed' : ''}`}>
            {line.name} <strong>{shownOf(line, at, unit)}</strong>
          </li>
        ))}
      </ul>
      <Numbers label={label} drawing={drawing} rows={known.toReversed()} />
    </figure>
  );
}

/** Rows that nobody opened are not made. */
function Numbers({ label, drawing, rows }: { label: string; drawing: Drawing; rows: readonly number[] }) {
  const [open, setOpen] = useState(false);
  const { times, lines, unit } = drawing;
  return (
    <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>As a table</summary>
      {open && (
        <Table
          label={label}
          rows={rows}
          empty={null}
          columns={[
            { title: 'Time', cell: (i) => <Moment at={times[i] ?? 0} drawing={drawing} /> },
            ...lines.map((line) => ({
              title: line.name,
              number: true,
              cell: (i: number) => shownOf(line, i, unit),
            })),
          ]}
        />
      )}
    </details>
  );
}

function Moment({ at, drawing }: { at: number; drawing: Drawing }) {
  const iso = new Date(at * 1000).toISOString();
  return drawing.utc ? <time dateTime={iso}>{iso.slice(0, 10)}</time> : <Time at={iso} />;
}

function shownOf({ values }: Line, at: number, unit: Unit): string {
  const value = values[at];
  return value == null ? '–' : shownIn(unit, value);
}
