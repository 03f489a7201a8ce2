import { useState } from 'preact/hooks';
import { addPasskey, change, hasPasskeys, me, readMe } from '../api.ts';
import { Shown, useLoad } from '../load.tsx';
import { Copy, Fault, Table, TextField, Time, useSubmit } from '../parts.tsx';
import { QrCode } from '../qr-code.tsx';
import type { List, PasskeyRow, Session } from './types.ts';

/** One's own password, authenticator app and sessions. */
export function Account() {
  const sessions = useLoad<List<Session>>('/sessions/');
  return (
    <>
      <h1>Your account</h1>
      <Password done={sessions.reload} />
      <SecondFactor />
      {hasPasskeys && <Passkeys />}
      <h2>Where you are signed in</h2>
      <Shown loaded={sessions}>
        {({ data }) => (
          <Table
            label="Sessions"
            rows={data}
            empty={<p>Nowhere.</p>}
            columns={[
              { title: 'Browser', cell: (one) => <bdi class="break">{one.agent || 'unknown'}</bdi> },
              { title: 'From', cell: (one) => one.address },
              { title: 'Begun', cell: (one) => <Time at={one.created_at} /> },
              { title: 'Last seen', cell: (one) => <Time at={one.seen_at} /> },
              {
                title: 'Actions',
                cell: (one) =>
                  one.current ? (
                    'this one'
                  ) : (
                    <button
                      type="button"
                      onClick={() => void change('DELETE', `/sessions/${one.id}/`).then(sessions.reload)}
                    >
                      End
                    </button>
                  ),
              },
            ]}
          />
        )}
      </Shown>
    </>
  );
}

function Secret({
  label,
  value,
  set,
  faults,
  fresh,
}: {
  label: string;
  value: string;
  set: (text: string) => void;
  faults?: string[] | undefined;
  fresh?: boolean;
}) {
  return (
    <TextField
      label={label}
      faults={faults}
      type="password"
      required
      autoComplete={fresh ? 'new-password' : 'current-password'}
      value={value}
      onValue={set}
    />
  );
}

function Password({ done }: { done: () => void }) {
  const [password, setPassword] = useState('');
  const [wanted, setWanted] = useState('');
  const [changed, setChanged] = useState(false);
  const { busy, error, submit } = useSubmit(async () => {
    await change('POST', '/session/password/', { password, new_password: wanted });
    setPassword('');
    setWanted('');
    setChanged(true);
    done();
  });
  return (
    <form class="card" onSubmit={submit}>
      <h2>Password</h2>
      <Secret label="The one you have" value={password} set={setPassword} faults={error?.fields.password} />
      <Secret label="The new one" value={wanted} set={setWanted} faults={error?.fields.new_password} fresh />
      <Fault error={error} />
      {changed && <p role="status">Changed. Your other sessions have ended.</p>}
      <button type="submit" class="first" disabled={busy}>
        Change
      </button>
    </form>
  );
}

function SecondFactor() {
  const [begun, setBegun] = useState<{ secret: string; uri: string } | null>(null);
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const [codes, setCodes] = useState<string[] | null>(null);
  const on = me.value?.second_factor === true;
  const { busy, error, submit } = useSubmit(async () => {
    if (on) await change('POST', '/session/totp/remove/', { password, code });
    else if (begun === null) return setBegun(await change('POST', '/session/totp/'));
    else {
      const made = await change<{ recovery_codes: string[] }>('PUT', '/session/totp/', {
        password,
        secret: begun.secret,
        code,
      });
      setCodes(made.recovery_codes);
    }
    setPassword('');
    setCode('');
    setBegun(null);
    await readMe();
  });
  return (
    <form class="card" onSubmit={submit}>
      <h2>Authenticator app</h2>
      <p>
        {on
          ? 'A code of it is asked for whenever you sign in.'
          : 'With one, a stolen password alone opens nothing.'}
      </p>
      {codes !== null && (
        <div class="notice good" role="status">
          <p>Keep these codes where your phone is not. Each signs you in once; they are not shown again.</p>
          <ul class="codes">
            {codes.map((one) => (
              <li key={one}>
                <code>{one}</code>
              </li>
            ))}
          </ul>
          <Copy text={codes.join('\n')} short />
        </div>
      )}
      {begun !== null && (
        <>
          <p>Scan this with your app:</p>
          <QrCode text={begun.uri} label="QR code for your authenticator app" />
          <p>
            Or add this key, by hand or with <a href={begun.uri}>this link</a>: <Copy text={begun.secret} />
          </p>
        </>
      )}
      {(on || begun !== null) && (
        <>
          <TextField
            label={on ? 'The code that it shows now, or a recovery code' : 'The code that it shows now'}
            faults={error?.fields.code}
            required
            inputMode={on ? 'text' : 'numeric'}
            autoComplete="one-time-code"
            value={code}
            onValue={setCode}
          />
          <Secret label="Your password" value={password} set={setPassword} faults={error?.fields.password} />
        </>
      )}
      <Fault error={error} />
      <button type="submit" class={on ? '' : 'first'} disabled={busy}>
        {on ? 'Remove it' : begun === null ? 'Set one up' : 'Use it from now on'}
      </button>
    </form>
  );
}

function Passkeys() {
  const passkeys = useLoad<List<PasskeyRow>>('/session/passkeys/', false);
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const [removing, setRemoving] = useState<string | null>(null);
  const { busy, error, submit } = useSubmit(async () => {
    if (removing === null) await addPasskey({ name, password, code });
    else await change('POST', '/session/passkeys/remove/', { id: removing, password });
    setName('');
    setPassword('');
    setCode('');
    setRemoving(null);
    passkeys.reload();
  });
  const rows = passkeys.data?.data ?? [];
  return (
    <form class="card" onSubmit={submit}>
      <h2>Passkeys</h2>
      <p>A key in your phone, computer or security key signs you in without a password.</p>
      <Table
        label="Passkeys"
        rows={rows}
        empty={<p>You have none.</p>}
        columns={[
          { title: 'Device', cell: (one) => <bdi>{one.name}</bdi> },
          { title: 'Made', cell: (one) => <Time at={one.created_at} /> },
          { title: 'Last used', cell: (one) => <Time at={one.used_at} /> },
          {
            title: 'Actions',
            cell: (one) => (
              <button type="button" onClick={() => setRemoving(one.id)}>
                Remove
              </button>
            ),
          },
        ]}
      />
      {removing === null ? (
        <TextField
          label="Name of the device"
          faults={error?.fields.name ?? error?.fields.credential}
          required
          maxLength={60}
          value={name}
          onValue={setName}
        />
      ) : (
        <p role="status">
          {rows.find(({ id }) => id === removing)?.name} will not sign you in any more. Your password removes
          it.
        </p>
      )}
      <Secret
        label="The password you sign in with"
        value={password}
        set={setPassword}
        faults={error?.fields.password}
      />
      {removing === null && me.value?.second_factor === true && (
        <TextField
          label="A code of your authenticator app, or a recovery code"
          faults={error?.fields.code}
          required
          autoComplete="one-time-code"
          value={code}
          onValue={setCode}
        />
      )}
      <Fault error={error} />
      <div class="actions">
        <button type="submit" class={removing === null ? 'first' : ''} disabled={busy}>
          {removing === null ? 'Add a passkey' : 'Remove the passkey'}
        </button>
        {removing !== null && (
          <button type="button" onClick={() => setRemoving(null)}>
            Back
          </button>
        )}
      </div>
    </form>
  );
}
