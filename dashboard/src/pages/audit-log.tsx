import { ShownList, useList } from '../list.tsx';
import { Table, Time } from '../parts.tsx';
import { route } from '../route.ts';
import { Pages } from './payments.tsx';
import type { AuditEntry } from './types.ts';

/** Who changed what, and when. */
export function AuditLog() {
  const cursor = route.value.query.get('cursor');
  const entries = useList<AuditEntry>(`/audit/${cursor === null ? '' : `?cursor=${cursor}`}`, ({ id }) => id);
  return (
    <>
      <h1>Audit log</h1>
      <ShownList list={entries} name={['entry', 'entries']}>
        {({ data, next_cursor }) => (
          <>
            <Table
              label="Audit log"
              rows={data}
              keyOf={({ id }) => id}
              empty={<p>Nobody has changed anything yet.</p>}
              columns={[
                { title: 'When', cell: (one) => <Time at={one.at} /> },
                { title: 'Who', cell: (one) => <bdi>{one.actor}</bdi> },
                { title: 'What', cell: (one) => one.action },
                { title: 'Of', cell: (one) => <bdi class="break">{one.subject}</bdi> },
                { title: 'More', cell: (one) => <code class="break">{JSON.stringify(one.detail)}</code> },
              ]}
            />
            <Pages next={next_cursor} />
          </>
        )}
      </ShownList>
    </>
  );
}
