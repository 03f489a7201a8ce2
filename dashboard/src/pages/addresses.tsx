import { change } from '../api.ts';
import { Shown, useLoad } from '../load.tsx';
import { MerchantChoice, mayChange, useMerchant } from '../merchant.tsx';
import { Badge, Copy, duration, Table } from '../parts.tsx';
import { route } from '../route.ts';
import { AddAddresses } from './add-addresses.tsx';
import { Pages } from './payments.tsx';
import { PoolPlot, RangeChoice } from './plots.tsx';
import type { Address, List, Pool } from './types.ts';

/** How many addresses are free, for how long they suffice, and more of them. */
export function Addresses() {
  const { id, merchants } = useMerchant();
  const pools = useLoad<List<Pool>>(id === null ? null : `/pool/?merchant_id=${id}`);
  const cursor = route.value.query.get('cursor');
  const list = useLoad<List<Address>>(
    id === null ? null : `/merchants/${id}/addresses/?limit=50${cursor === null ? '' : `&cursor=${cursor}`}`,
  );
  const reload = () => {
    pools.reload();
    list.reload();
  };
  if (id === null) return <NoMerchant title="Addresses" />;
  return (
    <>
      <h1>Addresses</h1>
      <MerchantChoice id={id} merchants={merchants} />
      <Shown loaded={pools}>
        {({ data }) => (
          <Table
            label="Pools"
            rows={data}
            empty={
              <p>
                There is no address yet. Each payment that is open holds one: add as many as are open at once,
                and some more.
              </p>
            }
            columns={[
              {
                title: 'Pool',
                cell: (pool) => `${pool.network}${pool.currency === null ? '' : ` · ${pool.currency}`}`,
              },
              { title: 'State', cell: (pool) => <Badge>{pool.level}</Badge> },
              { title: 'Free', number: true, cell: (pool) => pool.free },
              { title: 'Held', number: true, cell: (pool) => pool.held },
              { title: 'In quarantine', number: true, cell: (pool) => pool.quarantined },
              { title: 'Retired', number: true, cell: (pool) => pool.retired },
              { title: 'Can be derived', number: true, cell: (pool) => pool.derivable },
              {
                title: 'Suffices',
                cell: ({ forecast }) =>
                  forecast.exhausted_in_seconds === null
                    ? 'at today’s pace'
                    : `for ${duration(forecast.exhausted_in_seconds)}`,
              },
            ]}
          />
        )}
      </Shown>
      <RangeChoice />
      <PoolPlot key={id} merchantId={id} />
      {mayChange() && <AddAddresses key={id} merchantId={id} done={reload} />}
      <h2>All addresses</h2>
      <Shown loaded={list}>
        {({ data, next_cursor }) => (
          <>
            <Table
              label="Addresses"
              rows={data}
              keyOf={({ id }) => id}
              empty={<p>None yet.</p>}
              columns={[
                { title: 'Address', cell: (row) => <Copy text={row.address} short /> },
                {
                  title: 'Network',
                  cell: (row) => `${row.network}${row.currency === null ? '' : ` · ${row.currency}`}`,
                },
                { title: 'State', cell: (row) => <Badge>{row.state}</Badge> },
                { title: 'Label', cell: (row) => <bdi>{row.label || '–'}</bdi> },
                {
                  title: 'Actions',
                  cell: (row) =>
                    mayChange() && (
                      <button
                        type="button"
                        class="plain"
                        onClick={() =>
                          void change(
                            'POST',
                            `/merchants/${id}/addresses/${row.id}/${row.active ? 'retire' : 'restore'}/`,
                          ).then(reload)
                        }
                      >
                        {row.active ? 'Retire' : 'Restore'}
                      </button>
                    ),
                },
              ]}
            />
            <Pages next={next_cursor} oldestFirst />
          </>
        )}
      </Shown>
    </>
  );
}

export function NoMerchant({ title }: { title: string }) {
  return (
    <>
      <h1>{title}</h1>
      <p class="empty">
        There is no merchant yet. <a href="#/merchants">Add the first one.</a>
      </p>
    </>
  );
}
