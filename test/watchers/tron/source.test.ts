import type { AddressKey } from '../../../src/core/address.ts';
import type { BlockRef } from '../../../src/core/chain.ts';
import { batcher, payer, transferLog } from '../../../src/demo/tron/transactions.ts';
import { type ContractChain, describeSource } from '../../contracts/source.ts';
import { testClock } from '../../support/evm.ts';
import { tokenKey } from '../../support/payments.ts';
import { createSimulatedTronChain } from '../../support/tron/simulated-chain.ts';
import { chainIdOf, simulatedNodeForTest, tronAssets, tronSourceForTest } from '../../support/tron/source.ts';

describeSource('the TRON source, over a simulated node', async (): Promise<ContractChain> => {
  const clock = testClock();
  const chain = createSimulatedTronChain({ clock, finalityLag: 2, height: 20 });
  const node = await simulatedNodeForTest(chain);
  // Where a key can be, one is.
  const url = `${node.url}/secret-key-0123456789`;
  const source = tronSourceForTest(chain, [url], { clock });
  const usdt = tokenKey('tron', 'usdt') as AddressKey;
  const sent = (recipient: AddressKey, amount: bigint) => ({
    token: usdt,
    currency: 'usdt' as const,
    recipient,
    amount,
  });
  return {
    source,
    token: 'usdt',
    linksBlocks: true,
    url,
    recipients: ['11'.repeat(20) as AddressKey, '22'.repeat(20) as AddressKey],
    pay: async (currency, recipient, amount) => {
      if (currency !== 'native')
        return chain.sendCustom(
          {
            type: 'TriggerSmartContract',
            value: { data: 'a9059cbb', owner_address: payer, contract_address: `41${usdt}` },
            logs: [transferLog(usdt, recipient, amount)],
          },
          amount === 0n ? [] : [sent(recipient, amount)],
        );
      return chain.sendCustom(
        {
          type: 'TransferContract',
          value: { amount, owner_address: payer, to_address: `41${recipient}` },
          receiptResult: null,
        },
        amount === 0n ? [] : [{ token: 'native', currency: 'native', recipient, amount }],
      );
    },
    payBatch: async (payments) =>
      chain.sendCustom(
        {
          type: 'TriggerSmartContract',
          value: { data: '3e2cf2bd', owner_address: payer, contract_address: batcher },
          logs: payments.map(({ recipient, amount }) => transferLog(usdt, recipient, amount)),
        },
        payments.filter(({ amount }) => amount > 0n).map((one) => sent(one.recipient, one.amount)),
      ),
    mine: async (count) => void chain.mine(count),
    height: async () => chain.head().height,
    block: async (height) => chain.at(height) as BlockRef,
    reorg: async (depth) => chain.reorg({ depth, blocks: depth, place: () => null }),
    stopNode: node.close,
    now: clock,
    advance: clock.advance,
    misconfigured: (what) => {
      const [first, ...rest] = tronAssets();
      if (first === undefined) throw new Error('no assets');
      switch (what) {
        case 'chain id':
          return tronSourceForTest(chain, [url], { clock, chainId: chainIdOf(chain) + 1 });
        case 'decimals':
          return tronSourceForTest(chain, [url], { clock, assets: [{ ...first, decimals: 18 }, ...rest] });
        case 'token':
          return tronSourceForTest(chain, [url], {
            clock,
            assets: [{ ...first, token: '9'.repeat(40) as AddressKey }, ...rest],
          });
        default:
          return what satisfies never;
      }
    },
  };
});
