import { concat, encodeFunctionData, encodePacked, type Hex, pad, parseAbi } from 'viem';
import type { TestAnvil, TransactionRequest } from './anvil.ts';
import { payerBytecode } from './payer-bytecode.ts';
import { readRealData } from './real-data.ts';

/*
 * Contracts that pay the chain's own coin on: one of our own, and real ones of Ethereum where they are present.
 */

export type Payout = { to: string; amount: bigint };

const payerAbi = parseAbi([
  'function setParent(address to)',
  'function batch(address[] to, uint256[] values) payable',
  'function packed(bytes payments) payable',
  'function undone(address to, uint256 value) payable',
  'function borrowed(address[] to, uint256[] values) payable',
  'function bequeath(address to) payable',
]);

/** Deploys Payer.sol: its ways of paying, as transactions to send. */
export async function deployPayer(anvil: TestAnvil) {
  const payer = await anvil.deploy(payerBytecode);
  const sum = (payouts: readonly Payout[]) => payouts.reduce((total, { amount }) => total + amount, 0n);
  const call = (data: Hex, value: bigint): TransactionRequest => ({ to: payer, data, value });
  const lists = (payouts: readonly Payout[]) =>
    [payouts.map(({ to }) => hex(to)), payouts.map(({ amount }) => amount)] as const;
  return {
    address: payer,
    batch: (...payouts: Payout[]) =>
      call(encodeFunctionData({ abi: payerAbi, functionName: 'batch', args: lists(payouts) }), sum(payouts)),
    packed: (...payouts: Payout[]) => {
      const parts = payouts.map(({ to, amount }) => encodePacked(['address', 'uint256'], [hex(to), amount]));
      const data = encodeFunctionData({ abi: payerAbi, functionName: 'packed', args: [concat(parts)] });
      return call(data, sum(payouts));
    },
    borrowed: (...payouts: Payout[]) =>
      call(
        encodeFunctionData({ abi: payerAbi, functionName: 'borrowed', args: lists(payouts) }),
        sum(payouts),
      ),
    /** A payment that is undone in a transaction that succeeds. */
    undone: ({ to, amount }: Payout) =>
      call(encodeFunctionData({ abi: payerAbi, functionName: 'undone', args: [hex(to), amount] }), amount),
    /** More than it is given: the whole transaction fails. */
    overdrawn: ({ to, amount }: Payout) =>
      call(encodeFunctionData({ abi: payerAbi, functionName: 'batch', args: [[hex(to)], [amount]] }), 0n),
    bequeath: ({ to, amount }: Payout) =>
      call(encodeFunctionData({ abi: payerAbi, functionName: 'bequeath', args: [hex(to)] }), amount),
    /** From now on whatever comes without a word is passed on. Takes a block. */
    async forwardTo(to: string): Promise<void> {
      await anvil.send(
        call(encodeFunctionData({ abi: payerAbi, functionName: 'setParent', args: [hex(to)] }), 0n),
      );
      await anvil.mine();
    },
  };
}

const realAbi = parseAbi([
  'function disperseEther(address[] recipients, uint256[] values) payable',
  'function aggregate3Value((address target, bool allowFailure, uint256 value, bytes callData)[] calls) payable',
  'function setup(address[] owners, uint256 threshold, address to, bytes data, address fallbackHandler, address paymentToken, uint256 payment, address paymentReceiver)',
  'function execTransaction(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures) payable returns (bool)',
]);

const nobody = `0x${'0'.repeat(40)}` as const;
const disperse = '0xd152f549545093347a162dce210e7293f1452150';
const multicall3 = '0xcA11bde05977b3631167028862bE2a173976CA11';
const safeSingleton = '0xd9db270c1b5e3bd161e8c8503c55ceabee709552';
const safe = '0x00ca62445b06a9adc1879a44485b4efdcb7b75f3';
const forwarder = '0x3383ff5fd42451f940de862be08ffe3cd9a0b296';
const forwarderCode = '0x059ffafdc6ef594230de44f824e2bd0a51ca5ded';

/**
 * Places the recorded contracts where they stand on mainnet: a Safe of the first account that holds coins, and a
 * forwarder to `parent`. Only within `describeRealData`. Takes two blocks.
 */
export async function placeRealPayers(anvil: TestAnvil, parent: string) {
  const place = async (file: string, address: string) =>
    void (await anvil.rpc('anvil_setCode', [address, readRealData(`contracts/${file}.runtime.hex`).trim()]));
  await place('eth-Disperse', disperse);
  await place('any-Multicall3', multicall3);
  await place('eth-Safe-1.3.0-singleton', safeSingleton);
  await place('eth-SafeProxy-1.3.0', safe);
  await place('eth-DepositForwarder-implementation', forwarderCode);
  await place('eth-DepositForwarder-EIP1167', forwarder);
  await anvil.rpc('anvil_setStorageAt', [safe, pad('0x0'), pad(safeSingleton)]);
  await anvil.rpc('anvil_setStorageAt', [forwarder, pad('0x0'), pad(hex(parent))]);
  await anvil.mine();
  const owner = hex(anvil.accounts[0] as string);
  const setup = [[owner], 1n, nobody, '0x', nobody, nobody, 0n, nobody] as const;
  await anvil.send({
    to: safe,
    data: encodeFunctionData({ abi: realAbi, functionName: 'setup', args: setup }),
  });
  await anvil.send({ to: safe, value: 10n ** 18n });
  await anvil.mine();

  const execute = (to: string, value: bigint, data: Hex): TransactionRequest => {
    // What the sender itself has approved: its address, nothing, 1.
    const signature = concat([pad(owner), pad('0x0'), '0x01']);
    const args = [hex(to), value, data, 0, 0n, 0n, 0n, nobody, nobody, signature] as const;
    return { to: safe, data: encodeFunctionData({ abi: realAbi, functionName: 'execTransaction', args }) };
  };
  const disperseData = (payouts: readonly Payout[]) =>
    encodeFunctionData({
      abi: realAbi,
      functionName: 'disperseEther',
      args: [payouts.map(({ to }) => hex(to)), payouts.map(({ amount }) => amount)],
    });
  const sum = (payouts: readonly Payout[]) => payouts.reduce((total, { amount }) => total + amount, 0n);
  return {
    forwarder,
    disperse: (...payouts: Payout[]): TransactionRequest => ({
      to: disperse,
      data: disperseData(payouts),
      value: sum(payouts),
    }),
    /** Each call may fail by itself. */
    multicall: (...payouts: Payout[]): TransactionRequest => {
      const calls = payouts.map(({ to, amount }) => ({
        target: hex(to),
        allowFailure: true,
        value: amount,
        callData: '0x' as const,
      }));
      const data = encodeFunctionData({ abi: realAbi, functionName: 'aggregate3Value', args: [calls] });
      return { to: multicall3, data, value: sum(payouts) };
    },
    safe: ({ to, amount }: Payout) => execute(to, amount, '0x'),
    /** A Safe that lets Disperse pay. */
    safeDisperse: (...payouts: Payout[]) => execute(disperse, sum(payouts), disperseData(payouts)),
  };
}

/** viem checks the rest when it encodes. */
function hex(address: string): Hex {
  return address as Hex;
}
