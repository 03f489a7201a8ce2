import { describe, expect, test } from 'vitest';
import { knownCoins } from '../../src/core/assets.ts';
import { faultsOf, parse } from './support.ts';

const rpc = ['https://node.example'];
const native = { symbol: 'MNT', decimals: 18, rate: { binance: 'MNTUSDT', coingecko: 'mantle' } };
const mantle = { family: 'evm', chainId: 5000, name: 'Mantle', confirmations: 20, rpc, native };
const address = '0x00000000000000000000000000000000000000aa';

describe('a chain that the program knows', () => {
  test.each([
    ['polygon', 137, 'Polygon', ['usdt', 'usdc', 'native'], 'pol'],
    ['base', 8453, 'Base', ['usdt', 'usdc', 'native'], 'eth'],
    ['arbitrum', 42161, 'Arbitrum One', ['usdt', 'usdc', 'native'], 'eth'],
    ['optimism', 10, 'OP Mainnet', ['usdt', 'usdc', 'native'], 'eth'],
    ['avalanche', 43114, 'Avalanche C-Chain', ['usdt', 'usdc', 'native'], 'avax'],
    ['linea', 59144, 'Linea', ['usdt', 'usdc', 'native'], 'eth'],
    ['gnosis', 100, 'Gnosis Chain', ['usdt', 'usdc', 'native'], 'xdai'],
  ])('%s needs nothing but nodes', (network, chainId, name, currencies, coin) => {
    const chain = parse({ chains: { [network]: { rpc } } }).chains[network];
    expect(chain).toMatchObject({ network, chainId, name, family: 'evm', enabled: true, native: { coin } });
    expect(chain?.assets.map(({ currency }) => currency)).toEqual(currencies);
  });

  test('takes any other token under a name of its own', () => {
    const eurs = { address, decimals: 2, rate: 'eur' };
    const { polygon } = parse({ chains: { polygon: { rpc, tokens: { eurs } } } }).chains;
    expect(polygon?.assets.find(({ currency }) => currency === 'eurs')).toEqual({
      network: 'polygon',
      currency: 'eurs',
      coin: 'eurs',
      token: address.slice(2),
      decimals: 2,
      rate: { peg: 'eur', symbols: {} },
    });
  });
});

describe('a chain that the configuration describes', () => {
  test('is watched and paid like the others', () => {
    const dai = { address, decimals: 18, rate: 'usd' };
    const chain = parse({ chains: { mantle: { ...mantle, tokens: { dai } } } }).chains.mantle;
    expect(chain).toMatchObject({
      network: 'mantle',
      name: 'Mantle',
      family: 'evm',
      chainId: 5000,
      requiredConfirmations: 20,
      finality: 'depth',
    });
    expect(chain?.assets).toMatchObject([
      { currency: 'dai', coin: 'dai', rate: { peg: 'usd', symbols: {} } },
      { currency: 'native', coin: 'mnt', rate: { peg: null, symbols: native.rate }, token: 'native' },
    ]);
  });

  test('whose coin is a known one has its prices', () => {
    const eth = { symbol: 'ETH', decimals: 18, rate: { coinbase: 'ETH-USD' } };
    const own = parse({ chains: { rollup: { ...mantle, native: eth } } }).chains.rollup;
    expect(own?.native).toMatchObject({ coin: 'eth', rate: { symbols: { coinbase: 'ETH-USD' } } });
    const usdc = { address, decimals: 6, rate: 'usd' };
    const chain = parse({ chains: { mantle: { ...mantle, tokens: { usdc } } } }).chains.mantle;
    expect(chain?.assets[0]?.rate).toEqual(knownCoins.usdc);
  });

  test.each([
    ['no family', { mantel: { rpc } }, 'chains.mantel: unknown key; expected one of bsc, ethereum, tron'],
    ['a mistyped name', { polygn: { rpc } }, 'chains.polygn: unknown key; did you mean "polygon"?'],
    [
      'no chain id',
      { mantle: { ...mantle, chainId: undefined } },
      'chains.mantle.chainId: missing; expected',
    ],
    [
      'no rate',
      { mantle: { ...mantle, native: { symbol: 'MNT', decimals: 18 } } },
      'chains.mantle.native.rate',
    ],
    ['an odd name', { Mantle: mantle }, 'chains.Mantle: expected a name of lower-case letters'],
    [
      'a token called native',
      { mantle: { ...mantle, tokens: { native: { address, decimals: 2, rate: 'usd' } } } },
      'chains.mantle.tokens.native: expected a name',
    ],
    [
      'a token without a price',
      { bsc: { rpc, tokens: { eurs: { address, decimals: 2 } } } },
      'chains.bsc.tokens.eurs.rate: missing; expected "usd" or "eur"',
    ],
    [
      'two prices of one coin',
      {
        bsc: { rpc, tokens: { foo: { address, decimals: 2, rate: 'usd' } } },
        base: { rpc, tokens: { foo: { address, decimals: 2, rate: 'eur' } } },
      },
      'chains.base: the rate of foo differs from that on bsc',
    ],
  ])('with %s is a fault', (_, chains, fault) => {
    const faults = faultsOf({ chains });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(fault);
  });
});

test('a fixed price may be of any coin or token of the configuration, or of the euro, and of nothing else', () => {
  const chains = { mantle: { ...mantle, tokens: { eurs: { address, decimals: 2, rate: 'eur' } } } };
  const rates = { sources: ['fixed'], fixed: { mnt: '0.8', eurs: '1.1', eur: '1.1', usdt: '1' } };
  expect(faultsOf({ chains, rates })).toEqual([]);
  expect(faultsOf({ chains, rates: { ...rates, fixed: { usdd: '1' } } })).toEqual([
    'rates.fixed.usdd: unknown key; did you mean "usdt"?',
  ]);
});
