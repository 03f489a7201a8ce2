import { useState } from 'preact/hooks';
import { change, me } from '../api.ts';
import { Shown, useLoad } from '../load.tsx';
import { MerchantChoice, mayChange, useMerchant } from '../merchant.tsx';
import { Badge, Copy, duration, Fault, Field, Table, useSubmit } from '../parts.tsx';
import { route } from '../route.ts';
import { Pages } from './payments.tsx';
import { PoolPlot, RangeChoice } from './plots.tsx';
import type { Address, List, Pool } from './types.ts';

type Added = {
  added: number;
  refused: number;
  results: { address: string; status: string; reason: string | null }[];
};

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
            <Pages next={next_cursor} />
          </>
        )}
      </Shown>
    </>
  );
}

/** Pasted or read from a file, one a line; each is answered for itself. */
function AddAddresses({ merchantId, done }: { merchantId: string; done: () => void }) {
  // Who sees one merchant alone names the network.
  const operator = me.value?.merchant_id === null;
  const chains = useLoad<List<{ network: string; chain: string }>>(operator ? '/chains/' : null, false);
  const [network, setNetwork] = useState('');
  const [text, setText] = useState('');
  const [added, setAdded] = useState<Added | null>(null);
  const options = chains.data?.data ?? [];
  const chosen = network || options[0]?.network || 'bsc';
  const lines = text.split(/[\s,;]+/).filter((line) => line !== '');
  const { busy, error, submit } = useSubmit(async () => {
    const answer = await change<Added>('POST', `/merchants/${merchantId}/addresses/`, {
      network: chosen,
      addresses: lines,
    });
    setAdded(answer);
    // What was refused stays, to be mended.
    setText(
      answer.results
        .filter(({ status }) => status === 'refused')
        .map(({ address }) => address)
        .join('\n'),
    );
    done();
  });
  const read = async (file: File | undefined) => {
    if (file !== undefined) setText(await file.text());
  };
  return (
    <form class="card" onSubmit={submit}>
      <h2>Add addresses</h2>
      <Field label="Network" faults={error?.fields.network}>
        {(id, said) =>
          operator ? (
            <select
              id={id}
              aria-describedby={said}
              value={chosen}
              onChange={(e) => setNetwork(e.currentTarget.value)}
            >
              {options.map((one) => (
                <option key={one.network} value={one.network}>
                  {one.chain}
                </option>
              ))}
            </select>
          ) : (
            <input
              id={id}
              aria-describedby={said}
              value={chosen}
              onInput={(e) => setNetwork(e.currentTarget.value)}
            />
          )
        }
      </Field>
      <Field
        label="Addresses of your own wallet, one a line"
        hint={`${lines.length} found. Never a private key or a seed phrase: none is needed.`}
        faults={error?.fields.addresses}
      >
        {(id, said) => (
          <textarea
            id={id}
            rows={4}
            aria-describedby={said}
            spellcheck={false}
            value={text}
            onInput={(e) => setText(e.currentTarget.value)}
          />
        )}
      </Field>
      <label>
        Or from a file{' '}
        <input
          type="file"
          accept=".txt,.csv,text/plain,text/csv"
          onChange={(e) => void read(e.currentTarget.files?.[0])}
        />
      </label>
      <Fault error={error} />
      <button type="submit" class="first" disabled={busy || lines.length === 0}>
        Add
      </button>
      {added !== null && (
        <div role="status">
          <p>
            {added.added} added, {added.refused} refused.
          </p>
          {added.refused > 0 && (
            <ul>
              {added.results
                .filter(({ status }) => status === 'refused')
                .slice(0, 50)
                .map(({ address, reason }) => (
                  <li key={address}>
                    <code>{address}</code> {reason}
                  </li>
                ))}
            </ul>
          )}
        </div>
      )}
    </form>
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
