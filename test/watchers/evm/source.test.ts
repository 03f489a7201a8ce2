import type { AddressKey } from '../../../src/core/address.ts';
import type { BlockHash } from '../../../src/core/chain.ts';
import { transferCall } from '../../../src/demo/token.ts';
import { type ContractChain, describeSource } from '../../contracts/source.ts';
import { anvilForTest } from '../../support/anvil.ts';
import { assetsOf, endpointOf, evmSourceForTest, keyOf, testClock } from '../../support/evm.ts';
import { batchCall, placeTokens } from '../../support/tokens.ts';

describeSource('the EVM source', async (): Promise<ContractChain> => {
  const anvil = await anvilForTest();
  const { usdt } = await placeTokens(anvil, 'bsc');
  // Where a key can be, one is.
  const url = `${anvil.url}/?key=secret-key-0123456789`;
  const clock = testClock();
  const source = evmSourceForTest([endpointOf(url)], { clock });
  return {
    source,
    token: 'usdt',
    linksBlocks: false,
    url,
    recipients: [
      keyOf('0x1111111111111111111111111111111111111abc'),
      keyOf('0x2222222222222222222222222222222222222DEF'),
    ],
    pay: (currency, recipient, amount) =>
      currency === 'native'
        ? anvil.send({ to: `0x${recipient}`, value: amount })
        : anvil.send(transferCall(usdt, `0x${recipient}`, amount)),
    payBatch: (payments) =>
      anvil.send(
        batchCall(
          usdt,
          payments.map(({ recipient, amount }) => ({ to: `0x${recipient}`, amount })),
        ),
      ),
    mine: anvil.mine,
    height: anvil.height,
    block: async (height) => {
      const { number, hash, timestamp } = await anvil.block(height);
      return { height: number, hash: hash as BlockHash, time: timestamp };
    },
    reorg: (depth) => anvil.reorg(depth),
    stopNode: anvil.stop,
    now: clock,
    advance: clock.advance,
    misconfigured: (what) => {
      const [first, ...rest] = assetsOf('bsc');
      if (first === undefined) throw new Error('no assets');
      switch (what) {
        case 'chain id':
          return evmSourceForTest([url], { chainId: 1 });
        case 'decimals':
          return evmSourceForTest([url], { assets: [{ ...first, decimals: 6 }, ...rest] });
        case 'token':
          return evmSourceForTest([url], {
            assets: [{ ...first, token: '9'.repeat(40) as AddressKey }, ...rest],
          });
        default:
          return what satisfies never;
      }
    },
  };
});
