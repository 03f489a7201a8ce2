import { Bars } from '../bars.tsx';
import { Shown, useLoad } from '../load.tsx';
import { Table, usd } from '../parts.tsx';
import { ask, route } from '../route.ts';
import type { Day } from './types.ts';

type Span = 'day' | 'week' | 'month';

/** What was received, by day, week or month. */
export function Reports() {
  const { query } = route.value;
  const today = new Date().toISOString().slice(0, 10);
  const before = new Date(Date.now() - 29 * 86_400_000).toISOString().slice(0, 10);
  const since = query.get('since') ?? before;
  const until = query.get('until') ?? today;
  const by = (query.get('by') ?? 'day') as Span;
  const end = new Date(Date.parse(`${until}T00:00:00Z`) + 86_400_000).toISOString();
  const report = useLoad<{ data: Day[] }>(
    `/reports/received/?since=${since}T00:00:00Z&until=${encodeURIComponent(end)}`,
    false,
  );
  return (
    <>
      <h1>Reports</h1>
      <div class="row">
        <label>
          From{' '}
          <input
            type="date"
            value={since}
            max={until}
            onChange={(e) => ask({ since: e.currentTarget.value })}
          />
        </label>
        <label>
          To{' '}
          <input
            type="date"
            value={until}
            min={since}
            max={today}
            onChange={(e) => ask({ until: e.currentTarget.value })}
          />
        </label>
        <label>
          By{' '}
          <select value={by} onChange={(e) => ask({ by: e.currentTarget.value })}>
            <option>day</option>
            <option>week</option>
            <option>month</option>
          </select>
        </label>
      </div>
      <Shown loaded={report}>
        {({ data }) => (
          <>
            {until === today && since === before && <Bars days={data} />}
            <Table
              label="Received"
              rows={sumBy(data, by)}
              empty={<p>Nothing was received in this time.</p>}
              columns={[
                {
                  title: by === 'day' ? 'Day (UTC)' : by === 'week' ? 'Week from' : 'Month',
                  cell: (row) => row.day,
                },
                { title: 'Asset', cell: (row) => `${row.currency} · ${row.network}` },
                { title: 'Payments', number: true, cell: (row) => row.count },
                { title: 'Received', number: true, cell: (row) => usd(row.usd_cents) },
                { title: 'Average', number: true, cell: (row) => usd(Math.round(row.usd_cents / row.count)) },
              ]}
            />
          </>
        )}
      </Shown>
    </>
  );
}

/** Days put together, each asset for itself; a week begins on Monday. */
function sumBy(days: readonly Day[], by: Span): Day[] {
  const sums = new Map<string, Day>();
  for (const one of days) {
    const day = beginOf(one.day, by);
    const key = `${day} ${one.network} ${one.currency}`;
    const sum = sums.get(key) ?? { ...one, day, count: 0, usd_cents: 0 };
    sums.set(key, { ...sum, count: sum.count + one.count, usd_cents: sum.usd_cents + one.usd_cents });
  }
  return [...sums.values()].toReversed();
}

function beginOf(day: string, by: Span): string {
  if (by === 'day') return day;
  if (by === 'month') return day.slice(0, 7);
  const date = new Date(`${day}T00:00:00Z`);
  const monday = date.getTime() - ((date.getUTCDay() + 6) % 7) * 86_400_000;
  return new Date(monday).toISOString().slice(0, 10);
}
