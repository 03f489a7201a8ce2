import { createLogger, type Logger } from '../../src/log.ts';

export type LogLine = { level: string; time: string; msg: string } & Record<string, unknown>;

/** A logger whose lines a test can read; everything from `debug` up. */
export function captureLog(secrets: readonly string[] = []): {
  log: Logger;
  lines: LogLine[];
  text: () => string;
} {
  const written: string[] = [];
  const lines: LogLine[] = [];
  const log = createLogger({
    level: 'debug',
    secrets,
    write: (line) => {
      written.push(line);
      lines.push(JSON.parse(line) as LogLine);
    },
  });
  return { log, lines, text: () => written.join('') };
}

/** For tests that do not look at what is logged. */
export const silentLog: Logger = createLogger({ level: 'silent', write: () => {} });
