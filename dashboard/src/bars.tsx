import type { Day } from './pages/types.ts';
import { usd } from './parts.tsx';

const width = 600;
const height = 120;
const colours = 6;

/** What came in on each day, stacked by asset. The same stands in a table, for who cannot see it. */
export function Bars({ days, count = 30 }: { days: readonly Day[]; count?: number }) {
  const last = Date.now();
  const dates = Array.from({ length: count }, (_, back) =>
    new Date(last - (count - 1 - back) * 86_400_000).toISOString().slice(0, 10),
  );
  const assets = [...new Set(days.map(({ network, currency }) => `${currency} on ${network}`))].toSorted();
  const sumOf = (date: string) =>
    days.filter(({ day }) => day === date).reduce((sum, { usd_cents }) => sum + usd_cents, 0);
  const highest = Math.max(...dates.map(sumOf), 1);
  const step = width / count;
  if (days.length === 0) return <p class="empty">Nothing was received in the last {count} days.</p>;
  return (
    <figure class="bars">
      <svg
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        aria-label={`Received on each of the last ${count} days`}
      >
        {dates.map((date, at) => {
          let top = height;
          return assets.map((asset, colour) => {
            const cents = days
              .filter(({ day, network, currency }) => day === date && `${currency} on ${network}` === asset)
              .reduce((sum, { usd_cents }) => sum + usd_cents, 0);
            const tall = (cents / highest) * (height - 4);
            top -= tall;
            return tall === 0 ? null : (
              <rect
                key={`${date} ${asset}`}
                class={`c${colour % colours}`}
                x={at * step + 1}
                y={top}
                width={step - 2}
                height={tall}
              >
                <title>{`${date}, ${asset}: ${usd(cents)}`}</title>
              </rect>
            );
          });
        })}
      </svg>
      <figcaption>
        <span>{dates[0]}</span>
        <span class="legend">
          {assets.map((asset, colour) => (
            <span key={asset} class={`c${colour % colours}`}>
              {asset}
            </span>
          ))}
        </span>
        <span>today; highest {usd(highest)}</span>
      </figcaption>
    </figure>
  );
}
