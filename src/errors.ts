/**
 * Errors, one class for each thing the program must do about them. Messages are for people and may be
 * logged: they never carry a key, a token or a node's URL (host names only).
 */
export class DepositdError extends Error {
  /** Stable, for programs. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The configuration is wrong: exit 78, with every fault on a line of its own. */
export class ConfigError extends DepositdError {
  readonly faults: readonly string[];

  constructor(faults: readonly string[], file?: string) {
    super(
      'config_invalid',
      `the configuration${file === undefined ? '' : ` ${file}`} has ${faults.length} ${faults.length === 1 ? 'mistake' : 'mistakes'}`,
    );
    this.faults = faults;
  }
}

/** The command cannot do what was asked, for a reason the person can mend: exit 1, message only. */
export class CommandError extends DepositdError {
  constructor(message: string, options?: ErrorOptions) {
    super('command_failed', message, options);
  }
}

/** A node failed or answered nonsense: ask again, or ask another. */
export class RpcError extends DepositdError {}

/** The chain contradicts what it called final: stop trusting it until it agrees with us again. */
export class FinalityViolation extends DepositdError {
  constructor(message: string) {
    super('finality_violated', message);
  }
}

/** Our own bug. */
export class InvariantError extends DepositdError {
  constructor(message: string) {
    super('invariant_broken', message);
  }
}

/** What people can do something about, in plain words. */
const plainReasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EEXIST: 'a file is in the way',
  EACCES: 'this user is not allowed to',
  EPERM: 'this user is not allowed to',
  EROFS: 'the file system is read-only',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is no folder',
  ENOSPC: 'the disk is full',
  SQLITE_NOTADB: 'it is no SQLite database',
  EMFILE: 'too many files are open',
  ENOTFOUND: 'nobody knows this host name',
  ECONNREFUSED: 'nothing listens there',
  ETIMEDOUT: 'no answer in time',
  EADDRINUSE: 'another program listens there',
  EADDRNOTAVAIL: 'this machine has no such address',
};

/** What an error says, for people: also one that brings no message of its own, or one for each address of a host. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0)
    return error.errors.map(reasonOf).join(', ');
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: unknown };
  const plain = plainReasons[String(code)];
  if (plain !== undefined) return `${plain} (${code})`;
  return error.message === '' ? String(code ?? error.name) : error.message;
}
