import { useEffect, useState } from 'preact/hooks';
import { change, me } from '../api.ts';
import { Shown, useLoad } from '../load.tsx';
import { Act, Badge, Copy, Fault, Table, TextField, Time, useSubmit } from '../parts.tsx';
import type { List, PaymentRow, RefundRecord } from './types.ts';

/** ms. */
const lookEveryMs = 3_000;

const words = { not_found: 'not found yet', mismatch: 'does not match', verified: 'verified' };

/** What was sent back for a payment, and what the chain says of it. */
export function Refunds({ payment, changed }: { payment: PaymentRow; changed: () => void }) {
  const path = `/payments/${encodeURIComponent(payment.payment_number)}/refunds/`;
  const refunds = useLoad<List<RefundRecord>>(path);
  const operator = me.value?.role === 'operator';
  const done = () => {
    refunds.reload();
    changed();
  };
  // No stream tells what a look at the chain has found.
  const waits = refunds.data?.data.some(({ status }) => status === 'not_found') ?? false;
  useEffect(() => {
    changed();
    if (!waits) return;
    const timer = setInterval(refunds.reload, lookEveryMs);
    return () => clearInterval(timer);
  }, [waits]);
  return (
    <section aria-labelledby="refunds">
      <h2 id="refunds">Refunds</h2>
      <Shown loaded={refunds}>
        {({ data }) => (
          <Table
            label="Refunds"
            rows={data}
            empty={<p>None was recorded.</p>}
            columns={[
              { title: 'Amount', number: true, cell: (one) => `${one.amount} ${one.currency}` },
              { title: 'To', cell: (one) => <Copy text={one.to} short /> },
              { title: 'Transaction', cell: (one) => <Copy text={one.tx_hash} short /> },
              {
                title: 'On the chain',
                cell: (one) => (
                  <>
                    <Badge>{words[one.status]}</Badge> <small>{one.detail}</small>
                  </>
                ),
              },
              { title: 'By', cell: (one) => <bdi>{one.actor}</bdi> },
              { title: 'Recorded', cell: (one) => <Time at={one.created_at} /> },
              {
                title: 'Actions',
                cell: (one) =>
                  operator &&
                  one.status !== 'verified' && (
                    <Act
                      name="Remove"
                      question="Takes back what was written down wrong. Nothing on the chain changes."
                      work={async () => {
                        await change('DELETE', `${path}${one.id}/`);
                        done();
                      }}
                    />
                  ),
              },
            ]}
          />
        )}
      </Shown>
      {operator && <RecordRefund path={path} payment={payment} done={done} />}
    </section>
  );
}

const nothing = { amount: '', to: '', tx_hash: '', reason: '' };

function RecordRefund({ path, payment, done }: { path: string; payment: PaymentRow; done: () => void }) {
  const [given, setGiven] = useState(nothing);
  const set = (field: keyof typeof nothing) => (text: string) =>
    setGiven((now) => ({ ...now, [field]: text }));
  const { busy, error, submit } = useSubmit(async () => {
    await change('POST', path, given);
    setGiven(nothing);
    done();
  });
  const coin = `${payment.currency} on ${payment.network}`;
  return (
    <details>
      <summary>Record a refund that you sent</summary>
      <form class="card" onSubmit={submit}>
        <p>
          Send it from your wallet first: depositd holds no keys. It looks whether the chain shows that
          transfer, and changes nothing else.
        </p>
        <TextField
          label={`Amount of ${coin}`}
          faults={error?.fields.amount}
          required
          value={given.amount}
          onValue={set('amount')}
        />
        <TextField
          label="Sent to"
          hint="The customer's address."
          faults={error?.fields.to}
          required
          value={given.to}
          onValue={set('to')}
        />
        <TextField
          label="Transaction"
          hint="Its hash, or a link of an explorer."
          faults={error?.fields.tx_hash}
          required
          value={given.tx_hash}
          onValue={set('tx_hash')}
        />
        <TextField
          label="Reason, for the audit log"
          faults={error?.fields.reason}
          required
          maxLength={500}
          value={given.reason}
          onValue={set('reason')}
        />
        <Fault error={error} />
        <button type="submit" class="first" disabled={busy}>
          Record
        </button>
      </form>
    </details>
  );
}
