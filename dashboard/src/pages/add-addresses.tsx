import { useMemo, useRef, useState } from 'preact/hooks';
import { longestAddress, portionsOf, readAddressLines } from '../address-lines.ts';
import { ApiError, change, me } from '../api.ts';
import { useLoad } from '../load.tsx';
import { Fault, Field, useSubmit } from '../parts.tsx';
import type { List } from './types.ts';

type Row = { line: number; address: string };
type Refused = Row & { reason: string };

/** What became of the rows; `valid`: of those that would be added. */
type Outcome = { dryRun: boolean; taken: number; refused: Refused[]; warnings: string[] };

type Answer = {
  results: { address: string; status: string; reason: string | null }[];
  warnings?: string[];
};

/** A longer text is shown by its number of lines: nobody edits it here, and browsers are slow with it. */
const mostEdited = 2_000;
/** Refused rows that are listed; all of them are in the file of them. */
const mostListed = 50;

/** Pasted or read from a file; each row is answered for itself, before anything is added where that is wanted. */
export function AddAddresses({ merchantId, done }: { merchantId: string; done: () => void }) {
  // Who sees one merchant alone names the network.
  const operator = me.value?.merchant_id === null;
  const chains = useLoad<List<{ network: string; chain: string }>>(operator ? '/chains/' : null, false);
  const [network, setNetwork] = useState('');
  const [text, setText] = useState('');
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [progress, setProgress] = useState<{ sent: number; of: number } | null>(null);
  const dryRun = useRef(false);
  const options = chains.data?.data ?? [];
  const chosen = network || options[0]?.network || 'bsc';
  const { rows, ignored } = useMemo(() => readAddressLines(text), [text]);

  async function send(): Promise<void> {
    const total: Outcome = { dryRun: dryRun.current, taken: 0, refused: [], warnings: [] };
    const { fits, unfit } = sort(rows);
    total.refused.push(...unfit);
    setOutcome(null);
    let sent = 0;
    try {
      for (const portion of portionsOf(fits)) {
        if (fits.length > portion.length) setProgress({ sent, of: fits.length });
        const answer = await change<Answer>('POST', `/merchants/${merchantId}/addresses/`, {
          network: chosen,
          addresses: portion.map(({ address }) => address),
          ...(total.dryRun ? { dry_run: true } : {}),
        });
        for (const [at, { address, status, reason }] of answer.results.entries()) {
          const line = portion[at]?.line ?? 0;
          if (status === 'refused') total.refused.push({ line, address, reason: reason ?? '' });
          else total.taken += 1;
        }
        total.warnings.push(...(answer.warnings ?? []));
        sent += portion.length;
      }
    } catch (error) {
      if (sent === 0) throw error;
      // What was not sent stays, to be sent again.
      if (!total.dryRun) setText(textOf([...total.refused, ...fits.slice(sent)]));
      const why = error instanceof ApiError ? error.message : String(error);
      throw new ApiError(0, { detail: `${why} The first ${sent} rows were sent; send the others again.` });
    } finally {
      setProgress(null);
      total.refused.sort((a, b) => a.line - b.line);
      if (sent > 0 || total.refused.length > 0) setOutcome(total);
      if (sent > 0 && !total.dryRun) done();
    }
    // What was refused stays, to be mended.
    if (!total.dryRun) setText(textOf(total.refused));
  }

  const { busy, error, submit } = useSubmit(send);
  const read = async (file: File | undefined) => {
    if (file !== undefined) setText(await file.text());
    setOutcome(null);
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
      {rows.length > mostEdited ? (
        <p>
          {count(rows.length)} addresses.{' '}
          <button type="button" class="plain" onClick={() => setText('')}>
            Clear
          </button>
        </p>
      ) : (
        <Field
          label="Addresses of your own wallet, one a line"
          hint={`${rows.length} found. Never a private key or a seed phrase: none is needed.`}
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
      )}
      <label>
        Or from a file{' '}
        <input
          type="file"
          accept=".txt,.csv,text/plain,text/csv"
          onChange={(e) => void read(e.currentTarget.files?.[0])}
        />
      </label>
      {ignored.length > 0 && (
        <p class="notice">
          Only the column “address” is read here, and not {ignored.join(', ')}. A table with networks,
          currencies and labels is read by <code>depositd address import</code>.
        </p>
      )}
      <Fault error={error} />
      <div class="actions">
        <button
          type="submit"
          class="first"
          disabled={busy || rows.length === 0}
          onClick={() => {
            dryRun.current = false;
          }}
        >
          Add
        </button>
        <button
          type="submit"
          disabled={busy || rows.length === 0}
          onClick={() => {
            dryRun.current = true;
          }}
        >
          Check first
        </button>
      </div>
      <div role="status">
        {progress !== null && (
          <p>
            {count(progress.sent)} of {count(progress.of)}
          </p>
        )}
        {outcome !== null && (
          <p>
            {count(outcome.taken)} {outcome.dryRun ? 'can be added' : 'added'},{' '}
            {count(outcome.refused.length)} refused.
          </p>
        )}
      </div>
      {progress !== null && <progress max={progress.of} value={progress.sent} aria-label="Addresses sent" />}
      {outcome !== null && <Reasons outcome={outcome} />}
    </form>
  );
}

function Reasons({ outcome: { refused, warnings } }: { outcome: Outcome }) {
  if (refused.length === 0 && warnings.length === 0) return null;
  return (
    <>
      {warnings.slice(0, mostListed).map((warning) => (
        <p key={warning} class="notice break">
          {warning}
        </p>
      ))}
      <ul>
        {refused.slice(0, mostListed).map(({ line, address, reason }) => (
          <li key={`${line} ${address}`}>
            Line {line}: <code class="break">{address.slice(0, 80)}</code> {reason}
          </li>
        ))}
      </ul>
      {refused.length > mostListed && (
        <p>
          And {count(refused.length - mostListed)} more.{' '}
          <button type="button" onClick={() => save(refused)}>
            Save all that were refused
          </button>
        </p>
      )}
    </>
  );
}

/** As a table whose first column is that of the addresses, so that it is read again once it is mended. */
function save(refused: readonly Refused[]): void {
  const cell = (text: string) => `"${/^[=+\-@\t\r]/.test(text) ? "'" : ''}${text.replaceAll('"', '""')}"`;
  const lines = refused.map(({ line, address, reason }) => `${cell(address)},${line},${cell(reason)}`);
  const blob = new Blob([`\ufeffaddress,line,reason\r\n${lines.join('\r\n')}\r\n`], { type: 'text/csv' });
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = 'refused-addresses.csv';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** What need not be sent to be refused; each request knows only its own rows. */
function sort(rows: readonly Row[]): { fits: Row[]; unfit: Refused[] } {
  const lines = new Map<string, number>();
  const fits: Row[] = [];
  const unfit: Refused[] = [];
  for (const row of rows) {
    const { line, address } = row;
    const identity = /^0x/i.test(address) ? address.toLowerCase() : address;
    const earlier = lines.get(identity);
    if (address === '') unfit.push({ ...row, reason: 'is empty' });
    else if (address.length > longestAddress)
      unfit.push({ line, address: `${address.slice(0, 12)}…`, reason: 'is longer than any address' });
    else if (earlier !== undefined) unfit.push({ ...row, reason: `stands in line ${earlier} already` });
    else {
      lines.set(identity, line);
      fits.push(row);
    }
  }
  return { fits, unfit };
}

function textOf(rows: readonly Row[]): string {
  return rows.map(({ address }) => address).join('\n');
}

function count(n: number): string {
  return n.toLocaleString('en-US');
}
