import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { AddressKey } from '../../../src/core/address.ts';
import type { Currency } from '../../../src/core/assets.ts';
import { knownChains } from '../../../src/core/chains/known.ts';
import { NodeError } from '../../../src/nodes/fault.ts';
import { isRecord } from '../../../src/nodes/json-rpc.ts';
import {
  type Block,
  type Info,
  type RawTransaction,
  readBlock,
  readContract,
  readHeader,
  readInfo,
  readTransaction,
} from '../../../src/watchers/tron/decode.ts';
import { blockIdOf, txIdOf, txTrieRootOf } from '../../../src/watchers/tron/hashes.ts';
import { onlyBytes, onlyVarint, readFields } from '../../../src/watchers/tron/protobuf.ts';
import { type Search, transfersOf } from '../../../src/watchers/tron/transfers.ts';
import {
  isNothing,
  judgeBlock,
  judgeChain,
  judgeInfos,
  proveBlock,
} from '../../../src/watchers/tron/validate.ts';
import { describeTronData, tronDataPath } from '../../support/real-data.ts';
import {
  askedHeight,
  bodyOf,
  type Exchange,
  exchangeFiles,
  isForPeople,
  readExchanges,
  readRows,
  readScenarios,
  readTronJson,
} from '../../support/tron/recordings.ts';

/*
 * Every recorded answer of a real java-tron node, and what was recorded of TRON's main chain.
 */

const usdt = '7bb47b9c0e8c8b503e86ebfc639acd173ef8933f' as AddressKey;
/** Emits whatever it is told to: configured as a token, so that each odd log is looked at. */
const odd = '619c3e239bda22f8368d29c9c807db7867f434e4' as AddressKey;
/** Hand-written code that logs a transfer and then fails. */
const failing = [
  '86d2b9a76da2923aa87775b71d7b9a72677d2e6f',
  '64ddec4c462afd8ee56928383acd3e97211450b6',
  '0ba7bcac909447dd8f52e1686b67e1a2a8e15804',
  '02a2bc33451b4cc0145ca07c3d981b3292f3089e',
  '89b6db75a761403de0dd879d47aa203f0040d92e',
] as AddressKey[];

/** Numbers of the public test keys, by the addresses that are paid in the recordings. */
const people: Readonly<Record<string, string>> = {
  '7e5f4552091a69125d5dfcb7b8c2659029395bdf': '1',
  '2b5ad5c4795c026514f8317c7a215e218dccd6cf': '2',
  '6813eb9362372eef6200f3b1dbc3f819671cba69': '3',
  '1eff47bc3a10a45d4b230b5d10e37751fe6aa718': '4',
  e1ab8145f7e55dc933d51a18c793f901a3a0b276: '5',
  e57bfe9f44b819898f47bf37e5af72a0783e1141: '6',
  d41c057fd1c78805aac12b0a94a405c0461a6fbb: '7',
  f1f6619b38a98d6de0800f1defc0a6399eb6d30c: '8',
  f7edc8fa1ecc32967f827c9043fcae6ba73afa5c: '9',
  '256a11785fc43141324cf61efb5f491378c10c85': '201',
};

