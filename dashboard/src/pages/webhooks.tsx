import { useState } from 'preact/hooks';
import { change } from '../api.ts';
import { ShownList, useList } from '../list.tsx';
import { Shown, useLoad } from '../load.tsx';
import { MerchantChoice, mayChange, useMerchant } from '../merchant.tsx';
import { Act, Badge, Copy, Fault, Table, TextField, Time, useSubmit } from '../parts.tsx';
import { ask, link, route } from '../route.ts';
import { NoMerchant } from './addresses.tsx';
import { Pages } from './payments.tsx';
import { RangeChoice, WebhookPlot } from './plots.tsx';
import type { Attempt, Delivery, Endpoint, List } from './types.ts';

const states = ['pending', 'sending', 'delivered', 'failed', 'cancelled'];

/** Whom the shop has told, what was sent, and what was answered. */
export function Webhooks() {
  const { id, merchants } = useMerchant();
  const { query } = route.value;
  const [secret, setSecret] = useState<string | null>(null);
  const endpoints = useLoad<List<Endpoint>>(id === null ? null : `/merchants/${id}/webhooks/`);
  const filter = new URLSearchParams(id === null ? {} : { merchant_id: id });
  for (const name of ['status', 'cursor']) if (query.has(name)) filter.set(name, query.get(name) ?? '');
  const deliveries = useList<Delivery>(id === null ? null : `/deliveries/?${filter}`, ({ id }) => id);
  const opened = query.get('delivery');
  if (opened !== null) return <OneDelivery id={opened} />;
  if (id === null) return <NoMerchant title="Webhooks" />;
  const shop = `/merchants/${id}/webhooks`;
  return (
    <>
      <h1>Webhooks</h1>
      <MerchantChoice id={id} merchants={merchants} />
      {secret !== null && (
        <p class="notice good" role="status">
          The secret, which is shown this once: <Copy text={secret} />
        </p>
      )}
      <Shown loaded={endpoints}>
        {({ data }) => (
          <Table
            label="Endpoints"
            rows={data}
            empty={<p>Nobody is told yet. Add the URL of your shop that takes webhooks.</p>}
            columns={[
              { title: 'Endpoint', cell: (one) => <bdi class="break">{one.url}</bdi> },
              {
                title: 'State',
                cell: (one) => (
                  <>
                    <Badge>{!one.active ? 'disabled' : one.failing_since !== null ? 'failed' : 'ok'}</Badge>
                    {one.failing_since !== null && (
                      <small>
                        {' '}
                        since <Time at={one.failing_since} />
                      </small>
                    )}
                  </>
                ),
              },
              {
                title: '24 hours',
                number: true,
                cell: ({ last_day: { succeeded, failed } }) =>
                  succeeded + failed === 0
                    ? '–'
                    : `${Math.floor((100 * succeeded) / (succeeded + failed))} % of ${succeeded + failed}`,
              },
              { title: 'Oldest waits since', cell: (one) => <Time at={one.oldest_pending_at} /> },
              { title: 'Kept', number: true, cell: (one) => one.kept },
              {
                title: 'Actions',
                cell: (one) =>
                  mayChange() && (
                    <div class="actions">
                      <Act
                        name="Test"
                        question="Sends webhook.test to this endpoint."
                        work={async () => {
                          await change('POST', `${shop}/${one.id}/test/`);
                          deliveries.show();
                        }}
                      />
                      <Act
                        name="Rotate secret"
                        question="Makes a new secret. For a day both sign, so that your shop can change over."
                        work={async () => {
                          const made = await change<{ secret: string }>('POST', `${shop}/${one.id}/rotate/`);
                          setSecret(made.secret);
                          endpoints.reload();
                        }}
                      />
                      <Act
                        name={one.active ? 'Disable' : 'Enable'}
                        question={
                          one.active
                            ? 'Nothing is sent to it until it is enabled; what happens meanwhile is kept.'
                            : 'Events are sent to it again.'
                        }
                        work={async () => {
                          await change('PATCH', `${shop}/${one.id}/`, { active: !one.active });
                          endpoints.reload();
                        }}
                      />
                      <Act
                        name="Send failed again"
                        question="Sends again what was not delivered to it in the last seven days, oldest first."
                        work={async () => {
                          const since = new Date(Date.now() - 7 * 86_400_000).toISOString();
                          await change('POST', '/deliveries/replay/', { endpoint_id: one.id, since });
                          deliveries.show();
                        }}
                      />
                    </div>
                  ),
              },
            ]}
          />
        )}
      </Shown>
      <RangeChoice />
      <WebhookPlot key={id} merchantId={id} />
      {mayChange() && (
        <AddEndpoint
          key={id}
          shop={shop}
          done={(made) => {
            setSecret(made);
            endpoints.reload();
          }}
        />
      )}
      <h2>Deliveries</h2>
      <label>
        State{' '}
        <select
          value={query.get('status') ?? ''}
          onChange={(e) => ask({ status: e.currentTarget.value, cursor: '' })}
        >
          <option value="">all</option>
          {states.map((state) => (
            <option key={state}>{state}</option>
          ))}
        </select>
      </label>
      <ShownList list={deliveries} name={['delivery', 'deliveries']}>
        {({ data, next_cursor }) => (
          <>
            <Table
              label="Deliveries"
              rows={data}
              keyOf={({ id }) => id}
              empty={<p>Nothing was sent yet.</p>}
              columns={[
                {
                  title: 'Event',
                  cell: (one) => <a href={link(['webhooks'], { delivery: String(one.id) })}>{one.event}</a>,
                },
                {
                  title: 'Payment',
                  cell: (one) =>
                    one.payment_number === null ? (
                      '–'
                    ) : (
                      <a href={link(['payments', one.payment_number])}>{one.payment_number}</a>
                    ),
                },
                { title: 'State', cell: (one) => <Badge>{one.status}</Badge> },
                { title: 'Answer', cell: (one) => one.last_status ?? one.last_error ?? '–' },
                { title: 'Attempts', number: true, cell: (one) => one.attempts },
                { title: 'Made', cell: (one) => <Time at={one.created_at} /> },
              ]}
            />
            <Pages next={next_cursor} />
          </>
        )}
      </ShownList>
    </>
  );
}

