import { change, me } from '../api.ts';
import { Shown, useLoad } from '../load.tsx';
import { Act, Copy, Time, usd } from '../parts.tsx';
import { link, route } from '../route.ts';
import { Status } from './payments.tsx';
import { Refunds } from './refunds.tsx';
import type { PaymentRow, TimelineEntry } from './types.ts';

/** One payment, explained: what was asked for, what came, what was told, who did what. */
export function Payment() {
  const number = route.value.parts[1] ?? '';
  const path = `/payments/${encodeURIComponent(number)}/`;
  const payment = useLoad<PaymentRow>(path);
  const timeline = useLoad<{ data: TimelineEntry[] }>(`${path}timeline/`);
  const operator = me.value?.role === 'operator';
  return (
    <>
      <p>
        <a href="#/payments">Payments</a>
      </p>
      <h1>{number}</h1>
      <Shown loaded={payment}>
        {(row) => (
          <>
            <dl class="facts">
              <div>
                <dt>Status</dt>
                <dd>
                  <Status row={row} />
                </dd>
              </div>
              <div>
                <dt>Price</dt>
                <dd>{usd(row.amount_usd_cents)}</dd>
              </div>
              <div>
                <dt>Asked for</dt>
                <dd>
                  {row.expected_crypto_amount} {row.currency} on {row.network}
                </dd>
              </div>
              <div>
                <dt>Came</dt>
                <dd>
                  {row.actual_crypto_amount === null
                    ? 'nothing yet'
                    : `${row.actual_crypto_amount} ${row.currency}`}
                </dd>
              </div>
              {row.remaining !== null && (
                <div>
                  <dt>Missing</dt>
                  <dd>
                    {row.remaining} {row.currency}
                  </dd>
                </div>
              )}
              <div>
                <dt>Confirmations</dt>
                <dd>
                  {Math.min(row.confirmations, row.required_confirmations)} of {row.required_confirmations}
                </dd>
              </div>
              <div>
                <dt>Order</dt>
                <dd>
                  <bdi>{row.external_order_id || '–'}</bdi>
                </dd>
              </div>
              <div>
                <dt>Customer</dt>
                <dd>
                  <bdi>{row.customer_email || '–'}</bdi>
                </dd>
              </div>
              <div>
                <dt>Until</dt>
                <dd>
                  <Time at={row.expires_at} />
                </dd>
              </div>
              {row.assigned_address !== '' && (
                <div class="wide">
                  <dt>Address</dt>
                  <dd>
                    <Copy text={row.assigned_address} />
                  </dd>
                </div>
              )}
              {row.tx_hash !== '' && (
                <div class="wide">
                  <dt>Transaction</dt>
                  <dd>
                    <Copy text={row.tx_hash} />
                  </dd>
                </div>
              )}
            </dl>
            {operator && row.status !== 'confirmed' && row.actual_crypto_amount !== null && (
              <div class="actions">
                <Act
                  name="Accept what came"
                  question="Takes what came as enough: the payment is confirmed as any other."
                  reason
                  work={async (reason) => {
                    await change('POST', `${path}accept/`, { reason });
                    payment.reload();
                    timeline.reload();
                  }}
                />
              </div>
            )}
            {operator && row.status === 'pending' && row.actual_crypto_amount === null && (
              <div class="actions">
                <Act
                  name="Cancel it"
                  question="Ends the payment and lets go of its address. What comes for it afterwards is late."
                  reason
                  work={async (reason) => {
                    await change('POST', `${path}cancel/`, { reason });
                    payment.reload();
                    timeline.reload();
                  }}
                />
              </div>
            )}
            {row.assigned_address !== '' && <Refunds payment={row} changed={timeline.reload} />}
            <h2>What happened</h2>
            <Shown loaded={timeline}>{({ data }) => <Timeline entries={data} />}</Shown>
            <details>
              <summary>As the API answers it</summary>
              <pre>{JSON.stringify(row, null, 2)}</pre>
            </details>
          </>
        )}
      </Shown>
    </>
  );
}

function Timeline({ entries }: { entries: readonly TimelineEntry[] }) {
  return (
    <ol class="timeline">
      {entries.map((entry, at) => (
        <li key={at} class={entry.kind}>
          <Time at={entry.at} />
          <div>
            <strong>{entry.title}</strong>
            {entry.actor !== null && <span> by {entry.actor}</span>}
            {entry.detail !== '' && (
              <div class="quiet">
                <bdi>{entry.detail}</bdi>
              </div>
            )}
            {entry.tx_hash !== null && <Copy text={entry.tx_hash} short />}
            {entry.explorer_url !== null && (
              <a href={entry.explorer_url} target="_blank" rel="noreferrer">
                explorer
              </a>
            )}
            {entry.delivery_id !== null && (
              <a href={link(['webhooks'], { delivery: String(entry.delivery_id) })}>the attempts</a>
            )}
          </div>
        </li>
      ))}
    </ol>
  );
}
