import { useEffect, useState } from 'preact/hooks';
import { change, me } from '../api.ts';
import { Shown, useLoad } from '../load.tsx';
import { Act, Badge, Fault, Table, TextField, Time, useSubmit } from '../parts.tsx';
import { link } from '../route.ts';
import type { Chain, List, Rescan } from './types.ts';

/** Between two looks at how far it is, ms. */
const everyMs = 2_000;

/** Blocks that are read again: the one that runs with its progress, what the last ones found, and the next one. */
export function Rescans({ chain }: { chain: Chain }) {
  const path = `/chains/${chain.network}/rescans/`;
  const rescans = useLoad<List<Rescan>>(path);
  const mayStart = me.value?.role === 'operator' && chain.cursor !== null;
  const runs = rescans.data?.data.some(isOpen) ?? false;
  const [open, setOpen] = useState(false);
  const { reload } = rescans;
  // The stream of changes tells nothing of it.
  useEffect(() => {
    if (!runs) return;
    setOpen(true);
    const timer = setInterval(reload, everyMs);
    return () => clearInterval(timer);
  }, [runs]);
  return (
    <details class="rescans" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Read blocks again</summary>
      <Shown loaded={rescans}>
        {({ data }) => (
          <>
            {data.filter(isOpen).map((one) => (
              <Running key={one.id} one={one} path={path} done={rescans.reload} />
            ))}
            {mayStart && !data.some(isOpen) && <Start chain={chain} path={path} done={rescans.reload} />}
            {data.some((one) => !isOpen(one)) && (
              <Table
                label={`Rescans of ${chain.chain}`}
                rows={data.filter((one) => !isOpen(one))}
                keyOf={({ id }) => id}
                empty={null}
                columns={[
                  { title: 'Blocks', cell: (one) => `${one.from} to ${one.to}` },
                  { title: 'Ended', cell: (one) => <Ended one={one} /> },
                  { title: 'Transfers', number: true, cell: ({ transfers }) => transfers.found },
                  { title: 'New', number: true, cell: ({ transfers }) => transfers.new },
                  { title: 'Taken back', number: true, cell: ({ transfers }) => transfers.taken_back },
                  { title: 'Payments changed', cell: (one) => <Changed one={one} /> },
                  { title: 'By', cell: (one) => <bdi>{one.actor}</bdi> },
                ]}
              />
            )}
          </>
        )}
      </Shown>
    </details>
  );
}

function isOpen({ status }: Rescan): boolean {
  return status === 'waiting' || status === 'running';
}

const waiting = {
  process: 'Waiting for the process that reads the chain.',
  plan: 'Waiting: the plan of a node has nothing to spare before midnight (UTC).',
  chain: 'Waiting until the chain is read up to there again.',
  nothing: '',
};

function Running({ one, path, done }: { one: Rescan; path: string; done: () => void }) {
  const { transfers } = one;
  const text =
    one.cancelled_by !== null
      ? `Ending, as ${one.cancelled_by} wants.`
      : `${one.status === 'waiting' ? '' : `${one.blocks_read} of ${one.blocks} blocks. `}${waiting[one.waits_for ?? 'nothing']}`;
  return (
    <div class="running">
      <p>
        {one.from} to {one.to}, for <bdi>{one.actor}</bdi>: <span role="status">{text}</span>
      </p>
      <progress max={one.blocks} value={one.blocks_read} aria-label={`Blocks ${one.from} to ${one.to}`} />
      <p class="quiet">
        {transfers.found} transfers, {transfers.new} new, {transfers.taken_back} taken back
      </p>
      {me.value?.role === 'operator' && one.cancelled_by === null && (
        <Act
          name="End it"
          question="Ends it with the blocks that are being read. What it has found stays."
          work={async () => {
            await change('POST', `${path}${one.id}/cancel/`);
            done();
          }}
        />
      )}
    </div>
  );
}

function Start({ chain, path, done }: { chain: Chain; path: string; done: () => void }) {
  const [from, setFrom] = useState('');
  const [to, setTo] = useState('');
  const [native, setNative] = useState(false);
  const { busy, error, submit } = useSubmit(async () => {
    await change('POST', path, { from: Number(from), to: Number(to), native });
    done();
  });
  return (
    <form onSubmit={submit}>
      <p>
        Reads them from another node than before where one answers, and records what was missed. Repeating it
        finds nothing new.
      </p>
      <div class="row">
        <TextField
          label="From block"
          hint="Both are included"
          faults={error?.fields.from}
          required
          inputMode="numeric"
          value={from}
          onValue={setFrom}
        />
        <TextField
          label="To block"
          hint={`Read up to ${chain.cursor?.height ?? '–'}`}
          faults={error?.fields.to}
          required
          inputMode="numeric"
          value={to}
          onValue={setTo}
        />
        <label>
          <input
            type="checkbox"
            checked={native}
            onChange={(event) => setNative(event.currentTarget.checked)}
          />{' '}
          whole blocks, for the chain’s own coin
        </label>
        <button type="submit" class="first" disabled={busy}>
          Read them again
        </button>
      </div>
      <Fault error={error} />
    </form>
  );
}

function Ended({ one }: { one: Rescan }) {
  return (
    <>
      <Badge>{one.status}</Badge> <Time at={one.ended_at} />
      {one.error !== null && <small class="break"> {one.error}</small>}
      {one.status !== 'done' && one.reached !== null && <small> at block {one.reached}</small>}
    </>
  );
}

function Changed({ one }: { one: Rescan }) {
  if (one.payments.length === 0) return <span class="quiet">–</span>;
  return (
    <>
      {one.payments.map(({ payment_number, was, status }) => (
        <div key={payment_number}>
          <a href={link(['payments', payment_number])}>{payment_number}</a>{' '}
          <small>
            {was} → {status}
          </small>
        </div>
      ))}
    </>
  );
}
