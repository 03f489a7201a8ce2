import { me } from '../api.ts';
import { Shown, useLoad } from '../load.tsx';
import { type Column, Table, usd } from '../parts.tsx';
import { Received } from '../received.tsx';
import { ask, route } from '../route.ts';
import { PaymentTimes } from './plots.tsx';
import type { ReportRow } from './types.ts';

const periods = ['day', 'week', 'month'] as const;

/** The times of payments are told of a month at most. */
const longestMs = 31 * 86_400_000;

/** What was received, what it cost and what was unusual about it, by day, week or month. */
export function Reports() {
  const { query } = route.value;
  const today = new Date().toISOString().slice(0, 10);
  const before = new Date(Date.now() - 29 * 86_400_000).toISOString().slice(0, 10);
  const since = query.get('since') ?? before;
  const until = query.get('until') ?? today;
  const by = periods.find((period) => period === query.get('by')) ?? 'day';
  const perMerchant = query.get('per') === 'merchant';
  const end = new Date(Date.parse(`${until}T00:00:00Z`) + 86_400_000).toISOString();
  const span = new URLSearchParams({ since: `${since}T00:00:00Z`, until: end });
  const asked = { since: Date.parse(`${since}T00:00:00Z`), until: Date.parse(end) };
  const filter = new URLSearchParams(span);
  filter.set('by', by);
  filter.set('per_merchant', String(perMerchant));
  const report = useLoad<{ data: ReportRow[] }>(`/reports/sums/?${filter}`, false);
  const csv = (separator: string) => `/admin/v1/reports/sums/export/?${filter}&separator=${separator}`;
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
        {me.value?.merchant_id === null && (
          <label>
            <input
              type="checkbox"
              checked={perMerchant}
              onChange={(e) => ask({ per: e.currentTarget.checked ? 'merchant' : '' })}
            />{' '}
            each merchant for itself
          </label>
        )}
      </div>
      <Shown loaded={report}>
        {({ data }) => (
          <>
            {data.length > 0 && (
              <Received
                rows={data.map((row) => ({ ...row, day: row.from }))}
                span={asked}
                by={by}
                label={`Received by ${by}`}
                empty=""
              />
            )}
            {data.length > 0 && asked.until - asked.since <= longestMs && <PaymentTimes span={asked} />}
            <Table
              label="Received"
              rows={data}
              empty={<p>Nothing was received in this time.</p>}
              columns={[
                {
                  title: by === 'day' ? 'Day (UTC)' : by === 'week' ? 'Week from' : 'Month',
                  cell: (row) => <span class="name">{by === 'month' ? row.from.slice(0, 7) : row.from}</span>,
                },
                ...(perMerchant ? [merchant] : []),
                { title: 'Asset', cell: (row) => `${row.currency} · ${row.network}` },
                { title: 'Payments', number: true, cell: (row) => row.count },
                { title: 'Received', number: true, cell: (row) => usd(row.usd_cents) },
                { title: 'Average', number: true, cell: (row) => usd(row.average_usd_cents) },
                amount('Fees', 'fees'),
                amount('Refunded', 'refunded'),
                amount('Late', 'late'),
                amount('Too much', 'over'),
                amount('Too little', 'under'),
                amount('Unmatched', 'unmatched'),
              ]}
            />
            {data.length > 0 && (
              <p>
                As CSV: <a href={csv('comma')}>with commas</a>, or{' '}
                <a href={csv('semicolon')}>with semicolons</a>.
              </p>
            )}
          </>
        )}
      </Shown>
    </>
  );
}

const merchant: Column<ReportRow> = { title: 'Merchant', cell: (row) => row.merchant_id ?? '–' };

type Amount = 'fees' | 'refunded' | 'late' | 'over' | 'under' | 'unmatched';

/** What is nothing is not to be looked at. */
function amount(title: string, field: Amount): Column<ReportRow> {
  return { title, number: true, cell: (row) => (/[1-9]/.test(row[field]) ? row[field] : '–') };
}
