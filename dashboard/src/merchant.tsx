import { me } from './api.ts';
import { useLoad } from './load.tsx';
import type { List, Merchant } from './pages/types.ts';
import { ask, route } from './route.ts';

/** Whose things a page shows: of who sees one merchant, that one; else the one that was chosen, or the first. */
export function useMerchant(): { id: string | null; merchants: readonly Merchant[] } {
  const own = me.value?.merchant_id ?? null;
  const loaded = useLoad<List<Merchant>>(own === null ? '/merchants/' : null);
  if (own !== null) return { id: own, merchants: [] };
  const merchants = (loaded.data?.data ?? []).filter(({ removed_at }) => removed_at === null);
  return { id: route.value.query.get('merchant') ?? merchants[0]?.id ?? null, merchants };
}

export function MerchantChoice({ id, merchants }: { id: string | null; merchants: readonly Merchant[] }) {
  if (merchants.length < 2) return null;
  return (
    <label>
      Merchant{' '}
      <select value={id ?? ''} onChange={(event) => ask({ merchant: event.currentTarget.value, cursor: '' })}>
        {merchants.map((merchant) => (
          <option key={merchant.id} value={merchant.id}>
            {merchant.name}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Whether whoever is signed in may change what belongs to merchants. */
export function mayChange(): boolean {
  return me.value?.role !== 'viewer';
}