/** What the transactions of the scenarios move to these people in TRX, USDT and the odd token. All others: nothing. */
const paid: Readonly<Record<string, string>> = {
  'transfer-activates-account-3': '3 5000000000000 TRX',
  'transfer-activates-account-4': '4 5000000000000 TRX',
  'fund-5': '5 2000000000000 TRX',
  'fund-6': '6 2000000000000 TRX',
  'fund-7': '7 2000000000000 TRX',
  'fund-8': '8 2000000000000 TRX',
  'transfer-1-sun-existing': '1 1 TRX',
  'transfer-2^53+1-sun': '2 9007199254740993 TRX',
  'transfer-1-sun-activates-9': '9 1 TRX',
  'transfer-with-memo': '4 1234567 TRX',
  'transfer-with-memo-utf8-binary': '4 1234568 TRX',
  'transfer-plain': '4 2500000 TRX',
  'two-equal-transfers-1': '3 777 TRX',
  'two-equal-transfers-2': '3 777 TRX',
  'transfer-owner-permission': '9 3333335 TRX',
  'dup-broadcast-1': '4 111 TRX',
  'multisig-transfer-2of3-permission2': '9 3333333 TRX',
  'usdt-transfer': '3 1000000000 USDT',
  'usdt-transfer-2^63': '4 9007199254740993 USDT',
  'usdt-transfer-to-unactivated-addr': '201 25000000 USDT',
  'usdt-transfer-41-prefixed-word': '3 1230000 USDT',
  'usdt-transfer-to-self': '1 77 USDT',
  'usdt-transfer-with-memo': '3 78 USDT',
  'usdt-transferFrom': '4 3000000 USDT',
  'batch-3-transferFrom': '3 1 USDT, 4 2 USDT, 5 3 USDT',
  'batch-two-equal-to-same-address': '3 555 USDT, 3 555 USDT #1',
  'call-by-contract-fwd': '3 11 USDT',
  'odd-two-equal-logs': '3 1000 ODD, 3 1000 ODD #1',
  'split-two-internal-TRX': '3 1000001 TRX, 4 2000002 TRX',
  'split-two-equal-same-address': '3 4444 TRX, 3 4444 TRX #1',
  'create-and-selfdestruct-to-3': '3 8000 TRX',
  'selfdestruct-deployed-bomb-to-3': '3 7000000 TRX',
  ...Object.fromEntries(
    [1000, 2500, 3000, 3500, 4000, 5000].map((n) => [`keccak-finite-${n}`, `3 ${1_600_000 + n} USDT`]),
  ),
  'usdt-transfer by 7 with delegated energy (energy_usage, no energy_fee)': '3 1 USDT',
  'expired transaction': '4 9 TRX',
  'usdt-transfer by 7 with delegated energy, after fork upgrade': '3 1 USDT',
  'usdt-transfer by 1 pays TRX, after fork upgrade': '3 1 USDT',
  'usdt-transfer by 7 with delegated energy (energy_usage)': '3 1 USDT',
  'usdt-transfer by 1 pays TRX (energy_fee)': '3 1 USDT',
  'split after fork upgrade': '3 1000001 TRX, 4 2000002 TRX',
  'multisig-transfer-2of3 in three signatures': '9 77 TRX',
  'plain transfer with memo after proposal (memo fee)': '4 5 TRX',
  'plain transfer, 1000 sun per byte in force': '3 5 TRX',
};

/** Those paid by contracts: a node that does not store internal transactions shows none of them. */
const byContract = /^(split|create-and-selfdestruct|selfdestruct-deployed)/;

const currencies = new Map<AddressKey, Currency>([
  [usdt, 'usdt'],
  [odd, 'odd' as Currency],
  ...failing.map((token, i) => [token, `failing${i}` as Currency] as const),
]);

const everybody: Search = {
  network: 'tron',
  currencies,
  watch: { has: (key) => people[key] !== undefined },
  native: true,
  internal: true,
};

function describeTransfer({
  currency,
  recipient,
  amount,
  ordinal,
}: ReturnType<typeof transfersOf>[number]): string {
  const coin = currency === 'native' ? 'TRX' : currency.toUpperCase();
  return `${people[recipient]} ${amount} ${coin}${ordinal === 0 ? '' : ` #${ordinal}`}`;
}

/** Blocks by whoever showed them, in one file: forks show two at a height. */
function blocksOf(exchanges: readonly Exchange[]): Map<string, { block: Block; exchange: Exchange }[]> {
  const found = exchanges.filter(({ method, status }) => method === 'getblockbynum' && status === 200);
  return Map.groupBy(
    found.flatMap((exchange) => {
      const block = readBlock(bodyOf(exchange));
      return block === null ? [] : [{ block, exchange }];
    }),
    ({ block, exchange }) => placeOf(exchange, block.height),
  );
}

/** Of a block; another node tells the same of it. */
function placeOf({ file }: Exchange, height: number): string {
  return `${file} ${height}`;
}

