import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseAddress } from '../../core/address.ts';
import type { BlockHash } from '../../core/chain.ts';
import { knownChains } from '../../core/chains/known.ts';
import { print, printBlock, type SimulatedHeader } from './encode.ts';
import { type SimulatedTx, word } from './transactions.ts';

/*
 * A simulated java-tron node: the wallet API of a simulated chain over HTTP, in the words of a real one. It is one server
 * for `/wallet` and `/walletsolidity`, as providers have it.
 */

export type SimulatedBlock = {
  hash: BlockHash;
  header: SimulatedHeader;
  transactions: readonly SimulatedTx[];
};

/** What a node has at a moment. */
export type SimulatedState = {
  /** Every block from the first to its head. */
  branch: readonly SimulatedBlock[];
  /** The height of its last solid block, and of the one that `walletsolidity` has got to. */
  solid: number;
  solidityHead: number;
  /** Whether it keeps what contracts pay. */
  storesInternals: boolean;
  /** A transaction that is in no block yet. */
  pending(txId: string): SimulatedTx | null;
};

export type Call = {
  /** `simulated` is what no real node has: how the chain is played with. */
  view: 'wallet' | 'walletsolidity' | 'simulated';
  method: string;
  body: Record<string, unknown>;
};

export type Answer = { status: number; headers: Record<string, string>; text: string };

/** An answer, or none: nothing ever comes, or the connection ends. */
export type Reply = Answer | 'hang' | 'cut';

const json = { 'content-type': 'application/json;charset=utf-8' };

export async function serveWalletApi(
  port: number,
  reply: (call: Call, verb: string) => Promise<Reply>,
): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    void respond(request, response).catch(() => response.destroy());
  });

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, view = '', method = ''] =
      (request.url ?? '').split('?')[0]?.match(/\/(wallet|walletsolidity|simulated)\/(\w+)$/) ?? [];
    const text = await readBody(request);
    const call = { view, method, body: text === '' ? {} : JSON.parse(text) } as Call;
    const given = await reply(call, request.method ?? '');
    if (given === 'hang') return;
    if (given === 'cut') response.destroy();
    else response.writeHead(given.status, given.headers).end(given.text);
  }

  await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

/** What a healthy node says. */
export function answerCall(state: SimulatedState, call: Call, verb: string): Answer {
  const result = call.view === 'simulated' ? undefined : resultOf(state, call);
  return result === undefined ? unknownMethod(verb) : answerWith(result);
}

export function answerWith(result: unknown): Answer {
  return { status: 200, headers: json, text: `${print(result)}\n` };
}

/** What Jetty says of a method that nobody serves. */
function unknownMethod(verb: string): Answer {
  const status = verb === 'GET' ? 404 : 405;
  const text = `<html><head><title>Error ${status}</title></head><body><h2>HTTP ERROR ${status}</h2></body></html>\n`;
  return { status, headers: { 'content-type': 'text/html;charset=iso-8859-1' }, text };
}

