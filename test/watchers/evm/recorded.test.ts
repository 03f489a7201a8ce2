import { erc20Abi, parseEventLogs } from 'viem';
import { expect, test } from 'vitest';
import type { BlockHash, BlockRef, Transfer } from '../../../src/core/chain.ts';
import type { Watchlist } from '../../../src/watchers/source.ts';
import { assetsOf, evmSourceForTest, keyOf, pollOf } from '../../support/evm.ts';
import { inclusionsBy } from '../../support/inclusions.ts';
import { describeRealData } from '../../support/real-data.ts';
import {
  type RecordedBlock,
  type RecordedReceipt,
  type RecordedTransaction,
  type Recording,
  readRecorded,
  resultsOf,
  startRecordedNode,
} from '../../support/recorded-chain.ts';

/*
 * Blocks, receipts and transactions of the real chains, served by a node that has nothing else. What they pay
 * is decoded a second time by viem.
 */

/** Everybody: every transfer of the tokens is then found. */
const everybody: Watchlist = { has: () => true, size: 1_000_000, keys: () => [] };

describeRealData('a whole Ethereum block', 'rpc-ethereum/full-block.json.gz', () => {
  test('pays exactly what its receipts say in the three stablecoins', async () => {
    const block = readRecorded('rpc-ethereum/full-block.json.gz') as RecordedBlock;
    const receipts = readRecorded('rpc-ethereum/full-block-receipts.json.gz') as RecordedReceipt[];
    const transfers = await readBlock('ethereum', { chainId: 1, blocks: [block], receipts }, block);
    expect(transfers.filter(({ currency }) => currency === 'usdt').length).toBeGreaterThan(40);
    expect(brief(transfers)).toEqual(decoded(receipts, 'ethereum'));
  });

  test('has every one of its transfers still included when it is looked at afresh', async () => {
    const block = readRecorded('rpc-ethereum/full-block.json.gz') as RecordedBlock;
    const receipts = readRecorded('rpc-ethereum/full-block-receipts.json.gz') as RecordedReceipt[];
    const node = await startRecordedNode({ chainId: 1, blocks: [block], receipts });
    const source = evmSourceForTest([node.url], { network: 'ethereum', finality: 'depth' });
    const transfers = await readBlock('ethereum', { chainId: 1, blocks: [block], receipts }, block);
    const looks = await inclusionsBy(source, transfers);
    expect(new Set([...looks.values()].map(({ kind }) => kind))).toEqual(new Set(['included']));
    expect(looks.size).toBe(transfers.length);
  });

  test('shows only what pays the watched, whether they are few or many', async () => {
    const block = readRecorded('rpc-ethereum/full-block.json.gz') as RecordedBlock;
    const receipts = readRecorded('rpc-ethereum/full-block-receipts.json.gz') as RecordedReceipt[];
    const recording = { chainId: 1, blocks: [block], receipts };
    const all = await readBlock('ethereum', recording, block);
    const chosen = new Set([all[3], all[10], all[30]].map((transfer) => (transfer as Transfer).recipient));
    const few: Watchlist = { has: (key) => chosen.has(key), size: chosen.size, keys: () => chosen };
    const wanted = brief(all.filter(({ recipient }) => chosen.has(recipient)));
    expect(brief(await readBlock('ethereum', recording, block, few))).toEqual(wanted);
    expect(brief(await readBlock('ethereum', recording, block, { ...few, size: 5000 }))).toEqual(wanted);
  });
});

describeRealData('single Ethereum transactions', 'rpc-ethereum/stablecoin-receipts.jsonl.gz', () => {
  test('of 144 kinds pay exactly what viem decodes from them', async () => {
    const receipts = resultsOf<RecordedReceipt>(
      readRecorded('rpc-ethereum/stablecoin-receipts.jsonl.gz'),
      'eth_getTransactionReceipt',
    );
    expect(receipts.length).toBeGreaterThan(100);
    let found = 0;
    for (const receipt of receipts) {
      const block = blockOf(receipt);
      const transfers = await readBlock(
        'ethereum',
        { chainId: 1, blocks: [block], receipts: [receipt] },
        block,
      );
      expect(brief(transfers)).toEqual(decoded([receipt], 'ethereum'));
      found += transfers.length;
    }
    expect(found).toBeGreaterThan(150);
  });
});

describeRealData(
  'address poisoning',
  'rpc-ethereum/case-address-poisoning-fake-tokens-2025-12.json.gz',
  () => {
    test('with fake tokens and transfers of nothing pays nobody', async () => {
      const exchanges = readRecorded('rpc-ethereum/case-address-poisoning-fake-tokens-2025-12.json.gz');
      const [receipt] = resultsOf<RecordedReceipt>(exchanges, 'eth_getTransactionReceipt') as [
        RecordedReceipt,
      ];
      expect(receipt.logs.length).toBeGreaterThan(5);
      const block = blockOf(receipt);
      const transfers = await readBlock(
        'ethereum',
        { chainId: 1, blocks: [block], receipts: [receipt] },
        block,
      );
      expect(brief(transfers)).toEqual(decoded([receipt], 'ethereum'));
      expect(transfers).toEqual([]);
    });
  },
);

