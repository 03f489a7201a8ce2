import { pino, stdSerializers, stdTimeFunctions } from 'pino';
import { createScrubber } from './config/scrub.ts';
import type { Config } from './config.ts';
import { DepositdError, InvariantError } from './errors.ts';
import { logText } from './log-text.ts';

/** Snake-case names. An error goes under `err`; amounts may be `bigint`. */
export type LogFields = Record<string, unknown>;

/** `msg` is constant, so that people can search for it: whatever varies belongs into the fields. */
type Write = {
  (fields: LogFields, msg: string): void;
  (msg: string): void;
};

/**
 * `error` means a bug of ours and `fatal` that something stopped for good; a node, receiver or price source
 * that fails is `warn`.
 */
export type Logger = {
  fatal: Write;
  error: Write;
  warn: Write;
  info: Write;
  debug: Write;
  /** A logger that adds `fields` to each line. */
  child(fields: LogFields): Logger;
};

export type LogLevel = Config['log']['level'];

export type LogOptions = {
  level: LogLevel | 'silent';
  /** Receives whole lines, each ending in a newline. */
  write: (line: string) => void;
  /** Lines for people instead of JSON, in colours where this stream has them. */
  textFor?: NodeJS.WriteStream | undefined;
  /** Values that must never be printed, wherever they appear. */
  secrets?: readonly string[];
};

/** One JSON object a line: `level` as a word, `time` in ISO 8601, the fields, `msg`. */
export function createLogger({ level, write, textFor, secrets = [] }: LogOptions): Logger {
  const hide = createScrubber(secrets);
  // A secret that JSON had to escape is seen only in what came out.
  const shown = (json: string) => (textFor === undefined ? json : hide(logText(json, textFor)));
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: digitsOfBigints },
      serializers: { err: describeError },
    },
    { write: (line: string) => write(shown(hide(line))) },
  );
}

/** Writes to a file descriptor (1 stdout, 2 stderr) before it returns: a crash loses no line. */
function writeTo(fd: 1 | 2): (line: string) => void {
  const stream = pino.destination({ fd, sync: true });
  // A reader that went away must not stop the daemon.
  stream.on('error', () => {});
  return (line) => {
    stream.write(line);
  };
}

/** Where a log goes and how it looks: for people on a terminal, for programs elsewhere, unless it is said. */
export function logTo(
  fd: 1 | 2,
  format: Config['log']['format'] = 'auto',
): Pick<LogOptions, 'write' | 'textFor'> {
  const stream = fd === 1 ? process.stdout : process.stderr;
  const isText = format === 'text' || (format === 'auto' && stream.isTTY);
  return { write: writeTo(fd), textFor: isText ? stream : undefined };
}

/** JSON numbers would round them. */
function digitsOfBigints(fields: LogFields): LogFields {
  for (const name in fields) {
    const value = fields[name];
    if (typeof value === 'bigint') return mapBigints(fields);
  }
  return fields;
}

function mapBigints(fields: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === 'bigint' ? value.toString() : value,
    ]),
  );
}

/** Our own errors say what happened in their message; of all others the stack is wanted. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return stdSerializers.err(error as Error);
  const expected = error instanceof DepositdError && !(error instanceof InvariantError);
  const code = (error as { code?: unknown }).code;
  return {
    type: error.name,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    message: error.message,
    ...(error.cause === undefined ? {} : { cause: causes(error.cause) }),
    ...(expected ? {} : { stack: error.stack }),
  };
}

/** The messages of an error's causes, outermost first. */
function causes(cause: unknown): string {
  const messages: string[] = [];
  for (
    let at = cause;
    at !== undefined && messages.length < 5;
    at = at instanceof Error ? at.cause : undefined
  ) {
    messages.push(at instanceof Error ? at.message : String(at));
  }
  return messages.join(': ');
}
