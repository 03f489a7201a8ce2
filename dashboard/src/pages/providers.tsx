import { Shown, useLoad } from '../load.tsx';
import { Badge, Copy, Table, Time } from '../parts.tsx';
import { link } from '../route.ts';
import type { List, OpenRefund, Provider, UnmatchedCharge } from './types.ts';

/** The accounts with fiat providers, and how each does. */
export function Providers() {
  const providers = useLoad<List<Provider>>('/providers/');
  return (
    <>
      <h1>Providers</h1>
      <Shown loaded={providers}>
        {({ data }) =>
          data.length === 0 ? (
            <p class="empty">No provider is configured: payments are made in coins alone.</p>
          ) : (
            data.map((provider) => <One key={provider.name} provider={provider} />)
          )
        }
      </Shown>
    </>
  );
}

function One({ provider }: { provider: Provider }) {
  const { name, trouble, drift } = provider;
  const state = !provider.enabled ? 'disabled' : trouble === null ? 'ok' : 'failed';
  return (
    <section class="card" aria-label={provider.label}>
      <h2>
        {provider.label} <Badge>{state}</Badge> {provider.mode === 'test' && <small>test mode</small>}
      </h2>
      {trouble !== null && <p class="notice bad">{trouble}</p>}
      {drift !== null && <p class="notice bad">Its webhooks are configured otherwise than ours: {drift}</p>}
      <dl class="facts">
        <div>
          <dt>Type</dt>
          <dd>{provider.type}</dd>
        </div>
        <div>
          <dt>Currencies</dt>
          <dd>{provider.currencies.join(', ').toUpperCase() || '–'}</dd>
        </div>
        <div>
          <dt>Merchants</dt>
          <dd>{provider.merchants?.join(', ') ?? 'all'}</dd>
        </div>
        <div>
          <dt>Answered last</dt>
          <dd>
            <Time at={provider.last_success_at} />
          </dd>
        </div>
        <div>
          <dt>Failed last</dt>
          <dd>
            <Time at={provider.last_error_at} />{' '}
            {provider.last_error !== null && <bdi>{provider.last_error}</bdi>}
          </dd>
        </div>
        <div>
          <dt>Its list read</dt>
          <dd>
            <Time at={provider.swept_at} />
          </dd>
        </div>
        <div>
          <dt>Webhooks refused</dt>
          <dd>{provider.rejected_webhooks}</dd>
        </div>
        <div class="wide">
          <dt>Where its webhooks come in; tell nobody else</dt>
          <dd>
            <Copy text={provider.inbound_url} />
          </dd>
        </div>
      </dl>
      <OpenRefunds name={name} />
      {provider.unmatched > 0 && <Unexplained name={name} />}
    </section>
  );
}

function OpenRefunds({ name }: { name: string }) {
  const refunds = useLoad<List<OpenRefund>>(`/providers/${encodeURIComponent(name)}/open-refunds/`);
  if (refunds.data === null || refunds.data.data.length === 0) return null;
  return (
    <>
      <h3>Refunds of which nobody knows what became of them</h3>
      <p>
        Look at the provider's own pages, and say what you read there with{' '}
        <code>depositd provider settle-refund</code>.
      </p>
      <Table
        label="Open refunds"
        rows={refunds.data.data}
        empty={null}
        columns={[
          { title: 'Id', cell: (one) => <Copy text={one.id} /> },
          {
            title: 'Payment',
            cell: (one) => <a href={link(['payments', one.payment_number])}>{one.payment_number}</a>,
          },
          { title: 'Amount', number: true, cell: (one) => `${one.amount} ${one.currency}` },
          { title: 'Since', cell: (one) => <Time at={one.created_at} /> },
        ]}
      />
    </>
  );
}

function Unexplained({ name }: { name: string }) {
  const charges = useLoad<List<UnmatchedCharge>>(`/providers/${encodeURIComponent(name)}/unmatched/`);
  return (
    <>
      <h3>Charges that no payment explains</h3>
      <Shown loaded={charges}>
        {({ data }) => (
          <Table
            label="Charges"
            rows={data}
            empty={<p>None.</p>}
            columns={[
              { title: 'Id', cell: (one) => <bdi class="break">{one.charge_id}</bdi> },
              { title: 'State', cell: (one) => one.status },
              { title: 'Amount', number: true, cell: (one) => `${one.amount ?? '–'} ${one.currency ?? ''}` },
              { title: 'Found', cell: (one) => <Time at={one.found_at} /> },
            ]}
          />
        )}
      </Shown>
    </>
  );
}
