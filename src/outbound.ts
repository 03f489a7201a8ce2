import type { LookupAddress } from 'node:dns';
import type { IncomingHttpHeaders } from 'node:http';
import type { LookupFunction } from 'node:net';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import { DepositdError } from './errors.ts';
import { createResolver, DnsError } from './resolve.ts';
import { canonicalName, parseAllowList, refuseAddress, refuseHost } from './target.ts';

/** What can go wrong with a call. `http`: the answer was not what it should be, or was not HTTP. */
export type OutboundError = 'dns' | 'refused' | 'reset' | 'tls' | 'timeout' | 'blocked' | 'http';

export type OutboundCall = {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  url: string;
  headers: Readonly<Record<string, string>>;
  body?: Uint8Array;
  /** For everything: name resolution, connecting, sending and the answer's headers. */
  timeoutMs: number;
  /** How much longer the body may take once the headers are here; within `timeoutMs` when absent. */
  bodyTimeoutMs?: number;
  /** The rest is dropped. */
  maxBodyBytes: number;
  /** Ends the call early; the result is then a `reset`. */
  signal?: AbortSignal;
};

export type AnswerHeaders = Readonly<Record<string, string | undefined>>;

export type OutboundResult =
  | {
      kind: 'answer';
      status: number;
      /** By lower-case name; of one that was repeated, the first. */
      headers: AnswerHeaders;
      body: Buffer;
      /** Whether `body` is all there was. */
      complete: boolean;
      durationMs: number;
    }
  | { kind: 'failure'; error: OutboundError; detail: string; durationMs: number };

export type Outbound = {
  /** Never rejects: what goes wrong is a result. Redirects are answers like any other and never followed. */
  send(call: OutboundCall): Promise<OutboundResult>;
  close(): Promise<void>;
};

export type OutboundOptions = {
  /** Hosts and CIDR ranges that may be called although they are not public. */
  allowHosts: readonly string[];
  userAgent: string;
  /** Name servers to ask instead of the system's (`ip:port`). */
  dnsServers?: readonly string[];
};

/** The target is private, loopback or otherwise not for strangers to choose. */
class BlockedError extends DepositdError {
  constructor(reason: string) {
    super('target_blocked', reason);
  }
}

/** An idle connection is given up soon: one that the other side is just closing would cost an attempt. */
const keepAliveMs = 1_000;

/**
 * An HTTP client for addresses that others chose: it connects to public addresses and to `allowHosts` only.
 * An IP literal is checked before connecting (a lookup is never asked about one); of a name every address is
 * checked, and exactly the checked addresses are connected to, so that a second, different answer of the name
 * server changes nothing. The list belongs to the client: its open connections never outlive a change.
 */
export function createOutbound(options: OutboundOptions): Outbound {
  const allowed = parseAllowList(options.allowHosts);
  const resolve = createResolver((host) => allowed.names.has(canonicalName(host)), options.dnsServers);

  const lookup: LookupFunction = (host, { all }, callback) => {
    resolveChecked(host).then(
      (addresses) => {
        const [first] = addresses;
        if (all || first === undefined) callback(null, addresses);
        else callback(null, first.address, first.family);
      },
      (error) => callback(error, []),
    );
  };

  async function resolveChecked(host: string): Promise<LookupAddress[]> {
    const addresses = await resolve(host);
    if (addresses.length === 0) throw new DnsError(host, 'no address');
    for (const { address } of addresses) {
      const refusal = refuseAddress(address, allowed, host);
      if (refusal !== null) throw new BlockedError(`${host} resolves to a refused address: ${refusal}`);
    }
    return addresses;
  }

  const connectTo = buildConnector({
    lookup,
    allowH2: false,
    timeout: 10_000,
  } as buildConnector.BuildOptions);
  const connect: buildConnector.connector = (target, callback) => {
    const refusal = refuseHost(target.hostname, allowed);
    if (refusal !== null) queueMicrotask(() => callback(new BlockedError(refusal), null));
    else connectTo(target, callback);
  };

  // Connections are not limited here: two endpoints on one host must not wait for each other.
  const agent = new Agent({
    connect,
    allowH2: false,
    keepAliveTimeout: keepAliveMs,
    headersTimeout: 0,
    bodyTimeout: 0,
  });

  return {
    send: (call) => send(agent, { ...call, headers: { 'user-agent': options.userAgent, ...call.headers } }),
    close: () => agent.destroy(),
  };
}

