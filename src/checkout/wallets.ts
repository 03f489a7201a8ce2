import type { ChainConfig } from '../config.ts';
import { writeAddress } from '../core/address.ts';
import { encodeTokenCall } from '../core/erc20.ts';
import type { Instructions } from './view.ts';

/** What a page needs of a chain to make a transaction of it. */
export type WalletChain = Pick<ChainConfig, 'family' | 'chainId'>;

/** A transaction for the script to hand to a wallet: names and values of the attributes it reads. */
export type WalletRequest = Record<string, string>;

/**
 * What pays exactly this, as the wallets of its family take it. Amounts in base units: an EVM wallet gets the call encoded,
 * a TRON wallet makes it with its own tronWeb, after it has shown that its first block is that of this chain.
 */
export function walletRequest({ address, amount, asset }: Instructions, chain: WalletChain): WalletRequest {
  switch (chain.family) {
    case 'evm':
      return {
        family: 'evm',
        chain: `0x${chain.chainId.toString(16)}`,
        ...(asset.token === 'native'
          ? { to: address, value: `0x${amount.toString(16)}` }
          : {
              to: writeAddress('evm', asset.token),
              value: '0x0',
              call: encodeTokenCall('transfer', address, amount),
            }),
      };
    case 'tron':
      return {
        family: 'tron',
        genesis: chain.chainId.toString(16).padStart(8, '0'),
        to: address,
        amount: amount.toString(),
        ...(asset.token === 'native' ? {} : { contract: writeAddress('tron', asset.token) }),
      };
    default:
      return chain.family satisfies never;
  }
}

/** https://eips.ethereum.org/EIPS/eip-681: always with the chain, amounts in base units. Null on other chains. */
export function paymentUri(
  { address, amount, asset }: Instructions,
  { family, chainId }: WalletChain,
): string | null {
  if (family !== 'evm') return null;
  if (asset.token === 'native') return `ethereum:${address}@${chainId}?value=${amount}`;
  return `ethereum:${writeAddress('evm', asset.token)}@${chainId}/transfer?address=${address}&uint256=${amount}`;
}

/** SLIP-44 coin types, which Trust Wallet names chains by; BNB Smart Chain's is its own. */
const trustCoins: Readonly<Record<number, number>> = { 1: 60, 56: 20_000_714, 137: 966, 728126428: 195 };

const tokenPocketChains: Readonly<Record<number, string>> = { 1: 'ETH', 56: 'BSC', 728126428: 'TRX' };

/** Links that open this page in the browser of a wallet on a phone, as their makers document them. */
export function walletLinks(url: string, { family, chainId }: WalletChain): { name: string; href: string }[] {
  const encoded = encodeURIComponent(url);
  const json = (value: object) => encodeURIComponent(JSON.stringify(value));
  const okx = encodeURIComponent(`okx://wallet/dapp/url?dappUrl=${encoded}`);
  const trustCoin = trustCoins[chainId] ?? (family === 'evm' ? 60 : 195);
  const chain = tokenPocketChains[chainId] ?? (family === 'evm' ? 'ETH' : 'TRX');
  const shared = [
    {
      name: 'Trust Wallet',
      href: `https://link.trustwallet.com/open_url?coin_id=${trustCoin}&url=${encoded}`,
    },
    { name: 'OKX Wallet', href: `https://web3.okx.com/download?deeplink=${okx}` },
    {
      name: 'TokenPocket',
      href: `tpdapp://open?params=${json({ url, chain, source: 'depositd' })}`,
    },
    { name: 'imToken', href: `imtokenv2://navigate/DappView?url=${encoded}` },
  ];
  const own =
    family === 'evm'
      ? { name: 'MetaMask', href: `https://link.metamask.io/dapp/${url.replace(/^https?:\/\//, '')}` }
      : {
          name: 'TronLink',
          href: `tronlinkoutside://pull.activity?param=${json({ url, action: 'open', protocol: 'tronlink', version: '1.0' })}`,
        };
  return [own, ...shared];
}
