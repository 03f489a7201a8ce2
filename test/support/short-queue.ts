/*
 * A receiver in a process of its own, for whose connections the system keeps the shortest queue there is. Forked by a test, which is
 * told the port.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const server = createServer((_request, response) => response.end());
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  process.send?.((server.address() as AddressInfo).port);
});
