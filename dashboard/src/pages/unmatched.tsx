import { useState } from 'preact/hooks';
import { change, me } from '../api.ts';
import { ShownList, useList } from '../list.tsx';
import { Act, Copy, Field, Table, Time } from '../parts.tsx';
import { ask, link, route } from '../route.ts';
import { Pages } from './payments.tsx';
import type { Deposit } from './types.ts';

const reasons: Record<string, string> = {
  no_payment: 'no payment held the address',
  wrong_token: 'another token than was asked for',
  wrong_network: 'on another network than was asked for',
  before_lock: 'sent before the payment was made',
  unexplained: 'the balance grew, and no transfer explains it',
};

/** Money that no payment explains, with what it was probably meant for. */
export function Unmatched() {
  const { query } = route.value;
  const cursor = query.get('cursor');
  const status = query.get('status') === 'ignored' ? 'ignored' : 'unmatched';
  const deposits = useList<Deposit>(
    `/deposits/?status=${status}${cursor === null ? '' : `&cursor=${cursor}`}`,
    ({ id }) => id,
  );
  return (
    <>
      <h1>Unmatched money</h1>
      <div class="row">
        <label>
          Show{' '}
          <select value={status} onChange={(e) => ask({ status: e.currentTarget.value, cursor: '' })}>
            <option value="unmatched">what waits</option>
            <option value="ignored">what is ignored</option>
          </select>
        </label>
      </div>
      <ShownList list={deposits} name={['deposit', 'deposits']}>
        {({ data, next_cursor }) => (
          <>
            <Table
              label="Unmatched deposits"
              rows={data}
              keyOf={({ id }) => id}
              empty={
                <p>
                  {status === 'ignored' ? 'Nothing is ignored.' : 'All that came is explained by a payment.'}
                </p>
              }
              columns={[
                {
                  title: 'Amount',
                  number: true,
                  cell: (one) => `${one.amount} ${one.currency} · ${one.network}`,
                },
                { title: 'Why', cell: (one) => reasons[one.reason ?? ''] ?? one.reason ?? '–' },
                { title: 'At', cell: (one) => <Copy text={one.address} short /> },
                {
                  title: 'Transaction',
                  cell: (one) => (one.tx_hash === '' ? '–' : <Copy text={one.tx_hash} short />),
                },
                { title: 'When', cell: (one) => <Time at={one.block_time} /> },
                {
                  title: 'Probably for',
                  cell: ({ expected }) =>
                    expected?.payment_number === undefined ? (
                      '–'
                    ) : (
                      <a href={link(['payments', expected.payment_number])}>{expected.payment_number}</a>
                    ),
                },
                {
                  title: 'Actions',
                  cell: (one) =>
                    me.value?.role === 'operator' && (
                      <>
                        <Attach deposit={one} done={deposits.show} />
                        <Ignore deposit={one} done={deposits.show} />
                      </>
                    ),
                },
              ]}
            />
            <Pages next={next_cursor} />
          </>
        )}
      </ShownList>
    </>
  );
}

function Attach({ deposit, done }: { deposit: Deposit; done: () => void }) {
  const [number, setNumber] = useState(deposit.expected?.payment_number ?? '');
  return (
    <div class="row">
      <Field label="Payment">
        {(id) => (
          <input
            id={id}
            value={number}
            placeholder="PAY-…"
            onInput={(e) => setNumber(e.currentTarget.value)}
          />
        )}
      </Field>
      <Act
        name="Attach"
        question={`Gives ${deposit.amount} ${deposit.currency} to ${number || 'the payment that you name'}; it is confirmed when that suffices.`}
        reason
        work={async (reason) => {
          await change('POST', `/deposits/${deposit.id}/attach/`, { payment_number: number.trim(), reason });
          done();
        }}
      />
    </div>
  );
}

function Ignore({ deposit, done }: { deposit: Deposit; done: () => void }) {
  const ignored = deposit.status === 'ignored';
  return (
    <Act
      name={ignored ? 'Put back' : 'Ignore'}
      question={
        ignored
          ? 'Puts it back to what waits for you.'
          : 'Takes it out of what waits for you. The money stays where it is, and the deposit in the books.'
      }
      reason
      work={async (reason) => {
        await change('POST', `/deposits/${deposit.id}/${ignored ? 'unignore' : 'ignore'}/`, { reason });
        done();
      }}
    />
  );
}
