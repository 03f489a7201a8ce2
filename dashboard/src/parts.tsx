import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { ApiError } from './api.ts';

/** States in words, with a colour that says the same. */
const tones: Record<string, 'good' | 'warn' | 'bad' | 'calm'> = {
  confirmed: 'good',
  verified: 'good',
  delivered: 'good',
  done: 'good',
  ready: 'good',
  ok: 'good',
  free: 'good',
  pending: 'warn',
  sending: 'warn',
  low: 'warn',
  limited: 'warn',
  backoff: 'warn',
  late: 'warn',
  unmatched: 'warn',
  'not found yet': 'warn',
  'does not match': 'bad',
  failed: 'bad',
  exhausted: 'bad',
  disabled: 'bad',
  distrusted: 'bad',
  'wrong chain': 'bad',
};

export function Badge({ children }: { children: string }) {
  return <span class={`badge ${tones[children] ?? 'calm'}`}>{children}</span>;
}

/** A moment in the reader's own time, the exact one on hover. */
export function Time({ at }: { at: string | null }) {
  if (at === null) return <span class="quiet">–</span>;
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  const text = today
    ? date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })
    : date.toLocaleString([], { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
  return (
    <time dateTime={at} title={at}>
      {text}
    </time>
  );
}

export function usd(cents: number): string {
  return (cents / 100).toLocaleString('en-US', { style: 'currency', currency: 'USD' });
}

export function duration(seconds: number): string {
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** A long text that is copied, not read. */
export function Copy({ text, short = false }: { text: string; short?: boolean }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  const shown = short && text.length > 20 ? `${text.slice(0, 10)}…${text.slice(-6)}` : text;
  return (
    <span class="copy">
      <code title={text}>{shown}</code>
      <button type="button" class="plain" onClick={() => void copy()} aria-label={`Copy ${text}`}>
        {copied ? 'copied' : 'copy'}
      </button>
    </span>
  );
}

export type Column<T> = { title: string; cell: (row: T) => ComponentChildren; number?: boolean };

/** Rows under headings; on a narrow screen each row is a card whose cells name themselves. */
export function Table<T>({
  label,
  columns,
  rows,
  empty,
  keyOf,
}: {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  empty: ComponentChildren;
  /** What was typed or opened in a row stays with it, wherever it stands. */
  keyOf?: (row: T) => string | number;
}) {
  if (rows.length === 0) return <div class="empty">{empty}</div>;
  return (
    <table>
      <caption class="hidden">{label}</caption>
      <thead>
        <tr>
          {columns.map(({ title, number }) => (
            <th key={title} scope="col" class={number ? 'number' : ''}>
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row, at) => (
          <tr key={keyOf?.(row) ?? at}>
            {columns.map(({ title, cell, number }) => (
              <td key={title} data-title={title} class={number ? 'number' : ''}>
                {cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function Field({
  label,
  hint,
  faults,
  children,
}: {
  label: string;
  hint?: string;
  faults?: readonly string[] | undefined;
  children: (id: string, describedBy: string) => ComponentChildren;
}) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children(id, `${id}-said`)}
      <small id={`${id}-said`} class={faults === undefined ? '' : 'fault'}>
        {faults?.join(', ') ?? hint ?? ''}
      </small>
    </div>
  );
}

/** A field of one line. */
export function TextField({
  label,
  hint,
  faults,
  onValue,
  ...input
}: {
  label: string;
  hint?: string;
  faults?: readonly string[] | undefined;
  value: string;
  onValue: (value: string) => void;
  type?: 'text' | 'password' | 'url';
  required?: boolean;
  minLength?: number;
  maxLength?: number;
  autoComplete?: string;
  inputMode?: 'numeric' | 'text';
  placeholder?: string;
}) {
  return (
    <Field label={label} {...(hint === undefined ? {} : { hint })} faults={faults}>
      {(id, said) => (
        <input
          // The types of an input differ by its `type`, which only the caller knows.
          {...(input as object)}
          id={id}
          aria-describedby={said}
          onInput={(event) => onValue(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

/** A form whose answer is shown beside it; what was typed stays where something was wrong. */
export function useSubmit(work: () => Promise<unknown>): {
  busy: boolean;
  error: ApiError | null;
  submit: (event: Event) => void;
} {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      await work();
    } catch (thrown) {
      setError(thrown instanceof ApiError ? thrown : new ApiError(0, { detail: String(thrown) }));
    } finally {
      setBusy(false);
    }
  };
  return { busy, error, submit: (event) => void submit(event) };
}

/** What is wrong with the whole of a form. */
export function Fault({ error }: { error: ApiError | null }) {
  if (error === null || Object.keys(error.fields).length > 0) return null;
  return (
    <p class="notice bad" role="alert">
      {error.message}
    </p>
  );
}

export function Dialog({
  title,
  onClose,
  children,
}: {
  title: string;
  onClose: (() => void) | null;
  children: ComponentChildren;
}) {
  const own = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => own.current?.showModal(), []);
  return (
    <dialog
      ref={own}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose?.();
      }}
    >
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

/** A change that needs a reason, asked for before it is made. */
export function Act({
  name,
  question,
  reason = false,
  work,
}: {
  name: string;
  question: string;
  reason?: boolean;
  work: (reason: string) => Promise<unknown>;
}) {
  const [open, setOpen] = useState(false);
  const [why, setWhy] = useState('');
  const { busy, error, submit } = useSubmit(async () => {
    await work(why);
    setOpen(false);
    setWhy('');
  });
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        {name}
      </button>
      {open && (
        <Dialog title={name} onClose={() => setOpen(false)}>
          <form onSubmit={submit}>
            <p>{question}</p>
            {reason && (
              <Field label="Reason, for the audit log" faults={error?.fields.reason}>
                {(id, said) => (
                  <input
                    id={id}
                    aria-describedby={said}
                    required
                    maxLength={500}
                    value={why}
                    onInput={(event) => setWhy(event.currentTarget.value)}
                  />
                )}
              </Field>
            )}
            {error !== null && error.fields.reason === undefined && (
              <p class="notice bad" role="alert">
                {error.message}
              </p>
            )}
            <div class="actions">
              <button type="submit" class="first" disabled={busy}>
                {name}
              </button>
              <button type="button" onClick={() => setOpen(false)}>
                Back
              </button>
            </div>
          </form>
        </Dialog>
      )}
    </>
  );
}
