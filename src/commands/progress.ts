/** How far a longer piece of work has come, on a terminal only. */
export type Progress = {
  update(done: number, total: number): void;
  /** Clears the line. */
  end(): void;
};

/** Shorter work shows nothing, ms. */
const patienceMs = 1_000;

/** Not more often than eyes can follow, ms. */
const pauseMs = 100;

const barWidth = 30;

export function showProgress(
  what: string,
  stream: NodeJS.WriteStream = process.stderr,
  clock: () => number = () => performance.now(),
): Progress {
  const startedAt = clock();
  let shownAt = Number.NEGATIVE_INFINITY;
  if (!stream.isTTY) return { update: () => {}, end: () => {} };
  return {
    update(done, total) {
      const now = clock();
      if (now - startedAt < patienceMs || (now - shownAt < pauseMs && done < total)) return;
      shownAt = now;
      stream.write(`\r\x1b[K${progressLine(what, done, total)}`);
    },
    end() {
      if (shownAt > startedAt) stream.write('\r\x1b[K');
    },
  };
}

/** The same in lines, for a pipe or a log: one for each tenth. */
export function tellProgress(what: string, tell: (line: string) => void): Progress {
  let told = 0;
  return {
    update(done, total) {
      const tenths = total === 0 ? 10 : Math.floor((done * 10) / total);
      if (tenths <= told) return;
      told = tenths;
      tell(`${what}: ${done} of ${total}`);
    },
    end: () => {},
  };
}

/** `importing ████████░░░░ 1,200 of 3,000` */
export function progressLine(what: string, done: number, total: number): string {
  const filled = total === 0 ? barWidth : Math.min(barWidth, Math.floor((done / total) * barWidth));
  const bar = '█'.repeat(filled) + '░'.repeat(barWidth - filled);
  return `${what} ${bar} ${done.toLocaleString('en')} of ${total.toLocaleString('en')}`;
}
