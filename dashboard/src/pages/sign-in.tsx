import { useState } from 'preact/hooks';
import { ApiError, hasPasskeys, me, readMe, setUp, signIn, signInWithPasskey } from '../api.ts';
import { Fault, Field, TextField, useSubmit } from '../parts.tsx';

/** Asks for name and password, and for a code where the account has an authenticator app. */
export function SignIn({ name: known = '' }: { name?: string }) {
  const [name, setName] = useState(known);
  const [password, setPassword] = useState('');
  const [code, setCode] = useState('');
  const [coded, setCoded] = useState(false);
  const { busy, error, submit } = useSubmit(async () => {
    try {
      await signIn({ name, password, ...(coded ? { code } : {}) });
    } catch (thrown) {
      if (!(thrown instanceof ApiError) || thrown.code !== 'code_required') throw thrown;
      setCoded(true);
    }
  });
  const passkey = useSubmit(signInWithPasskey);
  return (
    <form class={known === '' ? 'card alone' : ''} onSubmit={submit}>
      {known === '' && <h1>depositd</h1>}
      <Field label="Name" faults={error?.fields.name}>
        {(id) => (
          <input
            id={id}
            required
            autoComplete="username"
            value={name}
            onInput={(e) => setName(e.currentTarget.value)}
          />
        )}
      </Field>
      <Field label="Password">
        {(id) => (
          <input
            id={id}
            type="password"
            required
            autoComplete="current-password"
            value={password}
            onInput={(e) => setPassword(e.currentTarget.value)}
          />
        )}
      </Field>
      {coded && (
        <TextField
          label="Code of your authenticator app"
          hint="Or one of your recovery codes."
          required
          autoComplete="one-time-code"
          value={code}
          onValue={setCode}
        />
      )}
      <Fault error={error} />
      <button type="submit" class="first" disabled={busy}>
        {busy ? 'Signing in…' : 'Sign in'}
      </button>
      {hasPasskeys && (
        <button type="button" onClick={passkey.submit} disabled={passkey.busy}>
          Use a passkey
        </button>
      )}
      <Fault error={passkey.error} />
    </form>
  );
}

/** What a link opens: whoever has it chooses a password, the first operator also a name. */
export function SetUp({ token, named }: { token: string; named: boolean }) {
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [repeated, setRepeated] = useState('');
  const [differs, setDiffers] = useState(false);
  const { busy, error, submit } = useSubmit(async () => {
    setDiffers(password !== repeated);
    if (password !== repeated) return;
    await setUp({ link: token, password, ...(named ? { name } : {}) });
    if (me.value == null) await readMe();
    location.hash = '#/';
  });
  return (
    <form class="card alone" onSubmit={submit}>
      <h1>{named ? 'Welcome to depositd' : 'Choose your password'}</h1>
      {named && <p>You are about to become the first operator of this service.</p>}
      {named && (
        <TextField
          label="Your name"
          hint="With it you sign in; the audit log shows it."
          faults={error?.fields.name}
          required
          maxLength={64}
          autoComplete="username"
          value={name}
          onValue={setName}
        />
      )}
      <TextField
        label="Password"
        hint="At least 12 characters; a few words are good."
        faults={error?.fields.password}
        type="password"
        required
        minLength={12}
        autoComplete="new-password"
        value={password}
        onValue={setPassword}
      />
      <TextField
        label="The same again"
        faults={differs ? ['the two passwords differ'] : undefined}
        type="password"
        required
        autoComplete="new-password"
        value={repeated}
        onValue={setRepeated}
      />
      {error?.fields.link !== undefined && (
        <p class="notice bad" role="alert">
          This link was used, or its time is over. Start the service again for another one, or run{' '}
          <code>depositd user reset-password</code>.
        </p>
      )}
      <Fault error={error} />
      <button type="submit" class="first" disabled={busy}>
        {named ? 'Begin' : 'Set the password'}
      </button>
    </form>
  );
}
