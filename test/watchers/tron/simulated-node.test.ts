import { expect, test } from 'vitest';
import { parseLossless, readInt64 } from '../../../src/core/lossless-json.ts';
import {
  type PrintedTransaction,
  printBlock,
  printTransaction,
  type SimulatedTransaction,
} from '../../../src/demo/tron/encode.ts';
import { isRecord } from '../../../src/nodes/json-rpc.ts';
import { readHeader } from '../../../src/watchers/tron/decode.ts';
import { testClock } from '../../support/evm.ts';
import { tokenKey } from '../../support/payments.ts';
import { describeTronData } from '../../support/real-data.ts';
import { bodyOf, type Exchange, isForPeople, readExchanges } from '../../support/tron/recordings.ts';
import { createSimulatedTronChain } from '../../support/tron/simulated-chain.ts';
import { simulatedNodeForTest } from '../../support/tron/source.ts';

/*
 * The simulated node says what the real one said: whatever is tested against it would be tested against nothing otherwise.
 */

type RawData = {
  contract: { type: string; parameter: { value: Record<string, unknown> }; Permission_id?: unknown }[];
  ref_block_bytes: string;
  ref_block_hash: string;
  expiration: unknown;
  timestamp?: unknown;
  fee_limit?: unknown;
  data?: string;
};

const simulated = ['TransferContract', 'TransferAssetContract', 'TriggerSmartContract'];
const numbers = ['amount', 'call_value'];

/** A recorded transaction as the simulator is told of one; null for a kind that it does not have. */
function toldFrom(recorded: Record<string, unknown>): SimulatedTransaction | null {
  const raw = recorded.raw_data as RawData;
  const [contract] = raw.contract;
  if (contract === undefined || !simulated.includes(contract.type)) return null;
  const { value } = contract.parameter;
  if (value.call_token_value !== undefined || recorded.ret === undefined) return null;
  const whole = (given: unknown) => (given === undefined ? undefined : (readInt64(given) ?? undefined));
  const told = Object.entries(value).map(([key, inner]) => [
    key,
    numbers.includes(key) ? whole(inner) : inner,
  ]);
  return {
    type: contract.type,
    value: Object.fromEntries(told),
    contractRet: (recorded.ret as { contractRet: string }[])[0]?.contractRet ?? 'DEFAULT',
    refBlockBytes: raw.ref_block_bytes,
    refBlockHash: raw.ref_block_hash,
    expiration: whole(raw.expiration),
    timestamp: whole(raw.timestamp),
    feeLimit: whole(raw.fee_limit),
    data: raw.data,
    permissionId: whole(contract.Permission_id),
    signatures: recorded.signature,
  } as SimulatedTransaction;
}

/** Every integer as a bigint: how it was parsed does not matter. */
function widened(value: unknown): unknown {
  if (typeof value === 'number') return BigInt(value);
  if (Array.isArray(value)) return value.map(widened);
  if (!isRecord(value)) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(entries.map(([key, inner]) => [key, widened(inner)]));
}

function resultOf(info: Record<string, unknown> | undefined): unknown {
  return isRecord(info?.receipt) ? info.receipt.result : undefined;
}

function recordedBlocks(): Record<string, unknown>[] {
  const bodies = readExchanges().filter((one) => one.method === 'getblockbynum' && !isForPeople(one));
  return bodies.flatMap((one) => {
    const body = bodyOf(one);
    return isRecord(body) && body.blockID !== undefined ? [body] : [];
  });
}