describeTronData('what a real node answered', 'private-node', () => {
  const exchanges = readExchanges().filter((one) => !isForPeople(one));

  test('lies in files that are all read here', () => {
    expect(exchangeFiles()).toHaveLength(25);
    for (const file of exchangeFiles()) expect(readRows(file).length, file).toBeGreaterThan(0);
  });

  test('every block, by whatever method, is its own hash and the tree of its transactions', () => {
    const blocks = exchanges.flatMap((exchange) => {
      const body = bodyOf(exchange);
      if (!isRecord(body)) return [];
      return body.blockID === undefined ? ((body.block ?? []) as unknown[]) : [body];
    });
    const whole = blocks.filter((block) => isRecord(block) && isRecord(block.block_header));
    expect(whole.length).toBeGreaterThan(450);
    for (const block of whole) {
      // Headers alone come by `getblock`: of an empty block they are all there is.
      const read = readHeader(block);
      expect(read, (block as { blockID: string }).blockID).not.toBeNull();
      if ((block as { transactions?: unknown }).transactions !== undefined)
        expect(readBlock(block), `block ${read?.height}`).not.toBeNull();
    }
  });

  test('every info, by whatever method, is read', () => {
    const infos = exchanges.flatMap((exchange) => {
      const body = bodyOf(exchange);
      if (exchange.method === 'gettransactioninfobyblocknum') return Array.isArray(body) ? body : [];
      return exchange.method === 'gettransactioninfobyid' && isRecord(body) && body.id !== undefined
        ? [body]
        : [];
    });
    expect(infos.length).toBeGreaterThan(2000);
    for (const info of infos) expect(readInfo(info), (info as { id: string }).id).not.toBeNull();
  });

  test('the infos of each block are complete by the rule, whoever told them, or are said to be missing', () => {
    const blocks = blocksOf(exchanges.filter((one) => one.interface === 'full'));
    let complete = 0;
    for (const exchange of exchanges) {
      if (exchange.method !== 'gettransactioninfobyblocknum' || exchange.status !== 200) continue;
      // Some of these were asked in ways that the node refuses.
      if (isRecord(bodyOf(exchange)) && !isNothing(bodyOf(exchange))) continue;
      const there = blocks.get(placeOf(exchange, askedHeight(exchange))) ?? [];
      // Forks have two blocks at a height, and infos name no block: those of the other are refused, or are the same.
      const own = there.filter(({ block }) => isComplete(bodyOf(exchange), block));
      if (there.length > 0) expect(own.length, `${exchange.file} ${exchange.label}`).toBeGreaterThan(0);
      complete += own.length;
    }
    expect(complete).toBeGreaterThan(150);
  });

  test('each transfer of the scenarios is found once, with node A, and nothing else ever', () => {
    const found = transfersByTransaction('A');
    for (const { scenario, txid, height } of readScenarios()) {
      if (txid === null || height === null) continue;
      expect(found.get(txid)?.join(', ') ?? 'nothing', scenario).toBe(paid[scenario] ?? 'nothing');
    }
    expect(
      readScenarios().filter(({ scenario, height }) => paid[scenario] !== undefined && height !== null),
    ).toHaveLength(Object.keys(paid).length);
  });

  test.each(['B', 'C'])('node %s, which stores other things, shows the same money', (node) => {
    const found = transfersByTransaction(node);
    for (const { scenario, txid, height } of readScenarios()) {
      if (txid === null || height === null) continue;
      if (node === 'C' && !hasInfos(node, height)) continue;
      const expected = node === 'B' && byContract.test(scenario) ? 'nothing' : (paid[scenario] ?? 'nothing');
      expect(found.get(txid)?.join(', ') ?? 'nothing', scenario).toBe(expected);
    }
  });

  test('a time-out leaves a well-formed Transfer log on node C, and it is no money', () => {
    const timedOut = readExchanges(['02-scenario-blocks.jsonl.gz', '02-scenario-blocks-2.jsonl'])
      .filter(({ method, node }) => method === 'gettransactioninfobyblocknum' && node === 'C')
      .filter((exchange) => !isForPeople(exchange))
      .flatMap((exchange) => bodyOf(exchange) as Record<string, unknown>[])
      .filter((info) => isRecord(info.receipt) && info.receipt.result === 'OUT_OF_TIME');
    const logs = timedOut.flatMap((info) => (info.log ?? []) as { address: string; topics: string[] }[]);
    expect(
      logs.filter(({ address, topics }) => address === usdt && topics.length === 3).length,
    ).toBeGreaterThan(0);
    for (const node of ['A', 'B', 'C'])
      for (const { id } of timedOut) expect(transfersByTransaction(node).has(id as string)).toBe(false);
  });

  test.each([
    ['04-big-block.jsonl.gz', 200, 128],
    ['04-usdt400-block.jsonl.gz', 200, 198],
  ])('the block of %s holds %d transfers of TRX and %d of USDT', (file, trx, tokens) => {
    const rows = readExchanges([file]);
    const block = rows.map((row) => readBlock(bodyOf(row))).find((one) => one !== null) as Block;
    for (const row of rows.filter(({ method }) => method === 'gettransactioninfobyblocknum')) {
      const proven = proveBlock(block, judgeInfos(bodyOf(row), block));
      const found = transfersOf(proven, { ...everybody, watch: { has: () => true } });
      expect(found.filter(({ currency }) => currency === 'native')).toHaveLength(trx);
      expect(found.filter(({ currency }) => currency === 'usdt')).toHaveLength(tokens);
      expect(new Set(found.map(({ txHash }) => txHash)).size).toBe(trx + tokens);
    }
  });

  test.each(['05-fork1.jsonl', '05-microfork-follow.jsonl', '05-microforks.jsonl', '05-fork3-remined.jsonl'])(
    '%s shows two blocks at a height, and no chain of both',
    (file) => {
      const blocks = [...blocksOf(readExchanges([file])).values()].flat().map(({ block }) => block);
      const byHeight = Map.groupBy(blocks, ({ height }) => height);
      const forked = [...byHeight].filter(([, there]) => new Set(there.map(({ hash }) => hash)).size > 1);
      if (file !== '05-fork3-remined.jsonl') expect(forked.length).toBeGreaterThan(0);
      for (const block of blocks) {
        const parents = byHeight.get(block.height - 1) ?? [];
        if (parents.length === 0) continue;
        const fits = (parent: Block) => {
          try {
            judgeChain([block], parent.hash);
            return true;
          } catch {
            return false;
          }
        };
        for (const parent of parents) expect(fits(parent)).toBe(parent.hash === block.parentHash);
      }
    },
  );

  test('what is no block is never taken for an empty one', () => {
    const refused = exchanges.filter(
      ({ method, file }) => method === 'getblockbynum' && !file.startsWith('02'),
    );
    let nothing = 0;
    for (const exchange of refused) {
      const body = bodyOf(exchange);
      if (isNothing(body)) nothing += 1;
      else if (!isRecord(body) || body.blockID === undefined)
        expect(() => judgeBlock(body, askedHeightOrNone(exchange))).toThrow(NodeError);
    }
    expect(nothing).toBeGreaterThan(20);
  });

  function askedHeightOrNone(exchange: Exchange): number {
    try {
      return askedHeight(exchange);
    } catch {
      return -1;
    }
  }

  const byScenario = readExchanges(['02-scenario-blocks.jsonl.gz', '02-scenario-blocks-2.jsonl']).filter(
    (one) => !isForPeople(one),
  );
  const scenarioBlocks = blocksOf(byScenario);

  function hasInfos(node: string, height: number): boolean {
    return byScenario.some(
      (one) =>
        one.node === node && one.method === 'gettransactioninfobyblocknum' && askedHeight(one) === height,
    );
  }

  /** What a node shows each transaction of the scenarios to have moved. */
  function transfersByTransaction(node: string): Map<string, string[]> {
    const told = byScenario.filter(
      (one) => one.method === 'gettransactioninfobyblocknum' && one.node === node,
    );
    const transfers = told.flatMap((exchange) => {
      const [first] = scenarioBlocks.get(placeOf(exchange, askedHeight(exchange))) ?? [];
      if (first === undefined) return [];
      const { block } = first;
      return transfersOf(proveBlock(block, judgeInfos(bodyOf(exchange), block)), everybody);
    });
    const grouped = Map.groupBy(transfers, ({ txHash }) => txHash as string);
    return new Map([...grouped].map(([hash, all]) => [hash, all.map(describeTransfer)]));
  }
});