/** Undefined for a method that there is not. */
function resultOf(
  { branch, solid, solidityHead, storesInternals, pending }: SimulatedState,
  { view, method, body }: Call,
): unknown {
  const head = branch.length - 1;
  const top = view === 'wallet' ? head : Math.min(head, solidityHead);
  const at = (height: number) => (height <= top && height >= 0 ? branch[height] : undefined);
  const refusal = refusedNumber(body.num);
  if (refusal !== null) return { Error: refusal };
  // A missing number is 0.
  const num = Number(body.num ?? 0);
  const whole = (block: SimulatedBlock | undefined) => (block === undefined ? {} : blockOf(block));
  const had = () => branch.slice(0, top + 1);
  switch (method) {
    case 'getnowblock':
      return whole(at(top));
    case 'getblock': {
      const { id_or_num: wanted } = body;
      const block = at(wanted === undefined || wanted === '' ? top : Number(wanted));
      if (block === undefined) return {};
      const { transactions: _, ...header } = blockOf(block);
      return body.detail === true ? blockOf(block) : header;
    }
    case 'getblockbynum':
      return whole(at(num));
    case 'getblockbylimitnext': {
      const [start, end] = [Number(body.startNum ?? 0), Number(body.endNum ?? 0)];
      if (end <= start || end - start > 100) return {};
      return { block: (start < 0 ? [] : branch.slice(start, Math.min(end, top + 1))).map(blockOf) };
    }
    case 'gettransactioninfobyblocknum': {
      if (num <= 0) return {};
      const block = at(num);
      return block === undefined ? [] : infosOf(block, storesInternals);
    }
    case 'gettransactioninfobyid': {
      const found = had().flatMap((block) => infosOf(block, storesInternals));
      return found.find(({ id }) => id === body.value) ?? {};
    }
    case 'gettransactionbyid': {
      const mined = had().flatMap(({ transactions }) => transactions);
      const found = mined.find(({ printed }) => printed.txID === body.value);
      // A pending one too, and as successful.
      const waiting = view === 'wallet' ? pending(String(body.value)) : null;
      return (found ?? waiting)?.printed ?? {};
    }
    case 'getnodeinfo': {
      const name = (height: number) => `Num:${height},ID:${branch[height]?.hash}`;
      return { beginSyncNum: solid, block: name(head), solidityBlock: name(solid) };
    }
    case 'getaccount': {
      const paid = had()
        .flatMap(({ transactions }) => transactions)
        .flatMap(({ transfers }) => transfers)
        .filter(({ token, recipient }) => token === 'native' && `41${recipient}` === body.address);
      if (paid.length === 0) return {};
      return { address: body.address, balance: paid.reduce((sum, { amount }) => sum + amount, 0n) };
    }
    case 'getcontract':
      return decimalsOf(String(body.value)) === null ? {} : { contract_address: body.value, bytecode: '60' };
    case 'triggerconstantcontract': {
      const decimals = decimalsOf(String(body.contract_address));
      if (decimals === null)
        return {
          result: {
            code: 'CONTRACT_VALIDATE_ERROR',
            message: Buffer.from('Smart contract is not exist.').toString('hex'),
          },
        };
      return {
        result: { result: true },
        energy_used: 329,
        constant_result: [word(BigInt(decimals))],
        transaction: { ret: [{}] },
      };
    }
    default:
      return undefined;
  }
}

/** As java-tron reads an int64 out of JSON. */
function refusedNumber(num: unknown): string | null {
  const parse = 'class org.tron.core.services.http.JsonFormat$ParseException : 1:8: ';
  if (typeof num === 'string') return `${parse}Couldn't parse integer: For input string: ""${num}""`;
  return num === undefined || num === null || Number.isInteger(num) ? null : `${parse}Expected integer.`;
}

export function blockOf({ header, transactions }: SimulatedBlock) {
  const printed = transactions.map((tx) => tx.printed);
  return printBlock(header, printed, header.height === 0 ? '' : 'ab'.repeat(65));
}

function infosOf({ header, transactions }: SimulatedBlock, storesInternals: boolean) {
  return transactions.map((tx) => infoOf(tx, header, storesInternals));
}

function infoOf(
  { printed, custom }: SimulatedTx,
  { height, timeMs }: SimulatedHeader,
  storesInternals: boolean,
) {
  const {
    contractRet = 'SUCCESS',
    type,
    failed = contractRet !== 'SUCCESS',
    logs = [],
    internals = [],
  } = custom;
  const isCall = type === 'TriggerSmartContract';
  const { receiptResult = isCall ? contractRet : null } = custom;
  const contract = isCall ? (custom.value as { contract_address: string }).contract_address : undefined;
  return {
    ...(logs.length === 0 ? {} : { log: logs }),
    blockNumber: height,
    contractResult: [''],
    blockTimeStamp: timeMs,
    receipt: { net_usage: 345, ...(receiptResult === null ? {} : { result: receiptResult }) },
    ...(failed ? { result: 'FAILED' } : {}),
    id: printed.txID,
    ...(contract === undefined ? {} : { contract_address: contract }),
    ...(internals.length === 0 || !storesInternals
      ? {}
      : { internal_transactions: internals.map((one, i) => ({ hash: word(BigInt(i + 1)), ...one })) }),
  };
}

function decimalsOf(contract: string): number | null {
  const known = Object.values(knownChains.tron.tokens).find(({ address }) => {
    const parsed = parseAddress('tron', address);
    return !('error' in parsed) && `41${parsed.key}` === contract;
  });
  return known?.decimals ?? null;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
