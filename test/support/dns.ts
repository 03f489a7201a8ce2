import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { onTestFinished } from 'vitest';

export type TestDns = {
  /** `127.0.0.1:port` */
  server: string;
  /** Each question asked, as `A name` or `AAAA name`. */
  questions: string[];
};

/** Null: there is no such name. */
type Answer = string[] | null;

/** A real name server on a loopback port. `answers` is asked for each question. */
export async function startDns(
  answers: (name: string, nth: number) => Answer | Promise<Answer>,
): Promise<TestDns> {
  const questions: string[] = [];
  const socket = createSocket('udp4');
  socket.on('message', async (query, from) => {
    const { name, end } = readName(query);
    const type = query.readUInt16BE(end);
    const wanted = type === 1 ? 'A' : 'AAAA';
    const nth = questions.filter((question) => question === `${wanted} ${name}`).length;
    questions.push(`${wanted} ${name}`);
    const known = await answers(name, nth);
    const addresses = (known ?? []).filter((address) => isIPv4(address) === (wanted === 'A'));
    socket.send(reply(query, end + 4, type, addresses, known === null), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  onTestFinished(() => {
    socket.close();
  });
  return { server: `127.0.0.1:${socket.address().port}`, questions };
}

function readName(query: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
}

function reply(
  query: Buffer,
  questionEnd: number,
  type: number,
  addresses: string[],
  unknown: boolean,
): Buffer {
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(unknown ? 0x8183 : 0x8180, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(addresses.length, 6);
  const records = addresses.map((address) => {
    const bytes = Buffer.from(ipaddr.parse(address).toByteArray());
    const record = Buffer.alloc(12);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(type, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt16BE(bytes.length, 10);
    return Buffer.concat([record, bytes]);
  });
  return Buffer.concat([header, query.subarray(12, questionEnd), ...records]);
}
