import { styleText } from 'node:util';

/** Tells a story of numbered steps, line by line; on a terminal with colours and moving bars. */
export type Screen = {
  title(text: string): void;
  /** A numbered step begins. */
  step(text: string): void;
  /** `label` and what it is, below the step. */
  detail(label: string, text: string): void;
  /** The same for something that went well. */
  good(label: string, text: string): void;
  /** Counts up to `total`: a bar on a terminal, the numbers one after another elsewhere. */
  counter(label: string, total: number): Counter;
  text(line: string): void;
};

export type Counter = {
  /** May be called again with the same number. */
  reach(count: number): void;
  end(): void;
};

const indent = '     ';
const labelWidth = 15;
const barWidth = 30;

export function createScreen(stream: NodeJS.WriteStream): Screen {
  const paint = (format: Parameters<typeof styleText>[0], text: string) =>
    styleText(format, text, { stream });
  const line = (text: string) => stream.write(`${text}\n`);
  const labelled = (label: string) => `${indent}${paint('dim', label.padEnd(labelWidth))}`;
  let steps = 0;

  function bar(label: string, total: number): Counter {
    let reached = -1;
    return {
      reach(count) {
        if (count <= reached) return;
        reached = Math.min(count, total);
        const filled = Math.round((reached / total) * barWidth);
        const drawn = paint('green', '█'.repeat(filled)) + paint('dim', '░'.repeat(barWidth - filled));
        stream.write(`\r\x1b[K${labelled(label)}${drawn} ${reached} of ${total}`);
      },
      end: () => stream.write('\n'),
    };
  }

  function numbers(label: string, total: number): Counter {
    let reached = 0;
    stream.write(labelled(label).slice(0, -1));
    return {
      reach(count) {
        while (reached < Math.min(count, total)) stream.write(` ${++reached}`);
      },
      end: () => stream.write('\n'),
    };
  }

  return {
    title: (text) => line(`\n${paint('bold', text)}`),
    step: (text) => line(`\n${paint(['bold', 'cyan'], String(++steps).padStart(3))}  ${paint('bold', text)}`),
    detail: (label, text) => line(`${labelled(label)}${text}`),
    good: (label, text) => line(`${labelled(label)}${paint('green', text)}`),
    counter: stream.isTTY ? bar : numbers,
    text: line,
  };
}
