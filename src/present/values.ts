import { type Asset, quoteDecimals } from '../core/assets.ts';
import { formatAmount } from '../core/money.ts';

/** ISO 8601 in UTC to the second, with `Z`. */
export function isoTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

export function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : isoTime(ms);
}

/** With as many decimals as a quote has, whatever the asset's own, and more where the value has more. */
export function showAmount(asset: Pick<Asset, 'currency' | 'decimals'>, amount: bigint): string {
  return formatAmount(amount, asset.decimals, quoteDecimals(asset));
}