function AddEndpoint({ shop, done }: { shop: string; done: (secret: string) => void }) {
  const [url, setUrl] = useState('');
  const { busy, error, submit } = useSubmit(async () => {
    const made = await change<{ secret: string }>('POST', `${shop}/`, { url });
    setUrl('');
    done(made.secret);
  });
  return (
    <form class="card" onSubmit={submit}>
      <h2>Add an endpoint</h2>
      <TextField
        label="URL of your shop"
        hint="It gets a signed POST for each event."
        faults={error?.fields.url}
        type="url"
        required
        placeholder="https://shop.example.com/webhooks"
        value={url}
        onValue={setUrl}
      />
      <Fault error={error} />
      <button type="submit" class="first" disabled={busy}>
        Add
      </button>
    </form>
  );
}

function OneDelivery({ id }: { id: string }) {
  const path = `/deliveries/${encodeURIComponent(id)}/`;
  const delivery = useLoad<Delivery & { attempt_log: Attempt[] }>(path);
  return (
    <>
      <p>
        <a href="#/webhooks">Webhooks</a>
      </p>
      <h1>Delivery {id}</h1>
      <Shown loaded={delivery}>
        {(one) => (
          <>
            <p>
              {one.event} <Badge>{one.status}</Badge>{' '}
              {one.payment_number !== null && (
                <a href={link(['payments', one.payment_number])}>{one.payment_number}</a>
              )}
            </p>
            {mayChange() && (
              <Act
                name="Send again"
                question="Sends the same bytes again, as a delivery of its own."
                work={async () => {
                  const sent = await change<Delivery>('POST', `${path}replay/`);
                  location.hash = link(['webhooks'], { delivery: String(sent.id) });
                }}
              />
            )}
            <Table
              label="Attempts"
              rows={one.attempt_log}
              empty={<p>No attempt was made yet.</p>}
              columns={[
                { title: 'Attempt', number: true, cell: (attempt) => attempt.attempt },
                { title: 'Begun', cell: (attempt) => <Time at={attempt.started_at} /> },
                { title: 'Took', number: true, cell: (attempt) => `${attempt.duration_ms} ms` },
                { title: 'Answer', cell: (attempt) => attempt.status ?? attempt.error ?? '–' },
                {
                  title: 'What was said',
                  cell: (attempt) => <bdi class="break">{attempt.response || attempt.detail || '–'}</bdi>,
                },
              ]}
            />
          </>
        )}
      </Shown>
    </>
  );
}
