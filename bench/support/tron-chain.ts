import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { parseAddress } from '../../src/core/address.ts';
import { knownChains } from '../../src/core/chains/known.ts';
import { type PrintedTransaction, print, printBlock, printTransaction } from '../../src/demo/tron/encode.ts';
import { transferLog, word } from '../../src/demo/tron/transactions.ts';
import { watchedKey } from './transfer-chain.ts';

/*
 * A simulated TRON chain full of transfers, written to a file before it is served: what is measured is who reads it.
 */

export type TronBenchChain = {
  url: string;
  chainId: number;
  /** The last block with transfers; a few empty ones follow. */
  height: number;
  /** Transfers of USDT to one of the first `payees` of {@link watchedKey}. */
  matchesUpTo(height: number): number;
  bytes: number;
  requests(): number;
  /** From now on each answer comes so much later. */
  delay(ms: number): void;
  stop(): Promise<void>;
};

export type TronBenchOptions = {
  path: string;
  blocks: number;
  transactions: number;
  /** Every so many transactions one pays a watched address. */
  matchEvery: number;
  payees: number;
};

type Place = { at: number; size: number };
type Stored = { header: string; body: Place; infos: Place };

const payer = `41${'5e'.repeat(20)}`;
const parsed = parseAddress('tron', knownChains.tron.tokens.usdt?.address ?? '');
const usdt = 'key' in parsed ? parsed.key : '';

export async function startTronBenchChain(options: TronBenchOptions): Promise<TronBenchChain> {
  const { path, blocks, transactions, matchEvery, payees } = options;
  const file = openSync(path, 'w+');
  let end = 0;
  const write = (text: string): Place => {
    const bytes = Buffer.from(text);
    writeSync(file, bytes, 0, bytes.length, end);
    end += bytes.length;
    return { at: end - bytes.length, size: bytes.length };
  };
  const read = ({ at, size }: Place): Buffer => {
    const bytes = Buffer.alloc(size);
    readSync(file, bytes, 0, size, at);
    return bytes;
  };
  const stored: Stored[] = [];
  let parentHash = '0'.repeat(64);
  let made = 0;
  let matches = 0;
  const top = blocks + 30;
  const startMs = Math.floor(Date.now() / 3000) * 3000 - top * 3000;
  for (let height = 0; height <= top; height++) {
    const count = height === 0 || height > blocks ? 0 : transactions;
    const timeMs = startMs + height * 3000;
    const printed: PrintedTransaction[] = [];
    const infos: unknown[] = [];
    for (let n = 0; n < count; n++) {
      made += 1;
      const ours = made % matchEvery === 0;
      if (ours) matches += 1;
      const recipient = ours ? watchedKey(matches % payees) : word(BigInt(made)).slice(24);
      const tx = printTransaction({
        type: 'TriggerSmartContract',
        value: {
          data: `a9059cbb${recipient.padStart(64, '0')}${word(1_000_000n)}`,
          owner_address: payer,
          contract_address: `41${usdt}`,
        },
        contractRet: 'SUCCESS',
        refBlockBytes: '0000',
        refBlockHash: '00'.repeat(8),
        expiration: BigInt(timeMs + 60_000),
        timestamp: BigInt(timeMs + n),
        feeLimit: 225_000_000n,
        signatures: ['ab'.repeat(65)],
      });
      printed.push(tx);
      infos.push({
        log: [transferLog(usdt, recipient, 1_000_000n)],
        fee: 345_000,
        blockNumber: height,
        contractResult: [word(0n)],
        blockTimeStamp: timeMs,
        receipt: { net_usage: 345, energy_usage_total: 64_285, result: 'SUCCESS' },
        id: tx.txID,
        contract_address: `41${usdt}`,
      });
    }
    const header = { height, parentHash, timeMs, witnessAddress: `41${word(7n).slice(24)}`, version: 34n };
    const block = printBlock(header, printed, 'ab'.repeat(65));
    const { transactions: _, ...bare } = block;
    stored.push({ header: print(bare), body: write(print(block)), infos: write(print(infos)) });
    parentHash = block.blockID;
  }
  const chainId = Number.parseInt(
    (JSON.parse(stored[0]?.header ?? '') as { blockID: string }).blockID.slice(-8),
    16,
  );
  let requests = 0;
  let delayMs = 0;

  function answer(path: string, body: Record<string, unknown>): Buffer[] {
    const json = (text: string) => [Buffer.from(text)];
    switch (path.split('/').at(-1)) {
      case 'getblock':
        return json(stored[body.id_or_num === undefined ? top : Number(body.id_or_num)]?.header ?? '{}');
      case 'getblockbynum': {
        const found = stored[Number(body.num)];
        return found === undefined ? json('{}') : [read(found.body)];
      }
      case 'getblockbylimitnext': {
        const found = stored.slice(Number(body.startNum), Number(body.endNum));
        const bodies = found.flatMap((one, i) => [Buffer.from(i === 0 ? '' : ','), read(one.body)]);
        return [Buffer.from('{"block":['), ...bodies, Buffer.from(']}')];
      }
      case 'gettransactioninfobyblocknum': {
        const found = stored[Number(body.num)];
        return found === undefined ? json('[]') : [read(found.infos)];
      }
      case 'getnodeinfo':
        return json(`{"solidityBlock":"Num:${top},ID:${parentHash}"}`);
      default:
        return json(`{"result":{"result":true},"constant_result":["${word(6n)}"]}`);
    }
  }

  const server = createServer(async (request, response) => {
    requests += 1;
    const text = await readBody(request);
    if (delayMs > 0) await setTimeout(delayMs);
    const parts = answer(request.url ?? '', text === '' ? {} : (JSON.parse(text) as Record<string, unknown>));
    response.writeHead(200, { 'content-type': 'application/json;charset=utf-8' });
    for (const part of parts) response.write(part);
    response.end();
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    chainId,
    height: blocks,
    matchesUpTo: (height) => Math.floor((height * transactions) / matchEvery),
    bytes: end,
    requests: () => requests,
    delay: (ms) => {
      delayMs = ms;
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
      closeSync(file);
    },
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
