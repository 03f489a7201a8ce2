import { colours, Plot } from './plot.tsx';
import { type Span, timesOf } from './series.ts';

const daySeconds = 86_400;
const apart = { day: daySeconds, week: 7 * daySeconds, month: 30 * daySeconds };

type Row = { day: string; network: string; currency: string; usd_cents: number };

/** What came in on each day (UTC), in each week or in each month, stacked by asset. */
export function Received({
  rows,
  span,
  by = 'day',
  label,
  empty,
}: {
  rows: readonly Row[];
  span: Span;
  by?: keyof typeof apart;
  label: string;
  empty: string;
}) {
  const nameOf = ({ network, currency }: Row) => `${currency} on ${network}`;
  const assets = [...new Set(rows.map(nameOf))].toSorted();
  const timeOf = ({ day }: Row) => Date.parse(day) / 1000;
  // Weeks and months are as long as the calendar says.
  const times =
    by === 'day' ? timesOf(span, daySeconds) : [...new Set(rows.map(timeOf))].toSorted((a, b) => a - b);
  const sums = new Map<string, number>();
  for (const row of rows) {
    const key = `${timeOf(row)} ${nameOf(row)}`;
    sums.set(key, (sums.get(key) ?? 0) + row.usd_cents);
  }
  return (
    <Plot
      label={label}
      empty={empty}
      times={times}
      step={apart[by]}
      kind="bars"
      unit="cents"
      utc={true}
      lines={assets.map((name, i) => ({
        name,
        colour: colours[i % colours.length] ?? '',
        values: times.map((time) => sums.get(`${time} ${name}`) ?? 0),
      }))}
    />
  );
}

/** The last days up to today. */
export function lastDays(days: number): Span {
  const today = Math.floor(Date.now() / 1000 / daySeconds) * daySeconds * 1000;
  return { since: today - (days - 1) * daySeconds * 1000, until: today + daySeconds * 1000 };
}