function isComplete(answer: unknown, block: Block): boolean {
  try {
    return judgeInfos(answer, block).length === block.transactions.length;
  } catch (error) {
    // A block with transactions whose infos are not there yet: what the race looks like.
    if (error instanceof NodeError) return error.fault.kind === 'behind' && isMissing(answer);
    throw error;
  }
}

function isMissing(answer: unknown): boolean {
  return isNothing(answer) || (Array.isArray(answer) && answer.length === 0);
}

describeTronData("what was recorded of TRON's main chain", 'untron-intents', () => {
  const mainnet = new Map([[tronKey('usdt'), 'usdt' as Currency]]);

  /** What a transaction moves to anybody, as if it were alone in its block. */
  function moves(transaction: RawTransaction, info: Info): string[] {
    const block = {
      height: 1,
      time: 0,
      hash: '',
      transactions: [readTransaction(transaction)],
    } as unknown as Block;
    const search = { ...everybody, currencies: mainnet, watch: { has: () => true } };
    return transfersOf(proveBlock(block, [info]), search).map(
      ({ currency, recipient, amount }) => `${currency} ${amount} ${recipient.slice(0, 8)}`,
    );
  }

  test.each(readdirOrNone('untron-intents'))(
    'the headers, the transaction and the proof of %s hash as the chain says',
    (name) => {
      const file = readTronJson(`untron-intents/${name}`) as {
        txId: string;
        encodedTx: string;
        txLeaf: string;
        headerTxTrieRoot: string;
        proof: string[];
        indexBits: number | string;
        blocks: string[];
      };
      let parent: string | null = null;
      for (const encoded of file.blocks) {
        const raw = onlyBytes(readFields(bytesOf(encoded)) ?? [], 1) as Uint8Array;
        const fields = readFields(raw) ?? [];
        const hexOf = (n: number) => Buffer.from(onlyBytes(fields, n) ?? []).toString('hex');
        const header = {
          height: Number(onlyVarint(fields, 7)),
          timeMs: Number(onlyVarint(fields, 1)),
          txTrieRoot: hexOf(2),
          parentHash: hexOf(3),
          witnessId: 0n,
          witnessAddress: hexOf(9),
          version: onlyVarint(fields, 10) ?? 0n,
          accountStateRoot: hexOf(11),
        };
        if (parent !== null) expect(header.parentHash).toBe(parent);
        parent = blockIdOf(header);
      }
      const transaction = readFields(bytesOf(file.encodedTx)) ?? [];
      const rawHex = Buffer.from(onlyBytes(transaction, 1) as Uint8Array).toString('hex');
      expect(`0x${txIdOf(rawHex)}`).toBe(file.txId);
      const signatures = transaction.flatMap(({ number, value }) =>
        number === 2 && typeof value !== 'bigint' ? [Buffer.from(value).toString('hex')] : [],
      );
      const [outcome] = transaction.filter(({ number }) => number === 5);
      const contractRet = onlyVarint(readFields(outcome?.value as Uint8Array) ?? [], 3) ?? 0n;
      // A tree of one transaction is its leaf.
      expect(`0x${txTrieRootOf([{ rawHex, signatures, outcomes: [Number(contractRet)] }])}`).toBe(
        file.txLeaf,
      );
    },
  );

  test.each(['extracted/getblockbynum-privatenet-4.8.2-165.json'])('the block of %s is whole', (path) => {
    const block = readBlock(readTronJson(path)) as Block;
    const infos = (readTronJson('extracted/infos-privatenet-4.8.2.json') as { blockNumber: number }[]).filter(
      ({ blockNumber }) => blockNumber === block.height,
    );
    expect(judgeInfos(infos, block)).toHaveLength(1);
  });

  test('a block of which somebody left transactions out is not the one of its header', () => {
    const cut = readTronJson('extracted/getnowblock-mainnet-84939539-two-txs.json');
    expect(readHeader(cut)).toMatchObject({ height: 84939539 });
    expect(readBlock(cut)).toBeNull();
  });

  test('headers of a test network hash to their ids', () => {
    const headers = readTronJson('extracted/headers-nile-docs.json') as unknown[];
    expect(headers.map(readHeader)).not.toContain(null);
  });

  test('a token transfer, a swap and a failed call of July 2026 move what they say', () => {
    const captured = (id: string) =>
      readTronJson(`snap-tron-wallet/capture-tx-and-info-${id}.json`) as {
        transaction: RawTransaction;
        info: unknown;
      };
    for (const id of ['09ced888', '985e1025', 'c9628c03', 'e41f064b']) {
      const { transaction, info } = captured(id);
      const read = readInfo(info) as Info;
      expect(read.txHash).toBe(transaction.txID);
      expect(txIdOf(transaction.raw_data_hex as string)).toBe(transaction.txID);
      const found = moves(transaction, read);
      if (id === '09ced888' || id === '985e1025') expect(found).toHaveLength(1);
      expect(new Set(found).size).toBe(found.length);
    }
    const failed = readInfo(
      readTronJson('snap-tron-wallet/info-failed-out-of-energy-internals-81512025.json'),
    ) as Info;
    const { value: legacy } = {
      value: readTronJson('snap-tron-wallet/grid-tx-failed-legacy-internals-81512025.json'),
    };
    expect(failed.internals).toHaveLength(11);
    expect(moves(legacy as RawTransaction, failed)).toEqual([]);
    const swap = readInfo(readTronJson('snap-tron-wallet/info-swap-with-internals-77641497.json')) as Info;
    expect([swap.logs.length, swap.internals?.length]).toEqual([21, 42]);
  });

  test('rows of TronGrid hold transactions that hash to their ids; a TRC-10 transfer moves no TRX', () => {
    const names = readdirOrNone('snap-tron-wallet').filter((name) => name.startsWith('grid-tx-'));
    expect(names).toHaveLength(5);
    for (const name of names) {
      const row = readTronJson(`snap-tron-wallet/${name}`) as RawTransaction;
      expect(txIdOf(row.raw_data_hex as string), name).toBe(row.txID);
      const { type } = readContract(row) as { type: string };
      const info = { ...infoOf(row), receiptResult: type === 'TriggerSmartContract' ? 'SUCCESS' : null };
      const found = moves(row, info);
      expect(found.length, name).toBe(type === 'TransferContract' ? 1 : 0);
    }
    for (const name of ['grid-trc20-list.json', 'grid-trc20-list-swap.json'])
      expect(readTronJson(`snap-tron-wallet/${name}`)).toMatchObject({ success: true });
  });

  test('the infos of a main chain block hold the logs that its JSON-RPC receipts do', () => {
    const infos = readTronJson('chainstorage/raw_block_trace_tx_info-67325788.json') as unknown[];
    const receipts = readTronJson('chainstorage/raw_block_tx_receipt-67325788.json') as {
      transactionHash: string;
      logs: { address: string }[];
    }[];
    const { hash } = readTronJson('chainstorage/raw_block_header-67325788.json') as { hash: string };
    expect(Number(`0x${hash.slice(2, 18)}`)).toBe(67325788);
    for (const [i, value] of infos.entries()) {
      const info = readInfo(value) as Info;
      expect(`0x${info.txHash}`).toBe(receipts[i]?.transactionHash);
      expect(info.logs.map((log) => `0x${(log as { address: string }).address}`)).toEqual(
        receipts[i]?.logs.map(({ address }) => address),
      );
    }
  });
});

describe('the recordings of this page', () => {
  test('name every file that there is', () => {
    for (const folder of ['extracted', 'chainstorage', 'snap-tron-wallet', 'untron-intents'])
      expect([0, 3, 4, 13]).toContain(readdirOrNone(folder).length);
  });
});

function readdirOrNone(folder: string): string[] {
  try {
    return readdirSync(tronDataPath(folder));
  } catch {
    return [];
  }
}

function bytesOf(hex: string): Uint8Array {
  return Buffer.from(hex.slice(2), 'hex');
}

function infoOf({ txID }: RawTransaction): Info {
  return {
    txHash: txID,
    height: 1,
    timeMs: 0,
    receiptResult: null,
    failed: false,
    logs: [],
    internals: null,
  };
}

function tronKey(token: 'usdt'): AddressKey {
  // The contract of the main chain, as its logs print it.
  expect(knownChains.tron.tokens[token]?.address).toBe('TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t');
  return 'a614f803b6fd780986a42c78ec9c7f77e6ded13c' as AddressKey;
}
