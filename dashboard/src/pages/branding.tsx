import { useState } from 'preact/hooks';
import { change } from '../api.ts';
import { Shown, useLoad } from '../load.tsx';
import { MerchantChoice, mayChange, useMerchant } from '../merchant.tsx';
import { Fault, Field, TextField, useSubmit } from '../parts.tsx';
import type { Brand } from './types.ts';

/** How a shop shows itself to its customers at the checkout. */
export function Branding() {
  const { id, merchants } = useMerchant();
  const brand = useLoad<Brand>(id === null ? null : `/merchants/${id}/brand/`, false);
  return (
    <>
      <h1>Branding</h1>
      <p>What customers see at the checkout. What is empty is taken from the shop's name.</p>
      <MerchantChoice id={id} merchants={merchants} />
      {id === null ? (
        <p class="empty">There is no merchant yet.</p>
      ) : (
        <Shown loaded={brand}>
          {(now) => <Form key={id} merchant={id} brand={now} done={brand.reload} />}
        </Shown>
      )}
    </>
  );
}

function Form({ merchant, brand, done }: { merchant: string; brand: Brand; done: () => void }) {
  const [given, setGiven] = useState({
    display_name: brand.display_name,
    accent: brand.accent ?? '',
    support_email: brand.support_email,
    support_url: brand.support_url,
  });
  /** Undefined: as it is; null: none. */
  const [logo, setLogo] = useState<string | null | undefined>(undefined);
  const [saved, setSaved] = useState(false);
  const set = (field: keyof typeof given) => (text: string) => {
    setSaved(false);
    setGiven((now) => ({ ...now, [field]: text }));
  };
  const { busy, error, submit } = useSubmit(async () => {
    await change('PATCH', `/merchants/${merchant}/`, {
      ...given,
      accent: given.accent === '' ? null : given.accent,
      ...(logo === undefined ? {} : { logo }),
    });
    setLogo(undefined);
    setSaved(true);
    done();
  });
  const may = mayChange();
  return (
    <form class="card" onSubmit={submit}>
      <TextField
        label="Name at the checkout"
        faults={error?.fields.display_name}
        maxLength={80}
        value={given.display_name}
        onValue={set('display_name')}
      />
      <TextField
        label="Colour"
        hint="Such as #1f57c3, on which white text can be read."
        faults={error?.fields.accent}
        maxLength={7}
        value={given.accent}
        onValue={set('accent')}
      />
      <TextField
        label="E-mail for customers"
        faults={error?.fields.support_email}
        maxLength={254}
        value={given.support_email}
        onValue={set('support_email')}
      />
      <TextField
        label="Page for customers"
        faults={error?.fields.support_url}
        maxLength={2048}
        placeholder="https://…"
        value={given.support_url}
        onValue={set('support_url')}
      />
      {brand.logo !== null && logo !== null && <img class="logo" src={brand.logo} alt="The logo now" />}
      <Field label="Logo" hint="A PNG or SVG of at most 64 KiB." faults={error?.fields.logo}>
        {(id, said) => (
          <input
            id={id}
            aria-describedby={said}
            type="file"
            accept="image/png,image/svg+xml"
            onChange={(event) => {
              setSaved(false);
              const file = event.currentTarget.files?.[0];
              void (file === undefined ? Promise.resolve(undefined) : readBase64(file)).then(setLogo);
            }}
          />
        )}
      </Field>
      {may && brand.logo !== null && logo !== null && (
        <button type="button" onClick={() => setLogo(null)}>
          Take the logo away
        </button>
      )}
      <Fault error={error} />
      {saved && <p role="status">Saved.</p>}
      {may && (
        <button type="submit" class="first" disabled={busy}>
          Save
        </button>
      )}
    </form>
  );
}

async function readBase64(file: File): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