describeTronData('the simulated node, beside a real one', 'private-node', () => {
  test('prints every transaction of its kinds as it was recorded, field by field', () => {
    let printed = 0;
    for (const { transactions = [] } of recordedBlocks()) {
      for (const recorded of transactions as Record<string, unknown>[]) {
        const told = toldFrom(recorded);
        if (told === null) continue;
        expect(widened(printTransaction(told))).toEqual(widened(recorded));
        printed += 1;
      }
    }
    expect(printed).toBeGreaterThan(800);
  });

  test('prints every block around its transactions as it was recorded', () => {
    let printed = 0;
    for (const recorded of recordedBlocks()) {
      const header = readHeader(recorded);
      const { raw_data, witness_signature } = recorded.block_header as {
        raw_data: Record<string, unknown>;
        witness_signature?: string;
      };
      const transactions = (recorded.transactions ?? []) as PrintedTransaction[];
      // Of the first block the transactions have no outcome: the simulated chain has none in it.
      if (header === null || header.height === 0) continue;
      const told = {
        height: header.height,
        parentHash: header.parentHash,
        timeMs: header.timeMs,
        witnessAddress: raw_data.witness_address as string,
        version: readInt64(raw_data.version ?? 0) ?? 0n,
      };
      expect(widened(printBlock(told, transactions, witness_signature))).toEqual(widened(recorded));
      printed += 1;
    }
    expect(printed).toBeGreaterThan(200);
  });

  test('answers what it has not got, and what it is asked wrongly, in the words of the real one', async () => {
    const chain = createSimulatedTronChain({ clock: testClock(), finalityLag: 4, height: 196 });
    const node = await simulatedNodeForTest(chain);
    const served = [
      'getblockbynum',
      'gettransactioninfobyblocknum',
      'getblockbylimitnext',
      'getblock',
      'gettransactioninfobyid',
    ];
    /** What depends on the content of the chain is of the same kind; all else is the same text. */
    const kindOf = (text: string): string => {
      const body = parseLossless(text);
      if (Array.isArray(body)) return 'infos';
      if (!isRecord(body)) return text;
      if (body.blockID !== undefined) return 'block';
      if (Array.isArray(body.block)) return `${body.block.length} blocks`;
      if (body.Error !== undefined) return 'Error';
      return body.id === undefined ? JSON.stringify(body) : 'info';
    };
    const asked = readExchanges(['01-basic-methods.jsonl']).filter(
      (one) =>
        one.node === 'A' &&
        one.verb === 'POST' &&
        served.includes(one.method) &&
        !isForPeople(one) &&
        isAskable(one),
    );
    expect(asked.length).toBeGreaterThan(30);
    for (const { path, request_body, body_text, status, label, interface: port } of asked) {
      const response = await fetch(node.url + path, { method: 'POST', body: request_body });
      expect(response.status, label).toBe(status);
      const text = await response.text();
      // Blocks with transactions are elsewhere on the real chain.
      const own = port === 'solid' || kindOf(body_text) === 'infos' || kindOf(body_text) === 'info';
      if (!own) expect(kindOf(text), label).toBe(kindOf(body_text));
    }
  });

  /** Not a body that is no JSON, nor a number that JSON.parse rounds. */
  function isAskable({ request_body }: Exchange): boolean {
    return request_body !== null && request_body !== '' && !/\d{16}|zz|xyz/.test(request_body);
  }

  test('tells an info with the keys and the types that a real one has', async () => {
    const chain = createSimulatedTronChain({ clock: testClock(), finalityLag: 4 });
    const node = await simulatedNodeForTest(chain);
    const recipient = '11'.repeat(20) as never;
    const usdt = tokenKey('tron', 'usdt');
    chain.send({ token: usdt, currency: 'usdt', recipient, amount: 5n });
    chain.send({ token: 'native', currency: 'native', recipient, amount: 5n });
    const { height } = chain.mine();
    const path = '/wallet/gettransactioninfobyblocknum';
    const response = await fetch(node.url + path, { method: 'POST', body: JSON.stringify({ num: height }) });
    const infos = (await response.json()) as Record<string, unknown>[];
    const real = readExchanges(['02-scenario-blocks.jsonl.gz'])
      .filter((one) => one.method === 'gettransactioninfobyblocknum' && one.node === 'A' && !isForPeople(one))
      .flatMap((one) => bodyOf(one) as Record<string, unknown>[]);
    const transfer = real.find((info) => info.log !== undefined && info.internal_transactions === undefined);
    const plain = real.find((info) => info.contract_address === undefined);
    const [token, coin] = infos.slice(-2);
    for (const [made, recorded] of [
      [token, transfer],
      [coin, plain],
    ]) {
      for (const [key, value] of Object.entries(made ?? {})) {
        if (key === 'receipt') continue;
        expect(typeof recorded?.[key], key).toBe(typeof value);
      }
      expect(resultOf(made)).toBe(resultOf(recorded));
    }
    const [own, theirs] = [token, transfer].map((info) => {
      const [log] = (info?.log ?? []) as object[];
      return Object.keys(log ?? {}).sort();
    });
    expect(own).toEqual(theirs);
  });
});
