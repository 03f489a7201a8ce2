import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseAddress } from '../../../src/core/address.ts';
import { knownChains } from '../../../src/core/chains/known.ts';
import type { NodeView, ScriptedBlock } from '../scripted-chain.ts';
import { print, printBlock } from './encode.ts';
import { type SimulatedTronChain, type SimulatedTx, word } from './simulated-chain.ts';

/*
 * A simulated java-tron node: the wallet API of a simulated chain over HTTP, in the words of the recordings. It is one
 * server for `/wallet` and `/walletsolidity`, as providers have it.
 */

export type Call = { view: 'wallet' | 'walletsolidity'; method: string; body: Record<string, unknown> };

export type Answer = { status: number; headers: Record<string, string>; text: string };

/** What is wrong with a node: another answer, the same later, or none: the connection ends, or nothing ever comes. */
export type TronFault = (call: Call, answer: Answer) => Answer | 'hang' | 'cut' | Promise<Answer>;

export type SimulatedTronNode = {
  url: string;
  /** What it takes for its chain; may be changed at any time. */
  view: NodeView;
  /** Whether it keeps what contracts pay. */
  storesInternals: boolean;
  /** By how much `walletsolidity` trails the solid block: two in normal running, less than nothing after a restart. */
  solidityTrails: number;
  /** Its last solid block stays at this height. */
  solidStuckAt: number | null;
  /** What is wrong with it now; null: nothing. */
  fault: TronFault | null;
  /** Everything it was asked, in order. */
  calls: Call[];
  close(): Promise<void>;
};

const json = { 'content-type': 'application/json;charset=utf-8' };

export async function startSimulatedTronNode(
  chain: SimulatedTronChain,
  view: NodeView = 'tip',
  port = 0,
): Promise<SimulatedTronNode> {
  const server = createServer((request, response) => {
    void respond(request, response).catch(() => response.destroy());
  });

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, base = '', method = ''] =
      (request.url ?? '').split('?')[0]?.match(/\/(wallet|walletsolidity)\/(\w+)$/) ?? [];
    const text = await readBody(request);
    const call = { view: base, method, body: text === '' ? {} : JSON.parse(text) } as Call;
    node.calls.push(call);
    const honest = answer(call, request.method ?? '');
    const given = node.fault === null ? honest : await node.fault(call, honest);
    if (given === 'hang') return;
    if (given === 'cut') {
      response.destroy();
      return;
    }
    response.writeHead(given.status, given.headers).end(given.text);
  }

  function answer(call: Call, verb: string): Answer {
    const result = resultOf(chain, node, call);
    if (result === undefined) return unknownMethod(verb);
    return { status: 200, headers: json, text: `${print(result)}\n` };
  }

  await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening));
  const node: SimulatedTronNode = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    view,
    storesInternals: true,
    solidityTrails: 0,
    solidStuckAt: null,
    fault: null,
    calls: [],
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
  return node;
}

/** What Jetty says of a method that nobody serves. */
function unknownMethod(verb: string): Answer {
  const status = verb === 'GET' ? 404 : 405;
  const text = `<html><head><title>Error ${status}</title></head><body><h2>HTTP ERROR ${status}</h2></body></html>\n`;
  return { status, headers: { 'content-type': 'text/html;charset=iso-8859-1' }, text };
}

/** Undefined for a method that there is not. */
function resultOf(chain: SimulatedTronChain, node: SimulatedTronNode, { view, method, body }: Call): unknown {
  const branch = chain.branchOf(node.view);
  const head = branch.at(-1) as ScriptedBlock;
  const solid = Math.min(
    chain.finalizedOf(head) ?? head.height,
    node.solidStuckAt ?? Number.POSITIVE_INFINITY,
  );
  const top =
    view === 'wallet' ? head.height : Math.min(head.height, Math.max(0, solid - node.solidityTrails));
  const at = (height: number) => (height <= top && height >= 0 ? branch[height] : undefined);
  const refusal = refusedNumber(body.num);
  if (refusal !== null) return { Error: refusal };
  // A missing number is 0.
  const num = Number(body.num ?? 0);
  const whole = (block: ScriptedBlock | undefined) => (block === undefined ? {} : blockOf(chain, block));
  switch (method) {
    case 'getnowblock':
      return whole(at(top));
    case 'getblock': {
      const { id_or_num: wanted } = body;
      const block = at(wanted === undefined || wanted === '' ? top : Number(wanted));
      if (block === undefined) return {};
      const { transactions: _, ...header } = blockOf(chain, block);
      return body.detail === true ? blockOf(chain, block) : header;
    }
    case 'getblockbynum':
      return whole(at(num));
    case 'getblockbylimitnext': {
      const [start, end] = [Number(body.startNum ?? 0), Number(body.endNum ?? 0)];
      if (end <= start || end - start > 100) return {};
      const blocks = start < 0 ? [] : branch.slice(start, Math.min(end, top + 1));
      return { block: blocks.map((block) => blockOf(chain, block)) };
    }
    case 'gettransactioninfobyblocknum': {
      if (num <= 0) return {};
      const block = at(num);
      return block === undefined ? [] : infosOf(chain, block, node.storesInternals);
    }
    case 'gettransactioninfobyid': {
      const found = branch.slice(0, top + 1).flatMap((block) => infosOf(chain, block, node.storesInternals));
      return found.find(({ id }) => id === body.value) ?? {};
    }
    case 'gettransactionbyid': {
      const all = branch.slice(0, top + 1).flatMap((block) => chain.transactionsOf(block));
      // A pending one too, and as successful.
      const pending = view === 'wallet' ? chain.pending(String(body.value)) : null;
      return (all.find(({ printed }) => printed.txID === body.value) ?? pending)?.printed ?? {};
    }
    case 'getnodeinfo': {
      const name = (block: ScriptedBlock) => `Num:${block.height},ID:${block.hash}`;
      return { beginSyncNum: solid, block: name(head), solidityBlock: name(branch[solid] as ScriptedBlock) };
    }
    case 'getaccount': {
      const paid = branch
        .slice(0, top + 1)
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

export function blockOf(chain: SimulatedTronChain, block: ScriptedBlock) {
  const printed = chain.transactionsOf(block).map((tx) => tx.printed);
  return printBlock(chain.headerOf(block), printed, block.height === 0 ? '' : 'ab'.repeat(65));
}

export function infosOf(chain: SimulatedTronChain, block: ScriptedBlock, storesInternals: boolean) {
  return chain.transactionsOf(block).map((tx) => infoOf(tx, block, storesInternals));
}

function infoOf({ printed, custom }: SimulatedTx, { height, time }: ScriptedBlock, storesInternals: boolean) {
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
    blockTimeStamp: time * 1000,
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
