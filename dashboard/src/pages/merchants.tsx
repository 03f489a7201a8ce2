import { useState } from 'preact/hooks';
import { change, me } from '../api.ts';
import { Shown, useLoad } from '../load.tsx';
import { MerchantChoice, mayChange, useMerchant } from '../merchant.tsx';
import { Act, Copy, Fault, Table, TextField, Time, useSubmit } from '../parts.tsx';
import { ask, link, route } from '../route.ts';
import { Pages } from './payments.tsx';
import type { Key, List, Merchant } from './types.ts';

/** Whom payments are for, and the keys of their apps. */
export function Merchants() {
  const all = me.value?.merchant_id === null;
  const { id, merchants } = useMerchant();
  const [secret, setSecret] = useState<string | null>(null);
  const cursor = route.value.query.get('cursor');
  const list = useLoad<List<Merchant>>(
    all ? `/merchants/?limit=50${cursor === null ? '' : `&cursor=${cursor}`}` : null,
  );
  const keys = useLoad<List<Key>>(id === null ? null : `/merchants/${id}/api-keys/`);
  return (
    <>
      <h1>Merchants and keys</h1>
      {secret !== null && (
        <p class="notice good" role="status">
          The API key, which is shown this once: <Copy text={secret} />
        </p>
      )}
      {all && (
        <Shown loaded={list}>
          {({ data, next_cursor }) => (
            <>
              <Table
                label="Merchants"
                rows={data}
                empty={<p>There is no merchant yet: add your shop.</p>}
                columns={[
                  {
                    title: 'Name',
                    cell: (one) => (
                      <a href={link(['merchants'], { merchant: one.id })}>
                        <bdi>{one.name}</bdi>
                      </a>
                    ),
                  },
                  { title: 'Id', cell: (one) => <Copy text={one.id} /> },
                  { title: 'Added', cell: (one) => <Time at={one.created_at} /> },
                  { title: 'Removed', cell: (one) => <Time at={one.removed_at} /> },
                ]}
              />
              <Pages next={next_cursor} oldestFirst />
            </>
          )}
        </Shown>
      )}
      {me.value?.role === 'operator' && (
        <AddMerchant
          done={(made) => {
            setSecret(made.api_key);
            ask({ merchant: made.id });
            list.reload();
            keys.reload();
          }}
        />
      )}
      {id !== null && (
        <>
          <h2>API keys</h2>
          <MerchantChoice id={id} merchants={merchants} />
          <Shown loaded={keys}>
            {({ data }) => (
              <Table
                label="API keys"
                rows={data}
                empty={<p>No key yet.</p>}
                columns={[
                  { title: 'Begins with', cell: (key) => <code>{key.prefix}…</code> },
                  { title: 'Added', cell: (key) => <Time at={key.created_at} /> },
                  { title: 'Revoked', cell: (key) => <Time at={key.revoked_at} /> },
                  {
                    title: 'Actions',
                    cell: (key) =>
                      key.revoked_at === null &&
                      mayChange() && (
                        <Act
                          name="Revoke"
                          question={`Apps with the key ${key.prefix}… are refused from now on.`}
                          work={async () => {
                            await change('DELETE', `/merchants/${id}/api-keys/${key.id}/`);
                            keys.reload();
                          }}
                        />
                      ),
                  },
                ]}
              />
            )}
          </Shown>
          {mayChange() && (
            <Act
              name="Add a key"
              question="Makes another API key; those that there are go on working."
              work={async () => {
                const made = await change<{ api_key: string }>('POST', `/merchants/${id}/api-keys/`);
                setSecret(made.api_key);
                keys.reload();
              }}
            />
          )}
        </>
      )}
    </>
  );
}

type Made = { id: string; api_key: string };

function AddMerchant({ done }: { done: (made: Made) => void }) {
  const [name, setName] = useState('');
  const { busy, error, submit } = useSubmit(async () => {
    const made = await change<Made>('POST', '/merchants/', { name });
    setName('');
    done(made);
  });
  return (
    <form class="card" onSubmit={submit}>
      <h2>Add a merchant</h2>
      <TextField
        label="Name of the shop"
        faults={error?.fields.name}
        required
        maxLength={200}
        value={name}
        onValue={setName}
      />
      <Fault error={error} />
      <button type="submit" class="first" disabled={busy}>
        Add
      </button>
    </form>
  );
}
