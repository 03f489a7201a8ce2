import type { RpcAnswer, RpcCall, RpcClient } from '../../nodes/json-rpc.ts';

/** A question asked of a node while its last answer is still being digested. */
export type Prefetch = {
  /** Where the question that was asked ahead from this height ends; null when there is none. */
  reach(from: number): number | null;
  /** Asks about the blocks in `(from, to]`. Whatever was asked ahead before is forgotten. */
  ask(question: Question, signal: AbortSignal): void;
  /** The answers to these calls: those under way, if the very same were asked ahead. */
  answers(calls: readonly RpcCall[], signal: AbortSignal): Promise<RpcAnswer[]>;
  /** Gives up what is under way. */
  forget(): void;
};

export type Question = { from: number; to: number; calls: readonly RpcCall[] };

/** What was asked longer ago than this is asked anew, ms. */
const freshMs = 10_000;

export function createPrefetch(client: Pick<RpcClient, 'send'>): Prefetch {
  let asked: (Question & { at: number; answers: Promise<RpcAnswer[]>; stop: AbortController }) | null = null;

  function forget(): void {
    asked?.stop.abort();
    asked = null;
  }

  function fresh() {
    return asked !== null && performance.now() - asked.at < freshMs ? asked : null;
  }

  return {
    reach: (from) => (fresh()?.from === from ? (asked?.to ?? null) : null),
    ask(question, signal) {
      forget();
      const stop = new AbortController();
      const answers = client.send(question.calls, AbortSignal.any([signal, stop.signal]));
      // Whoever asks for them is told; nobody may.
      answers.catch(() => {});
      asked = { ...question, at: performance.now(), answers, stop };
    },
    answers(calls, signal) {
      const known = fresh();
      if (known === null || JSON.stringify(known.calls) !== JSON.stringify(calls)) {
        forget();
        return client.send(calls, signal);
      }
      asked = null;
      return known.answers;
    },
    forget,
  };
}
