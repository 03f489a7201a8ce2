import type { FastifyReply, FastifyRequest } from 'fastify';
import { sessionIdleMs } from '../../core/user.ts';

/*
 * The cookie of a session. `__Host-` ties it to this host, to TLS and to the whole of it; on plain loopback, where there
 * is no TLS, it has another name, with the port: cookies of one host are shared by all its ports.
 */

function isPlainLoopback({ protocol, hostname }: FastifyRequest): boolean {
  return protocol === 'http' && /^(localhost|127(\.\d+){3}|\[?::1\]?)$/.test(hostname);
}

function nameOf(request: FastifyRequest): string {
  return isPlainLoopback(request) ? `depositd-${request.port ?? 80}` : '__Host-depositd';
}

export function readCookie(request: FastifyRequest): string | null {
  const name = nameOf(request);
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const [key, value] = part.split('=', 2);
    if (key?.trim() === name) return value?.trim() ?? null;
  }
  return null;
}

/** `token: null` takes it away. */
export function setCookie(request: FastifyRequest, reply: FastifyReply, token: string | null): void {
  const parts = [
    `${nameOf(request)}=${token ?? ''}`,
    'Path=/',
    `Max-Age=${token === null ? 0 : sessionIdleMs / 1000}`,
    'HttpOnly',
    'SameSite=Strict',
    ...(isPlainLoopback(request) ? [] : ['Secure']),
  ];
  reply.header('set-cookie', parts.join('; '));
}