describeRealData('a failed transaction', 'rpc-ethereum/case-failed-transaction.json', () => {
  test('pays nothing, whatever value it carries', async () => {
    const exchanges = readRecorded('rpc-ethereum/case-failed-transaction.json');
    const [receipt] = resultsOf<RecordedReceipt>(exchanges, 'eth_getTransactionReceipt') as [RecordedReceipt];
    const [sent] = resultsOf<RecordedTransaction>(exchanges, 'eth_getTransactionByHash') as [
      RecordedTransaction,
    ];
    expect(receipt.status).toBe('0x0');
    const block = { ...blockOf(receipt), transactions: [{ ...sent, value: '0xde0b6b3a7640000' }] };
    const recording = { chainId: 1, blocks: [block], receipts: [receipt] };
    expect(await readBlock('ethereum', recording, block, everybody, true)).toEqual([]);
    const succeeded = { ...recording, receipts: [{ ...receipt, status: '0x1' }] };
    expect(await readBlock('ethereum', succeeded, block, everybody, true)).toHaveLength(1);
  });
});

describeRealData('whole BSC blocks', 'rpc-bsc/blocks-full-transactions.jsonl.gz', () => {
  test('pay in BNB exactly what their transactions carry', async () => {
    const blocks = resultsOf<RecordedBlock>(
      readRecorded('rpc-bsc/blocks-full-transactions.jsonl.gz'),
      'eth_getBlockByNumber',
    );
    const full = blocks.filter(({ transactions }) => typeof transactions[0] === 'object');
    expect(full).toHaveLength(15);
    for (const block of full) {
      const sent = block.transactions as RecordedTransaction[];
      const paying = sent.filter(({ to, value }) => to !== null && BigInt(value) > 0n);
      const receipts = paying.map(({ hash }) => receiptOf(hash, block));
      const transfers = await readBlock(
        'bsc',
        { chainId: 56, blocks: [block], receipts },
        block,
        everybody,
        true,
      );
      expect(
        transfers.map(({ txHash, recipient, amount, token }) => [txHash, recipient, amount, token]),
      ).toEqual(paying.map(({ hash, to, value }) => [hash, keyOf(to ?? ''), BigInt(value), 'native']));
    }
  });
});

describeRealData('single BSC transactions', 'rpc-bsc/receipts-and-transactions.jsonl.gz', () => {
  test('pay exactly what viem decodes from them', async () => {
    const exchanges = readRecorded('rpc-bsc/receipts-and-transactions.jsonl.gz');
    for (const receipt of resultsOf<RecordedReceipt>(exchanges, 'eth_getTransactionReceipt')) {
      const block = blockOf(receipt);
      const transfers = await readBlock('bsc', { chainId: 56, blocks: [block], receipts: [receipt] }, block);
      expect(brief(transfers)).toEqual(decoded([receipt], 'bsc'));
    }
  });
});

/** One poll over one recorded block. */
async function readBlock(
  network: 'bsc' | 'ethereum',
  recording: Recording,
  block: RecordedBlock,
  watch: Watchlist = everybody,
  native = false,
): Promise<Transfer[]> {
  const node = await startRecordedNode(recording);
  const source = evmSourceForTest([node.url], { network });
  const head = refOf(block);
  const cursor = { height: head.height - 1, hash: block.parentHash as BlockHash, time: head.time };
  const outcome = await source.poll(pollOf({ cursor, head, watch, native }));
  await source.close();
  await node.close();
  if (outcome.kind !== 'span') throw new Error(JSON.stringify(outcome));
  expect(outcome.span.to).toEqual(head);
  return outcome.span.transfers;
}

type Brief = [
  txHash: string,
  token: string,
  recipient: string,
  amount: bigint,
  ordinal: number,
  logIndex: number,
];

function brief(transfers: readonly Transfer[]): Brief[] {
  return transfers.map(({ txHash, token, recipient, amount, ordinal, logIndex }) => [
    txHash,
    token,
    recipient,
    amount,
    ordinal,
    logIndex ?? -1,
  ]);
}

/** What viem finds in the same receipts, of the network's tokens and more than nothing. */
function decoded(receipts: readonly RecordedReceipt[], network: 'bsc' | 'ethereum'): Brief[] {
  const tokens = new Set(assetsOf(network).flatMap(({ token }) => (token === null ? [] : [keyOf(token)])));
  const counts = new Map<string, number>();
  return receipts
    .flatMap(({ logs }) => parseEventLogs({ abi: erc20Abi, eventName: 'Transfer', logs: logs as never[] }))
    .filter(({ address, args }) => tokens.has(keyOf(address)) && args.value > 0n)
    .map(({ address, args, transactionHash, logIndex }) => {
      const identity = `${transactionHash} ${address} ${args.to}`;
      const ordinal = counts.get(identity) ?? 0;
      counts.set(identity, ordinal + 1);
      return [transactionHash ?? '', keyOf(address), keyOf(args.to), args.value, ordinal, Number(logIndex)];
    });
}

/** The block of a receipt, of which nothing else was recorded. */
function blockOf({ blockNumber, blockHash }: RecordedReceipt): RecordedBlock {
  return {
    number: blockNumber,
    hash: blockHash,
    parentHash: `0x${'ab'.repeat(32)}`,
    timestamp: '0x66666666',
    transactions: [],
  };
}

function receiptOf(transactionHash: string, block: RecordedBlock): RecordedReceipt {
  return { transactionHash, blockNumber: block.number, blockHash: block.hash, status: '0x1', logs: [] };
}

function refOf({ number, hash, timestamp }: RecordedBlock): BlockRef {
  return { height: Number(number), hash: hash as BlockHash, time: Number(timestamp) };
}
