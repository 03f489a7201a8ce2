import { Shown, useLoad } from '../load.tsx';
import { Badge, Table, Time } from '../parts.tsx';
import type { RateReport } from './types.ts';

/** What each coin is quoted at, by whom, and how each source does. */
export function Rates() {
  const rates = useLoad<RateReport>('/rates/');
  return (
    <>
      <h1>Rates</h1>
      <Shown loaded={rates}>
        {({ coins, sources }) => (
          <>
            <Table
              label="Rates"
              rows={coins}
              empty={<p>No chain takes a coin yet.</p>}
              columns={[
                { title: 'Coin', cell: (one) => one.coin.toUpperCase() },
                { title: 'US dollars', number: true, cell: (one) => one.usd ?? <Badge>failed</Badge> },
                { title: 'Agreed on by', cell: (one) => one.sources.join(', ') || '–' },
                {
                  title: 'Not believed',
                  cell: (one) =>
                    [...one.outliers, ...(one.rejected === null ? [] : [one.rejected])].join(', ') || '–',
                },
                { title: 'As of', cell: (one) => <Time at={one.fetched_at} /> },
                { title: 'Why there is none', cell: (one) => one.reason ?? '–' },
              ]}
            />
            <h2>Sources</h2>
            <Table
              label="Sources"
              rows={sources}
              empty={<p>No source is configured.</p>}
              columns={[
                { title: 'Source', cell: (one) => one.name },
                {
                  title: 'Host',
                  cell: (one) => (one.host === null ? 'the configuration' : <code>{one.host}</code>),
                },
                { title: 'Answered', cell: (one) => <Time at={one.answered_at} /> },
                { title: 'Left alone until', cell: (one) => <Time at={one.backoff_until} /> },
                { title: 'Last fault', cell: (one) => <bdi>{one.last_error ?? '–'}</bdi> },
              ]}
            />
          </>
        )}
      </Shown>
    </>
  );
}
