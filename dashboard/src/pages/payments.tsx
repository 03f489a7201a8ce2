import { useState } from 'preact/hooks';
import { type LiveList, ShownList, useList } from '../list.tsx';
import { Badge, Table, Time, usd } from '../parts.tsx';
import { ask, link, route } from '../route.ts';
import type { PaymentRow } from './types.ts';

const reasons = ['underpaid', 'overpaid', 'late', 'reorged', 'declined', 'voided'];
const statuses = ['pending', 'confirmed', 'expired', 'cancelled', 'failed'];

const keyOf = (row: PaymentRow) => row.payment_number;

/** Every payment, found by whatever somebody has of it. */
export function Payments() {
  const { query } = route.value;
  const [wanted, setWanted] = useState(query.get('q') ?? '');
  const q = query.get('q') ?? '';
  const filter = new URLSearchParams();
  for (const name of ['status', 'reason', 'cursor'])
    if (query.has(name)) filter.set(name, query.get(name) ?? '');
  const { since, until } = { since: query.get('since') ?? '', until: query.get('until') ?? '' };
  if (since !== '') filter.set('created_after', `${since}T00:00:00Z`);
  if (until !== '') filter.set('created_before', `${until}T23:59:59Z`);
  const loaded = useList<PaymentRow>(
    q === '' ? `/payments/?${filter}` : `/payments/search/?q=${encodeURIComponent(q)}`,
    keyOf,
  );
  return (
    <>
      <h1>Payments</h1>
      <search>
        <form
          class="row"
          onSubmit={(event) => {
            event.preventDefault();
            ask({ q: wanted.trim(), cursor: '' });
          }}
        >
          <label class="wide">
            <span class="hidden">Number, order, address, transaction or amount</span>
            <input
              type="search"
              placeholder="Number, order, address, transaction or amount"
              value={wanted}
              onInput={(event) => setWanted(event.currentTarget.value)}
            />
          </label>
          <button type="submit" class="first">
            Search
          </button>
        </form>
      </search>
      {q === '' && (
        <div class="row">
          <label>
            Status{' '}
            <select
              value={query.get('status') ?? ''}
              onChange={(e) => ask({ status: e.currentTarget.value, cursor: '' })}
            >
              <option value="">all</option>
              {statuses.map((status) => (
                <option key={status}>{status}</option>
              ))}
            </select>
          </label>
          <label>
            Unusual{' '}
            <select
              value={query.get('reason') ?? ''}
              onChange={(e) => ask({ reason: e.currentTarget.value, cursor: '' })}
            >
              <option value="">or not</option>
              {reasons.map((reason) => (
                <option key={reason}>{reason}</option>
              ))}
            </select>
          </label>
          <label>
            From{' '}
            <input
              type="date"
              value={since}
              onChange={(e) => ask({ since: e.currentTarget.value, cursor: '' })}
            />
          </label>
          <label>
            To{' '}
            <input
              type="date"
              value={until}
              onChange={(e) => ask({ until: e.currentTarget.value, cursor: '' })}
            />
          </label>
        </div>
      )}
      <ShownList list={told(loaded)} name={['payment', 'payments']}>
        {({ data, next_cursor }) => (
          <>
            <PaymentTable rows={data} />
            <Pages next={next_cursor} />
            {q === '' && data.length > 0 && <Export filter={filter} />}
          </>
        )}
      </ShownList>
    </>
  );
}

/** What is wrong with what was looked for, without the name of the box. */
function told(list: LiveList<PaymentRow>): LiveList<PaymentRow> {
  const error = list.loaded.error?.replace(/^q: (?=may be)/, 'This amount ') ?? null;
  return { ...list, loaded: { ...list.loaded, error } };
}

/** The same payments, all of them, for a spreadsheet. */
function Export({ filter }: { filter: URLSearchParams }) {
  const query = new URLSearchParams(filter);
  query.delete('cursor');
  const path = (separator: string) => `/admin/v1/payments/export/?${query}&separator=${separator}`;
  return (
    <p>
      As CSV, all that fit: <a href={path('comma')}>with commas</a>, or{' '}
      <a href={path('semicolon')}>with semicolons</a>.
    </p>
  );
}

/** Back to the newest, and on to older ones; or the other way round. */
export function Pages({ next, oldestFirst = false }: { next: string | null; oldestFirst?: boolean }) {
  const first = !route.value.query.has('cursor');
  if (first && next === null) return null;
  return (
    <div class="actions">
      {!first && (
        <button type="button" onClick={() => ask({ cursor: '' })}>
          {oldestFirst ? 'First' : 'Newest'}
        </button>
      )}
      {next !== null && (
        <button type="button" onClick={() => ask({ cursor: next })}>
          {oldestFirst ? 'Next' : 'Older'}
        </button>
      )}
    </div>
  );
}

export function PaymentTable({ rows }: { rows: readonly PaymentRow[] }) {
  return (
    <Table
      label="Payments"
      rows={rows}
      keyOf={keyOf}
      empty={
        <p>No payment is here. Your shop makes them over the API; with a test payment you can try it.</p>
      }
      columns={[
        {
          title: 'Payment',
          cell: (row) => <a href={link(['payments', row.payment_number])}>{row.payment_number}</a>,
        },
        { title: 'Order', cell: (row) => <bdi>{row.external_order_id || '–'}</bdi> },
        { title: 'Status', cell: (row) => <Status row={row} /> },
        { title: 'Price', number: true, cell: (row) => usd(row.amount_usd_cents) },
        {
          title: 'Coin',
          number: true,
          cell: (row) =>
            `${row.actual_crypto_amount ?? row.expected_crypto_amount} ${row.currency} · ${row.network}`,
        },
        { title: 'Made', cell: (row) => <Time at={row.created_at} /> },
      ]}
    />
  );
}

export function Status({ row }: { row: Pick<PaymentRow, 'status' | 'reason' | 'livemode'> }) {
  return (
    <>
      <Badge>{row.status}</Badge>
      {row.reason !== null && <small> {row.reason}</small>}
      {!row.livemode && <small> sandbox</small>}
    </>
  );
}
