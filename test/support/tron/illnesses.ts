import { parseLossless } from '../../../src/core/lossless-json.ts';
import { print } from '../../../src/demo/tron/encode.ts';
import { transferLog } from '../../../src/demo/tron/transactions.ts';
import type { Answer, Call } from '../../../src/demo/tron/wallet-api.ts';
import type { TronFault } from './simulated-node.ts';

/*
 * What can be wrong with a TRON node, as data, for random mixes.
 */

export type TronIllness = {
  name: string;
  fault: TronFault;
  /** Whether what it says may be believed and is wrong: no check of one answer can show it. */
  lies?: boolean;
};

type Json = Record<string, unknown>;

const blocks = 'getblockbynum';
const infos = 'gettransactioninfobyblocknum';
const ranges = 'getblockbylimitnext';

function said(
  name: string,
  status: number,
  text: string,
  methods?: readonly string[],
  more: Record<string, string> = {},
): TronIllness {
  return {
    name,
    fault: ({ method }, answer) =>
      methods === undefined || methods.includes(method)
        ? { status, headers: { ...answer.headers, ...more }, text }
        : answer,
  };
}

function rewritten(name: string, method: string, change: (body: never) => unknown): TronIllness {
  return {
    name,
    fault: (call, answer) => (call.method === method ? rewrite(call, answer, change) : answer),
  };
}

/** The same of each block, however many are asked for. */
function eachBlock(name: string, change: (block: Json) => unknown): TronIllness {
  const all = (body: Json) => (Array.isArray(body.block) ? { block: body.block.map(change) } : body);
  return {
    name,
    fault: (call, answer) => {
      if (call.method === blocks) return rewrite(call, answer, change);
      return call.method === ranges ? rewrite(call, answer, all) : answer;
    },
  };
}

function rewrite(_: Call, answer: Answer, change: (body: never) => unknown): Answer {
  if (answer.status !== 200) return answer;
  return { ...answer, text: print(change(parseLossless(answer.text) as never)) };
}

function eachInfo(name: string, change: (info: Json) => Json): TronIllness {
  return rewritten(name, infos, (body: unknown) =>
    Array.isArray(body) ? (body as Json[]).map(change) : body,
  );
}

export const tronIllnesses: readonly TronIllness[] = [
  said('{} for a block', 200, '{}', [blocks]),
  said('{} for blocks', 200, '{}', [ranges]),
  said('{} for infos', 200, '{}', [infos]),
  said('[] for infos', 200, '[]', [infos]),
  said('an exception', 200, '{"Error":"class java.lang.NullPointerException : null"}'),
  said('the words of a lite node', 200, 'this API is closed because this node is a lite fullnode', [
    blocks,
    ranges,
    infos,
  ]),
  said('single blocks alone', 404, '{"Error":"this API is unavailable due to config"}', [ranges]),
  said('answers that are too large', 413, '', [ranges]),
  said('a web page', 200, '<html></html>'),
  said('502', 502, '<html></html>'),
  said('503 for infos', 503, '', [infos]),
  said('429', 429, '', undefined, { 'retry-after': '3' }),
  said('a suspended key', 403, '{"Error":"exceeds the frequency limit, suspended for 5 s"}'),
  said('no node info', 404, '{"Error":"this API is unavailable due to config"}', ['getnodeinfo']),
  { name: 'connections that end', fault: () => 'cut' },
  { name: 'half an answer', fault: (_, answer) => ({ ...answer, text: answer.text.slice(0, -9) }) },
  rewritten('infos without the last', infos, (body: unknown) =>
    Array.isArray(body) ? body.slice(0, -1) : body,
  ),
  rewritten('infos in another order', infos, (body: unknown) =>
    Array.isArray(body) ? body.toReversed() : body,
  ),
  eachBlock('blocks without their transactions', ({ transactions: _, ...block }: Json) => block),
  eachBlock('blocks of another hash', (block: Json) => ({ ...block, blockID: 'f0'.repeat(32) })),
  rewritten('fewer blocks than it has', ranges, (body: Json) =>
    Array.isArray(body.block) ? { block: body.block.slice(0, 1) } : body,
  ),
  {
    ...eachInfo('infos without logs', ({ log: _, ...info }) => info),
    lies: true,
  },
  { ...eachInfo('failed infos', (info) => ({ ...info, result: 'FAILED' })), lies: true },
  {
    ...eachInfo('infos without internal transactions', ({ internal_transactions: _, ...info }) => info),
    lies: true,
  },
  {
    ...eachInfo('a log too many', (info) => {
      const [first] = (info.log ?? []) as { address: string; topics: string[] }[];
      if (first === undefined) return info;
      const recipient = (first.topics[2] ?? '').slice(24);
      return { ...info, log: [...(info.log as object[]), transferLog(first.address, recipient, 7n)] };
    }),
    lies: true,
  },
  {
    ...eachInfo('twice the amounts', (info) => ({
      ...info,
      log: ((info.log ?? []) as { data?: string }[]).map((log) => ({
        ...log,
        data: (BigInt(`0x${log.data ?? '0'}`) * 2n).toString(16).padStart(64, '0'),
      })),
    })),
    lies: true,
  },
];
