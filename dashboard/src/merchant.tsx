import { me } from './api.ts';
import { useLoad } from './load.tsx';
import type { List, Merchant } from './pages/types.ts';
import { ask, route } from './route.ts';

/** As many as anybody reads through in a menu; page Merchants shows all. */
export const firstMerchants = '/merchants/?limit=100';

/** Those in a menu, and whether there are others. */
type Merchants = { listed: readonly Merchant[]; more: boolean };

/** Whose things a page shows: of who sees one merchant, that one; else the one that was chosen, or the first. */
export function useMerchant(): { id: string | null; merchants: Merchants } {
  const own = me.value?.merchant_id ?? null;
  const loaded = useLoad<List<Merchant>>(own === null ? firstMerchants : null);
  if (own !== null) return { id: own, merchants: { listed: [], more: false } };
  const listed = (loaded.data?.data ?? []).filter(({ removed_at }) => removed_at === null);
  const more = loaded.data?.next_cursor != null;
  return { id: route.value.query.get('merchant') ?? listed[0]?.id ?? null, merchants: { listed, more } };
}

export function MerchantChoice({
  id,
  merchants: { listed, more },
}: {
  id: string | null;
  merchants: Merchants;
}) {
  if (listed.length < 2 && !more) return null;
  return (
    <label>
      Merchant{' '}
      <select value={id ?? ''} onChange={(event) => ask({ merchant: event.currentTarget.value, cursor: '' })}>
        {id !== null && !listed.some((one) => one.id === id) && <option value={id}>{id}</option>}
        {listed.map((merchant) => (
          <option key={merchant.id} value={merchant.id}>
            {merchant.name}
          </option>
        ))}
        {more && <option disabled>others: on the page Merchants and keys</option>}
      </select>
    </label>
  );
}

/** Whether whoever is signed in may change what belongs to merchants. */
export function mayChange(): boolean {
  return me.value?.role !== 'viewer';
}