/** Ends an exchange of which nothing more is wanted; whoever waited has its result already. */
const enough = new Error('enough');

function send(agent: Agent, call: OutboundCall): Promise<OutboundResult> {
  return new Promise((resolve) => {
    const startedAt = performance.now();
    const elapsed = () => Math.round(performance.now() - startedAt);
    let controller: Dispatcher.DispatchController | undefined;
    let answer: { status: number; headers: AnswerHeaders; durationMs: number } | undefined;
    let settled = false;
    const chunks: Buffer[] = [];
    let size = 0;

    const settle = (result: OutboundResult) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      call.signal?.removeEventListener('abort', stop);
      resolve(result);
    };
    const fail = (error: OutboundError, detail: string) =>
      settle({ kind: 'failure', error, detail, durationMs: elapsed() });
    // The status and the headers decide: whatever happens to the body, this remains an answer.
    const succeed = (complete: boolean) => {
      if (answer === undefined) return fail('reset', 'the connection ended before an answer');
      settle({
        kind: 'answer',
        ...answer,
        body: Buffer.concat(chunks).subarray(0, call.maxBodyBytes),
        complete,
      });
    };
    const cut = () => {
      succeed(false);
      controller?.abort(enough);
    };
    const expire = () => {
      if (answer === undefined) fail('timeout', `no answer within ${call.timeoutMs} ms`);
      cut();
    };
    const stop = () => {
      if (answer === undefined) fail('reset', 'stopped');
      cut();
    };

    let timer = setTimeout(expire, call.timeoutMs);
    if (call.signal?.aborted) return stop();
    call.signal?.addEventListener('abort', stop, { once: true });

    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(started) {
        controller = started;
        // It waited for its connection until nobody wanted it any more: it must not be sent now.
        if (settled) started.abort(enough);
      },
      onResponseStart(_controller, status, headers) {
        if (status < 200 || settled) return;
        const durationMs = elapsed();
        answer = { status, headers: firstOfEach(headers), durationMs };
        const left = call.timeoutMs - durationMs;
        clearTimeout(timer);
        timer = setTimeout(expire, Math.max(0, Math.min(left, call.bodyTimeoutMs ?? left)));
      },
      onResponseData(_controller, chunk) {
        chunks.push(chunk);
        size += chunk.length;
        if (size > call.maxBodyBytes) cut();
      },
      onResponseEnd: () => succeed(true),
      onResponseError(_controller, error) {
        if (answer !== undefined) return succeed(false);
        const { error: kind, detail } = classify(error);
        fail(kind, detail);
      },
    };
    if (!URL.canParse(call.url)) return fail('http', 'not a URL');
    const { origin, pathname, search } = new URL(call.url);
    const { method, headers, body = null } = call;
    agent.dispatch({ origin, path: pathname + search, method, headers, body }, handler);
  });
}

function firstOfEach(headers: IncomingHttpHeaders): AnswerHeaders {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]),
  );
}

/** OpenSSL's names for what is wrong with a certificate, and Node's for a failed handshake. */
const tlsCodes =
  /^(ERR_TLS_|ERR_SSL_|EPROTO$|CERT_|CRL_|INVALID_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|PATH_LENGTH_|ERROR_IN_)/;
const refusedCodes =
  /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENETDOWN|EADDRNOTAVAIL|EACCES|EPERM)$/;
const resetCodes = /^(ECONNRESET|EPIPE|ECONNABORTED|UND_ERR_SOCKET|UND_ERR_CLOSED|UND_ERR_DESTROYED)$/;
const timeoutCodes = /^(ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT|UND_ERR_HEADERS_TIMEOUT)$/;

function classify(error: unknown): { error: OutboundError; detail: string } {
  if (error instanceof BlockedError) return { error: 'blocked', detail: error.message };
  if (error instanceof DnsError) return { error: 'dns', detail: error.message };
  // Several addresses fail with one error each; the first speaks for all.
  if (error instanceof AggregateError && error.errors.length > 0) return classify(error.errors[0]);
  const { code = '', message = '' } = error as { code?: string; message?: string };
  const detail = message === '' ? code : message.slice(0, 300);
  if (tlsCodes.test(code)) return { error: 'tls', detail };
  if (refusedCodes.test(code)) return { error: 'refused', detail };
  if (timeoutCodes.test(code)) return { error: 'timeout', detail };
  if (resetCodes.test(code)) return { error: 'reset', detail };
  return { error: 'http', detail };
}
