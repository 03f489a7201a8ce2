import { Shown, useLoad } from '../load.tsx';
import { Badge, duration, Table, Time } from '../parts.tsx';
import { failureNames, NodePlots, RangeChoice } from './plots.tsx';
import { Rescans } from './rescans.tsx';
import type { Chain, List, Node } from './types.ts';

/** How far each chain is read, and what its nodes are like. */
export function Chains() {
  const chains = useLoad<List<Chain>>('/chains/');
  return (
    <>
      <h1>Chains</h1>
      <Shown loaded={chains}>
        {({ data }) => (
          <>
            <RangeChoice />
            {data.map((chain) => (
              <One key={chain.network} chain={chain} />
            ))}
          </>
        )}
      </Shown>
    </>
  );
}

function One({ chain }: { chain: Chain }) {
  const { cursor, head, coverage } = chain;
  const behind = cursor === null || head === null ? null : head - cursor.height;
  const age = cursor === null ? null : Math.max(0, Math.round((Date.now() - Date.parse(cursor.time)) / 1000));
  return (
    <section class="card" aria-label={chain.chain}>
      <h2>
        {chain.chain} <Badge>{chain.available ? 'ok' : 'failed'}</Badge>
      </h2>
      {chain.reason !== null && <p class="notice bad">{chain.reason}</p>}
      <dl class="facts">
        <div>
          <dt>Read up to</dt>
          <dd>{cursor === null ? 'nothing yet' : cursor.height}</dd>
        </div>
        <div>
          <dt>Head</dt>
          <dd>{head ?? '–'}</dd>
        </div>
        <div>
          <dt>Behind</dt>
          <dd>
            {behind === null ? '–' : `${behind} blocks`}
            {age !== null && <small>, block {duration(age)} old</small>}
          </dd>
        </div>
        <div>
          <dt>Finalized</dt>
          <dd>{chain.finalized ?? '–'}</dd>
        </div>
        <div>
          <dt>Proven complete</dt>
          <dd>{coverage === null ? '–' : `${coverage.from} to ${coverage.complete_to}`}</dd>
        </div>
        <div>
          <dt>Read a second time up to</dt>
          <dd>{coverage?.rechecked_to ?? '–'}</dd>
        </div>
        <div>
          <dt>Last read</dt>
          <dd>
            <Time at={chain.read_at} />
          </dd>
        </div>
      </dl>
      {coverage !== null && coverage.gaps.length > 0 && (
        <p class="notice bad">
          Passed over: {coverage.gaps.map(({ from, to }) => `${from} to ${to}`).join(', ')}. Have them read
          below.
        </p>
      )}
      {chain.slowed !== null && (
        <p class="notice">
          It is read every {chain.slowed.every_seconds} seconds, so that the plan of{' '}
          <code>{chain.slowed.host}</code> lasts until midnight (UTC).
        </p>
      )}
      <Table
        label={`Nodes of ${chain.chain}`}
        rows={chain.nodes}
        empty={<p>Nothing is known of its nodes yet.</p>}
        columns={[
          { title: 'Node', cell: (node) => <code>{node.host}</code> },
          { title: 'State', cell: (node) => <Badge>{node.state}</Badge> },
          { title: 'Head', number: true, cell: (node) => node.head ?? '–' },
          { title: 'Lag', number: true, cell: (node) => node.lag ?? '–' },
          { title: 'Answers within', number: true, cell: ({ last_hour }) => latencyOf(last_hour) },
          { title: 'Failed', cell: ({ last_hour }) => failuresOf(last_hour) },
          { title: 'Answered', cell: (node) => <Time at={node.answered_at} /> },
          { title: 'Calls today', number: true, cell: ({ today }) => callsOf(today) },
          {
            title: 'Last fault',
            cell: (node) => <bdi>{node.last_error ?? (node.lacks.join(', ') || '–')}</bdi>,
          },
        ]}
      />
      {chain.nodes.length > 0 && (
        <p class="quiet">
          Within what time half and 95 % of the answers of the last hour came, and how often nodes failed in
          it.
        </p>
      )}
      <NodePlots network={chain.network} chain={chain.chain} />
      <Rescans chain={chain} />
    </section>
  );
}

function callsOf({ calls, bytes, calls_allowed: allowed }: Node['today']): string {
  const shown = allowed === null ? String(calls) : `${calls} of ${allowed}`;
  return `${shown}, ${(bytes / 1_000_000).toFixed(1)} MB`;
}

type LastHour = Node['last_hour'];

function latencyOf({ p50_ms: p50, p95_ms: p95 }: LastHour): string {
  return p50 === null ? '–' : `${p50} / ${p95} ms`;
}

function failuresOf({ failures }: LastHour): string {
  const some = Object.entries(failures).filter(([, count]) => count > 0);
  return (
    some.map(([kind, count]) => `${count} ${failureNames[kind as keyof LastHour['failures']]}`).join(', ') ||
    '–'
  );
}
