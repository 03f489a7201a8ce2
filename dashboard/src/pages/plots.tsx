import { useState } from 'preact/hooks';
import { Shown, useLoadOf } from '../load.tsx';
import { colours, type Line, Plot } from '../plot.tsx';
import { ask, route } from '../route.ts';
import { askSpan, ranges, type Span, spanOfPage, timesOf, valuesOf } from '../series.ts';

/*
 * What was measured, as plots. They look again when ten more minutes are over.
 */

type Series<T> = { step_seconds: number; data: T[] };

/** How far back the plots of a page look. */
export function RangeChoice() {
  const chosen = route.value.query.get('range') ?? '1';
  return (
    <label class="choice">
      Plots of the last{' '}
      <select value={chosen} onChange={(event) => ask({ range: event.currentTarget.value })}>
        {ranges.map(({ name, days }) => (
          <option key={days} value={days}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

const failures = ['timeout', 'rate_limited', 'unavailable', 'refused', 'behind', 'wrong'] as const;

/** Each in words. */
export const failureNames: Record<(typeof failures)[number], string> = {
  timeout: 'no answer in time',
  rate_limited: 'too many requests',
  unavailable: 'not reached',
  refused: 'refused',
  behind: 'behind',
  wrong: 'wrong',
};

type NodeSeries = {
  host: string;
  points: {
    at: string;
    p50_ms: number | null;
    p95_ms: number | null;
    failures: Record<(typeof failures)[number], number>;
  }[];
};

/** How fast the nodes of a chain answered, and how they failed. */
export function NodePlots({ network, chain }: { network: string; chain: string }) {
  const loaded = useLoadOf<Span, Series<NodeSeries>>(
    spanOfPage(),
    (span) => `/chains/${network}/measurements/?${askSpan(span)}`,
  );
  return (
    <Shown loaded={loaded}>
      {({ query: span, answer: { step_seconds: step, data } }) => {
        const times = timesOf(span, step);
        const colourOf = (i: number) => colours[i % colours.length] ?? '';
        const latency = data.flatMap(({ host, points }, i): Line[] => [
          {
            name: `${host}, half within`,
            colour: colourOf(i),
            dashed: true,
            values: valuesOf(times, points, (one) => one.p50_ms),
          },
          {
            name: `${host}, 95 % within`,
            colour: colourOf(i),
            values: valuesOf(times, points, (one) => one.p95_ms),
          },
        ]);
        const points = data.flatMap((node) => node.points);
        const kinds = failures.filter((kind) => points.some((point) => point.failures[kind] > 0));
        const failed = kinds.map((kind): Line => {
          const series = data.map((node) => valuesOf(times, node.points, (one) => one.failures[kind]));
          return {
            name: failureNames[kind],
            colour: colourOf(failures.indexOf(kind)),
            values: times.map((_, i) => series.reduce((sum, values) => sum + (values[i] ?? 0), 0)),
          };
        });
        const common = { times, step, utc: false };
        return (
          <>
            <Plot
              {...common}
              label={`How long nodes of ${chain} took to answer`}
              empty="No answer was measured in this time."
              kind="lines"
              unit="ms"
              lines={latency}
            />
            {failed.length > 0 && (
              <Plot
                {...common}
                label={`How often nodes of ${chain} failed`}
                empty=""
                kind="bars"
                unit="count"
                lines={failed}
              />
            )}
          </>
        );
      }}
    </Shown>
  );
}

type PoolSeries = {
  network: string;
  currency: string | null;
  points: { at: string; free: number; held: number; quarantined: number; retired: number }[];
};

/** How many addresses of a pool were free, and what the others were doing. */
export function PoolPlot({ merchantId }: { merchantId: string }) {
  const [chosen, setChosen] = useState('');
  const loaded = useLoadOf<Span, Series<PoolSeries>>(
    spanOfPage(),
    (span) => `/merchants/${merchantId}/measurements/pools/?${askSpan(span)}`,
  );
  return (
    <Shown loaded={loaded}>
      {({ query: span, answer: { step_seconds: step, data } }) => {
        const nameOf = ({ network, currency }: PoolSeries) =>
          currency === null ? network : `${network} · ${currency}`;
        const pool = data.find((one) => nameOf(one) === chosen) ?? data[0];
        const times = timesOf(span, step);
        const line = (
          name: string,
          colour: string,
          of: 'free' | 'held' | 'quarantined' | 'retired',
        ): Line => ({
          name,
          colour,
          values: valuesOf(times, pool?.points ?? [], (point) => point[of]),
        });
        return (
          <>
            <Choice label="Pool" names={data.map(nameOf)} chosen={chosen} choose={setChosen} />
            <Plot
              label={`Addresses of ${pool === undefined ? 'the pool' : nameOf(pool)}`}
              empty="Nothing was measured yet: pools are counted every ten minutes."
              times={times}
              step={step}
              kind="steps"
              unit="count"
              utc={false}
              lines={[
                line('free', 'c1', 'free'),
                line('held', 'c0', 'held'),
                line('in quarantine', 'c2', 'quarantined'),
                line('retired', 'c5', 'retired'),
              ]}
            />
          </>
        );
      }}
    </Shown>
  );
}

type EndpointSeries = {
  endpoint_id: string;
  url: string;
  points: { at: string; succeeded: number; failed: number; oldest_pending_seconds: number }[];
};

/** What became of attempts, of one endpoint or of all. */
export function WebhookPlot({ merchantId }: { merchantId: string }) {
  const [chosen, setChosen] = useState('');
  const loaded = useLoadOf<Span, Series<EndpointSeries>>(
    spanOfPage(),
    (span) => `/merchants/${merchantId}/measurements/webhooks/?${askSpan(span)}`,
  );
  return (
    <Shown loaded={loaded}>
      {({ query: span, answer: { step_seconds: step, data } }) => {
        const all = 'all endpoints';
        const seen = data.filter(({ url }) => chosen === '' || chosen === all || url === chosen);
        const times = timesOf(span, step);
        const sum = (of: 'succeeded' | 'failed') => {
          const series = seen.map(({ points }) => valuesOf(times, points, (point) => point[of]));
          return times.map((_, i) =>
            series.every((values) => values[i] == null)
              ? null
              : series.reduce((total, values) => total + (values[i] ?? 0), 0),
          );
        };
        const oldest = seen.map(({ points }) =>
          valuesOf(times, points, (point) => point.oldest_pending_seconds),
        );
        return (
          <>
            <Choice
              label="Endpoint"
              names={data.length < 2 ? [] : [all, ...new Set(data.map(({ url }) => url))]}
              chosen={chosen}
              choose={setChosen}
            />
            <Plot
              label="Attempts to send webhooks"
              empty="Nothing was sent in this time."
              times={times}
              step={step}
              kind="bars"
              unit="count"
              utc={false}
              lines={[
                { name: 'succeeded', colour: 'own-good', values: sum('succeeded') },
                { name: 'failed', colour: 'own-bad', values: sum('failed') },
              ]}
            />
            {oldest.some((values) => values.some((seconds) => seconds !== null && seconds > 0)) && (
              <Plot
                label="How old the oldest webhook became that had not arrived"
                empty=""
                times={times}
                step={step}
                kind="bars"
                unit="seconds"
                utc={false}
                lines={[
                  {
                    name: 'oldest',
                    colour: 'c2',
                    values: times.map((_, i) => Math.max(...oldest.map((values) => values[i] ?? 0))),
                  },
                ]}
              />
            )}
          </>
        );
      }}
    </Shown>
  );
}

type PaymentTime = { at: string; payments: number; p50_seconds: number; p95_seconds: number };

/** More points would each stand for few payments. */
const mostPoints = 60;

/** How long payments took from being made to being confirmed. */
export function PaymentTimes({ span: asked }: { span: Span }) {
  const loaded = useLoadOf<Span, { step_seconds: number; points: PaymentTime[] }>(
    asked,
    (span) => `/measurements/payment-times/?${askSpan(span)}&points=${mostPoints}`,
  );
  return (
    <Shown loaded={loaded}>
      {({ query: span, answer: { step_seconds: step, points } }) => {
        const times = timesOf(span, step);
        return (
          <Plot
            label="How long payments took from being made to being confirmed"
            empty="No payment made in this time was confirmed."
            times={times}
            step={step}
            kind="lines"
            unit="seconds"
            utc={false}
            joined={true}
            lines={[
              {
                name: 'half within',
                colour: 'c0',
                dashed: true,
                values: valuesOf(times, points, (one) => one.p50_seconds),
              },
              {
                name: '95 % within',
                colour: 'c0',
                values: valuesOf(times, points, (one) => one.p95_seconds),
              },
            ]}
          />
        );
      }}
    </Shown>
  );
}

function Choice({
  label,
  names,
  chosen,
  choose,
}: {
  label: string;
  names: readonly string[];
  chosen: string;
  choose: (name: string) => void;
}) {
  if (names.length < 2) return null;
  return (
    <label class="choice">
      {label}{' '}
      <select value={chosen || names[0]} onChange={(event) => choose(event.currentTarget.value)}>
        {names.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
}
