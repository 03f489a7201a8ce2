import type { AddressKey } from '../../src/core/address.ts';
import { knownChains } from '../../src/core/chains/known.ts';

import { type Anvil, startAnvil } from '../../src/demo/anvil.ts';
import { transferTopic } from '../../src/watchers/evm/calls.ts';

/*
 * A local chain full of transfers, to be read as fast as one can.
 */

export type TransferChain = Anvil & {
  /** The token that moves. */
  token: string;
  /** The last block with transfers; a few empty ones follow. */
  height: number;
  transfers: number;
  /** Those of them that pay one of the first `payees` of {@link watchedKey}. */
  matches: number;
  /** One more block like the others, in which a watched address is paid or not. */
  mineTransfers(paid: boolean): Promise<void>;
};

export type TransferChainOptions = {
  blocks: number;
  transfersPerBlock: number;
  /** Every so many transfers one pays a watched address. */
  matchEvery: number;
  /** How many watched addresses are paid. */
  payees: number;
};

const sender = '0x00000000000000000000000000000000005e11e2';

/**
 * Takes a list of 32-byte words as calldata and emits a Transfer to each; answers `decimals()` with 18.
 * A loop around LOG3, written by hand: a block of 70 takes anvil a few milliseconds.
 */
const runtime = [
  '36600414604657', // CALLDATASIZE 4 EQ, to the end if it is
  '5f5b', // i = 0; loop:
  '368110156044', // i < CALLDATASIZE ? …
  '57', // … else stop
  '806001015f52', // memory = i + 1
  `8035337f${transferTopic.slice(2)}`, // word at i, CALLER, topic
  '60205fa3', // LOG3
  '602001600856', // i += 32, to the loop
  '5b00',
  '5b60125f5260205ff3', // 18
].join('');

/** Block 0 lies so far back that the last block is from now. Takes about 10 seconds for 2,000 blocks of 70. */
export async function startTransferChain(options: TransferChainOptions): Promise<TransferChain> {
  const { blocks, transfersPerBlock, matchEvery, payees } = options;
  const genesisTime = Math.floor(Date.now() / 1000) - blocks - 60;
  const anvil = await startAnvil({ chainId: 56, slotsInAnEpoch: 1, automine: false, genesisTime });
  const token = (knownChains.bsc.tokens.usdt as { address: string }).address;
  await anvil.rpc('anvil_setCode', [token, `0x${runtime}`]);
  await anvil.rpc('anvil_setBalance', [sender, '0xffffffffffffffffffff']);
  let made = 0;
  let matches = 0;
  const mine = async (isOurs: (nth: number, n: number) => boolean) => {
    let words = '0x';
    for (let i = 0; i < transfersPerBlock; i++) {
      made += 1;
      const ours = isOurs(i, made);
      if (ours) matches += 1;
      words += (ours ? watchedKey(matches % payees) : strangerKey(made)).padStart(64, '0');
    }
    await anvil.rpc('eth_sendTransaction', [{ from: sender, to: token, input: words, gas: '0xffffff' }]);
    await anvil.rpc('evm_mine');
  };
  for (let block = 0; block < blocks; block++) await mine((_, n) => n % matchEvery === 0);
  const height = Number(await anvil.rpc('eth_blockNumber'));
  // So that all of them are final.
  await anvil.rpc('anvil_mine', ['0x4', '0x1']);
  return {
    ...anvil,
    token,
    height,
    transfers: made,
    matches,
    mineTransfers: (paid) => mine((nth) => paid && nth === 0),
  };
}

/** The nth address of the merchant. */
export function watchedKey(n: number): AddressKey {
  return keyOf(n, 0xc2b2ae35);
}

function strangerKey(n: number): AddressKey {
  return keyOf(n, 0x85ebca6b);
}

/** Five words of a counter, mixed well, as real addresses are hashes; another `salt` gives other addresses. */
function keyOf(n: number, salt: number): AddressKey {
  let key = '';
  for (let word = 1; word <= 5; word++) {
    let mixed = Math.imul(n + 1, 0x9e3779b9) ^ Math.imul(word, salt);
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x7feb352d);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b);
    key += ((mixed ^ (mixed >>> 16)) >>> 0).toString(16).padStart(8, '0');
  }
  return key as AddressKey;
}
