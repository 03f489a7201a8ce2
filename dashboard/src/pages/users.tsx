import { useState } from 'preact/hooks';
import { change, me } from '../api.ts';
import { Shown, useLoad } from '../load.tsx';
import { firstMerchants } from '../merchant.tsx';
import { Act, Badge, Copy, Fault, Field, Table, TextField, Time, useSubmit } from '../parts.tsx';
import { route } from '../route.ts';
import { Pages } from './payments.tsx';
import type { List, Merchant, User } from './types.ts';

/** Who may sign in here. */
export function Users() {
  const cursor = route.value.query.get('cursor');
  const users = useLoad<List<User>>(`/users/?limit=50${cursor === null ? '' : `&cursor=${cursor}`}`);
  const [made, setMade] = useState<string | null>(null);
  const tell = (path: string) => {
    setMade(location.origin + path);
    users.reload();
  };
  const operator = me.value?.role === 'operator';
  return (
    <>
      <h1>Users</h1>
      {made !== null && (
        <p class="notice good" role="status">
          Give them this link, by which they choose a password. It is good once, for a day:{' '}
          <Copy text={made} />
        </p>
      )}
      <Shown loaded={users}>
        {({ data, next_cursor }) => (
          <>
            <Table
              label="Users"
              rows={data}
              empty={<p>Nobody yet.</p>}
              columns={[
                { title: 'Name', cell: (one) => <bdi>{one.name}</bdi> },
                { title: 'Role', cell: (one) => one.role },
                { title: 'Merchant', cell: (one) => one.merchant_id ?? 'all' },
                { title: 'Second factor', cell: (one) => (one.second_factor ? 'yes' : 'no') },
                {
                  title: 'State',
                  cell: (one) => (
                    <Badge>
                      {one.disabled_at !== null ? 'disabled' : one.has_password ? 'ok' : 'invited'}
                    </Badge>
                  ),
                },
                { title: 'Added', cell: (one) => <Time at={one.created_at} /> },
                {
                  title: 'Actions',
                  cell: (one) =>
                    operator &&
                    one.disabled_at === null && (
                      <div class="actions">
                        <Act
                          name="New password"
                          question={`Makes a link by which ${one.name} chooses a new password.`}
                          work={async () =>
                            tell(
                              (await change<{ link: string }>('POST', `/users/${one.id}/reset-password/`))
                                .link,
                            )
                          }
                        />
                        <Act
                          name="Disable"
                          question={`${one.name} is signed out and never signs in again.`}
                          work={async () => {
                            await change('DELETE', `/users/${one.id}/`);
                            users.reload();
                          }}
                        />
                      </div>
                    ),
                },
              ]}
            />
            <Pages next={next_cursor} oldestFirst />
          </>
        )}
      </Shown>
      {operator && <AddUser done={tell} />}
    </>
  );
}

function AddUser({ done }: { done: (link: string) => void }) {
  const merchants = useLoad<List<Merchant>>(firstMerchants, false);
  const [name, setName] = useState('');
  const [role, setRole] = useState('operator');
  const [merchant, setMerchant] = useState('');
  const { busy, error, submit } = useSubmit(async () => {
    const merchant_id = role === 'operator' || merchant === '' ? null : merchant;
    const added = await change<{ link: string }>('POST', '/users/', { name, role, merchant_id });
    setName('');
    done(added.link);
  });
  return (
    <form class="card" onSubmit={submit}>
      <h2>Add a user</h2>
      <TextField
        label="Name"
        faults={error?.fields.name}
        required
        maxLength={64}
        value={name}
        onValue={setName}
      />
      <Field
        label="Role"
        hint="Operators do everything; users of a merchant manage that shop; viewers only look."
      >
        {(id, said) => (
          <select
            id={id}
            aria-describedby={said}
            value={role}
            onChange={(e) => setRole(e.currentTarget.value)}
          >
            <option>operator</option>
            <option>merchant</option>
            <option>viewer</option>
          </select>
        )}
      </Field>
      {role !== 'operator' && (
        <Field label="Merchant" faults={error?.fields.merchant_id}>
          {(id, said) => (
            <select
              id={id}
              aria-describedby={said}
              value={merchant}
              onChange={(e) => setMerchant(e.currentTarget.value)}
            >
              <option value="">{role === 'viewer' ? 'all' : 'choose one'}</option>
              {(merchants.data?.data ?? []).map((one) => (
                <option key={one.id} value={one.id}>
                  {one.name}
                </option>
              ))}
              {merchants.data?.next_cursor != null && (
                <option disabled>others: by the command user add</option>
              )}
            </select>
          )}
        </Field>
      )}
      <Fault error={error} />
      <button type="submit" class="first" disabled={busy}>
        Add
      </button>
    </form>
  );
}
