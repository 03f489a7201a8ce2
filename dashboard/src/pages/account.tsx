import { useState } from 'preact/hooks';
import { change, me, readMe } from '../api.ts';
import { Shown, useLoad } from '../load.tsx';
import { Copy, Fault, Table, TextField, Time, useSubmit } from '../parts.tsx';
import { QrCode } from '../qr-code.tsx';
import type { List, Session } from './types.ts';

/** One's own password, authenticator app and sessions. */
export function Account() {
  const sessions = useLoad<List<Session>>('/sessions/');
  return (
    <>
      <h1>Your account</h1>
      <Password done={sessions.reload} />
      <SecondFactor />
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
