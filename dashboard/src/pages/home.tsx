import { useEffect, useState } from 'preact/hooks';
import { me } from '../api.ts';
import { Shown, useLoad } from '../load.tsx';
import { firstMerchants } from '../merchant.tsx';
import { Badge, duration, Time, usd } from '../parts.tsx';
import { lastDays, Received } from '../received.tsx';
import { link } from '../route.ts';
import { PaymentTable } from './payments.tsx';
import type {
  Address,
  Alert,
  Chain,
  Deposit,
  Endpoint,
  List,
  Merchant,
  Overview,
  PaymentRow,
  Pool,
} from './types.ts';

/** What needs attention first, then what came in. */
export function Home() {
  const all = me.value?.merchant_id === null;
  const overview = useLoad<Overview>('/overview/');
  const payments = useLoad<List<PaymentRow>>('/payments/?limit=10');
  return (
    <>
      <h1>Home</h1>
      {all ? <Attention /> : <OwnAttention />}
      <Checklist />
      <section aria-labelledby="numbers">
        <h2 id="numbers">The last 24 hours</h2>
        <Shown loaded={overview}>
          {({ created, paid, received_usd_cents, median_seconds_to_paid, days }) => (
            <>
              <dl class="numbers">
                <div>
                  <dt>Received</dt>
                  <dd>{usd(received_usd_cents)}</dd>
                </div>
                <div>
                  <dt>Paid</dt>
                  <dd>{paid}</dd>
                </div>
                <div>
                  <dt>Conversion</dt>
                  <dd>
                    {created === 0 ? '–' : `${Math.round((100 * Math.min(paid, created)) / created)} %`}
                    <small>
                      {paid} of {created}
                    </small>
                  </dd>
                </div>
                <div>
                  <dt>Median time to paid</dt>
                  <dd>{median_seconds_to_paid === null ? '–' : duration(median_seconds_to_paid)}</dd>
                </div>
              </dl>
              <Received
                rows={days}
                span={lastDays(30)}
                label="Received in the last 30 days"
                empty="Nothing was received in the last 30 days."
              />
            </>
          )}
        </Shown>
      </section>
      <section aria-labelledby="last">
        <h2 id="last">The last payments</h2>
        <Shown loaded={payments}>{({ data }) => <PaymentTable rows={data} />}</Shown>
      </section>
    </>
  );
}

/** The alerts of the service, each with what to do. */
function Attention() {
  const alerts = useLoad<{ data: Alert[] }>('/alerts/');
  // A service without alerts still says what can be seen from here.
  if (alerts.error !== null) return <OwnAttention />;
  return (
    <section aria-labelledby="attention">
      <h2 id="attention">What needs attention</h2>
      <Shown loaded={alerts}>
        {({ data }) =>
          data.length === 0 ? (
            <p class="notice good">Nothing does.</p>
          ) : (
            <ul class="alerts">
              {data.map((alert) => (
                <li
                  key={`${alert.alert} ${alert.subject}`}
                  class={alert.severity === 'page' ? 'bad' : 'warn'}
                >
                  <strong>{alert.text}</strong>
                  <span>{alert.action}</span>
                  <small>
                    since <Time at={alert.began_at} />, {alert.runbook}
                  </small>
                </li>
              ))}
            </ul>
          )
        }
      </Shown>
    </section>
  );
}

type Concern = { text: string; tone: 'bad' | 'warn'; to: string; action: string };

/** The same for who sees one merchant alone, from what they see. */
function OwnAttention() {
  const pools = useLoad<List<Pool>>('/pool/');
  const deposits = useLoad<List<Deposit>>('/deposits/?status=unmatched&limit=1');
  const dry: Concern[] = (pools.data?.data ?? [])
    .filter(({ level }) => level !== 'ok')
    .map((pool) => ({
      text: `${pool.network}: ${pool.free} of ${pool.total} addresses are free`,
      tone: pool.level === 'exhausted' ? 'bad' : 'warn',
      to: link(['addresses'], { merchant: pool.merchant_id }),
      action: 'Add addresses',
    }));
  const strange: Concern[] = (deposits.data?.data ?? []).map(() => ({
    text: 'Money came that no payment explains',
    tone: 'warn',
    to: link(['unmatched']),
    action: 'Look at it',
  }));
  const concerns = [...dry, ...strange];
  if (pools.data === null || deposits.data === null) return null;
  return (
    <section aria-labelledby="attention">
      <h2 id="attention">What needs attention</h2>
      {concerns.length === 0 && <p class="notice good">Nothing does.</p>}
      <ul class="alerts">
        {concerns.map(({ text, tone, to, action }) => (
          <li key={text} class={tone}>
            <strong>{text}</strong>
            <a href={to}>{action}</a>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What a new service still lacks; gone when nothing is. */
function Checklist() {
  const all = me.value?.role === 'operator';
  // What is done once is not looked at again.
  const [over, setOver] = useState(false);
  const chains = useLoad<List<Chain>>(all ? '/chains/' : null, !over);
  const merchants = useLoad<List<Merchant>>(all ? firstMerchants : null, !over);
  const shop = merchants.data?.data.find(({ removed_at }) => removed_at === null);
  const ofShop = shop === undefined ? null : `/merchants/${shop.id}`;
  const addresses = useLoad<List<Address>>(ofShop === null ? null : `${ofShop}/addresses/?limit=1`, !over);
  const hooks = useLoad<List<Endpoint>>(ofShop === null ? null : `${ofShop}/webhooks/`, !over);
  const paid = useLoad<List<PaymentRow>>(all ? '/payments/?status=confirmed&limit=1' : null, !over);
  const known = [chains, merchants, paid, ...(shop === undefined ? [] : [addresses, hooks])].every(
    ({ data }) => data !== null,
  );
  const has = (list: List<unknown> | null) => (list?.data.length ?? 0) > 0;
  const steps = [
    {
      done: chains.data?.data.some(({ available }) => available) === true,
      text: 'A chain is read',
      to: '#/chains',
    },
    { done: shop !== undefined, text: 'A merchant, with an API key', to: '#/merchants' },
    { done: has(addresses.data), text: 'Addresses to be paid at', to: '#/addresses' },
    { done: has(hooks.data), text: 'A webhook, which tells your shop', to: '#/webhooks' },
    { done: has(paid.data), text: 'A first payment that was paid', to: '#/payments' },
  ];
  const done = known && steps.every((step) => step.done);
  useEffect(() => setOver(done), [done]);
  if (!all || !known || done) return null;
  return (
    <section aria-labelledby="steps">
      <h2 id="steps">To begin</h2>
      <ol class="steps">
        {steps.map(({ done, text, to }) => (
          <li key={text}>
            <Badge>{done ? 'ok' : 'open'}</Badge> <a href={to}>{text}</a>
          </li>
        ))}
      </ol>
    </section>
  );
}
