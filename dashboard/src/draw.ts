import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Drawing, Line } from './plot.tsx';
import { shownIn, stepsOf } from './units.ts';

/*
 * uPlot, which is loaded with the first plot. It draws on a canvas, which knows nothing of the page's style: colours are
 * read from it, again when the reader changes from light to dark.
 */

export type Drawn = { update(drawing: Drawing): void; close(): void };

const font = '12px system-ui, sans-serif';
const dayMs = 86_400_000;

/** Tells the place among the times that the reader points at; null: none. */
export function draw(target: HTMLElement, first: Drawing, onCursor: (at: number | null) => void): Drawn {
  let drawing = first;
  let plot: uPlot | null = null;
  const sizeOf = () => ({ width: target.clientWidth, height: target.clientHeight });

  function make(): void {
    plot?.destroy();
    plot = new uPlot({ ...sizeOf(), ...optionsOf(drawing, target, onCursor) }, dataOf(drawing), target);
  }

  const dark = matchMedia('(prefers-color-scheme: dark)');
  dark.addEventListener('change', make);
  const sized = new ResizeObserver(() => plot?.setSize(sizeOf()));
  make();
  sized.observe(target);
  return {
    update(next) {
      const same = looksOf(next) === looksOf(drawing);
      drawing = next;
      if (same) plot?.setData(dataOf(next));
      else make();
    },
    close() {
      dark.removeEventListener('change', make);
      sized.disconnect();
      plot?.destroy();
    },
  };
}

/** With what a plot is made; the rest are numbers. */
function looksOf({ lines, kind, unit }: Drawing): string {
  return JSON.stringify([kind, unit, lines.map(({ name, colour, dashed }) => [name, colour, dashed])]);
}

/** Bars stand on each other: the highest is drawn first, and the others over it. */
function dataOf({ times, lines, kind }: Drawing): uPlot.AlignedData {
  if (kind !== 'bars') return [times, ...lines.map(({ values }) => values)] as uPlot.AlignedData;
  const stacked = lines.map(({ values }, last) =>
    times.map((_, i) => {
      // What is nothing would shine through at the edges of what stands below it.
      if (!values[i]) return null;
      return lines.slice(0, last + 1).reduce((sum, line) => sum + (line.values[i] ?? 0), 0);
    }),
  );
  return [times, ...stacked.toReversed()] as uPlot.AlignedData;
}

function optionsOf(
  { lines, kind, unit, step, utc, joined = false }: Drawing,
  target: HTMLElement,
  onCursor: (at: number | null) => void,
): Omit<uPlot.Options, 'width' | 'height'> {
  const text = colourOf(target, 'text');
  const grid = { stroke: colourOf(target, 'grid'), width: 1 };
  const ordered = kind === 'bars' ? lines.toReversed() : lines;
  const margin = kind === 'bars' ? step / 2 : 0;
  return {
    legend: { show: false },
    cursor: { y: false, drag: { x: true, y: false } },
    scales: {
      x: { time: true, range: (_, min, max) => [min - margin, Math.max(max, min + 1) + margin] },
      y: { range: (_, __, max) => [0, Math.max(max * 1.05, stepsOf(unit)[0] ?? 1)] },
    },
    ...(utc ? { tzDate: (seconds: number) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC') } : {}),
    axes: [
      {
        stroke: text,
        grid: { show: false },
        ticks: grid,
        font,
        size: 32,
        space: 70,
        values: timeLabels(utc),
      },
      {
        stroke: text,
        grid,
        ticks: { show: false },
        font,
        incrs: [...stepsOf(unit)],
        values: (_, ticks) => ticks.map((value) => shownIn(unit, value)),
        size: (_, labels) => 12 + 7 * Math.max(4, ...(labels ?? []).map(({ length }) => length)),
      },
    ],
    series: [{}, ...ordered.map((line) => seriesOf(line, { kind, joined }, target))],
    hooks: {
      setCursor: [({ cursor }) => onCursor(cursor.idx ?? null)],
    },
  };
}

function seriesOf(
  { colour, dashed }: Line,
  { kind, joined }: { kind: Drawing['kind']; joined: boolean },
  target: HTMLElement,
): uPlot.Series {
  const stroke = colourOf(target, colour);
  const { bars, stepped } = uPlot.paths;
  if (kind === 'bars')
    return {
      fill: stroke,
      width: 0,
      points: { show: false },
      ...(bars === undefined ? {} : { paths: bars({ size: [0.8, 40] }) }),
    };
  return {
    stroke,
    width: 2,
    spanGaps: joined,
    points: { show: false, size: 6, fill: stroke, filter: ({ data }, series) => aloneIn(data[series] ?? []) },
    ...(dashed ? { dash: [4, 4] } : {}),
    ...(kind === 'steps' && stepped !== undefined ? { paths: stepped({ align: 1 }) } : {}),
  };
}

/** Places of values without a neighbour: no line leads there, and what was just begun to be measured has no other. */
function aloneIn(values: ArrayLike<number | null | undefined>): number[] | null {
  const alone: number[] = [];
  for (let i = 0; i < values.length; i++)
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) alone.push(i);
  return alone.length === 0 ? null : alone;
}

/** Times of the day within some days, else dates. */
function timeLabels(utc: boolean): uPlot.Axis.DynamicValues {
  const zone = utc ? { timeZone: 'UTC' } : {};
  return (_, ticks, __, ___, apart) =>
    ticks.map((seconds) => {
      const date = new Date(seconds * 1000);
      const isDay = apart * 1000 >= dayMs || (date.getHours() === 0 && date.getMinutes() === 0);
      return isDay
        ? date.toLocaleDateString([], { day: 'numeric', month: 'short', ...zone })
        : date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', ...zone });
    });
}

function colourOf(target: HTMLElement, name: string): string {
  const probe = document.createElement('span');
  probe.className = `probe ${name}`;
  target.append(probe);
  const { backgroundColor } = getComputedStyle(probe);
  probe.remove();
  return backgroundColor;
}
