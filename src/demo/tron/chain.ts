import { type AddressKey, parseAddress } from '../../core/address.ts';
import { CommandError } from '../../errors.ts';
import { amountOf, type DemoChain } from '../chain.ts';
import { hashOf, type SimulatedHeader } from './encode.ts';
import { digest, makeTransaction, paying, type SimulatedTransfer, type SimulatedTx } from './transactions.ts';
import {
  type Answer,
  answerCall,
  answerWith,
  type Call,
  type SimulatedBlock,
  serveWalletApi,
} from './wallet-api.ts';

/** Older blocks than any that a payment is made in. */
const firstBlocks = 40;

/** How far the last solid block trails the head with all 27 producers at work. */
const solidLag = 18;

const slotMs = 3_000;

/** When the first block was made, Unix ms: a constant, so that the chain's id is one too. */
const genesisMs = 1_529_891_469_000;

/**
 * A simulated TRON network in this process: a node's wallet API over a chain that makes a block every `blockSeconds`. No
 * contract runs in it; whoever asks is given the coins. What no real node has:
 *
 * - `POST /simulated/send` `{"token": "41…"|"native", "to": "41…", "amount": "…"}` (hex; base units), answers `{"txID"}`
 * - `POST /simulated/reorg` `{"height": 1}` takes that block and those after it off, with what is in them, and makes one more
 *   in their place
 * - `POST /simulated/solid` answers `{"height": 1}`, the last block that stays
 */
export async function startSimulatedTron({
  blockSeconds,
  clock = Date.now,
}: {
  blockSeconds: number;
  /** Unix ms; for tests, whose time is their own. */
  clock?: () => number;
}): Promise<DemoChain> {
  const branch: SimulatedBlock[] = [];
  let waiting: SimulatedTx[] = [];
  let sent = 0;
  let made = 0;

  function append(transactions: readonly SimulatedTx[], now: number): void {
    made += 1;
    const parent = branch.at(-1);
    const header: SimulatedHeader = {
      height: branch.length,
      parentHash: parent?.hash ?? '0'.repeat(64),
      timeMs: parent === undefined ? now : Math.max(now, parent.header.timeMs + 1),
      // Another one each time: a block that takes another's place is another block.
      witnessAddress: `41${digest(`producer ${made}`, 20)}`,
      version: 34n,
    };
    const printed = transactions.map((tx) => tx.printed);
    branch.push({ hash: hashOf(header, printed), header, transactions });
  }

  function mine(): void {
    append(waiting, clock());
    waiting = [];
  }

  function send(transfer: SimulatedTransfer): string {
    sent += 1;
    const tx = makeTransaction(paying([transfer]), [transfer], sent);
    waiting.push(tx);
    return tx.printed.txID;
  }

  const solidHeight = () => Math.max(0, branch.length - 1 - solidLag);

  /** Nothing solid goes. */
  function reorg(height: unknown): Answer {
    if (!Number.isInteger(height) || Number(height) <= solidHeight())
      return answerWith({ Error: 'the block is solid' });
    const blocks = branch.splice(Number(height)).length;
    for (let i = 0; i <= blocks; i++) append([], clock());
    return answerWith({});
  }

  function answer(call: Call, verb: string): Answer {
    if (call.view === 'simulated' && call.method === 'send') {
      const transfer = readTransfer(call.body);
      return transfer === null
        ? answerWith({ Error: 'not a transfer' })
        : answerWith({ txID: send(transfer) });
    }
    if (call.view === 'simulated' && call.method === 'solid') return answerWith({ height: solidHeight() });
    if (call.view === 'simulated' && call.method === 'reorg') return reorg(call.body.height);
    const solid = solidHeight();
    const pending = (txId: string) => waiting.find(({ printed }) => printed.txID === txId) ?? null;
    return answerCall({ branch, solid, solidityHead: solid, storesInternals: true, pending }, call, verb);
  }

  append([], genesisMs);
  const since = clock() - firstBlocks * slotMs;
  for (let n = 1; n <= firstBlocks; n++) append([], since + n * slotMs);
  const node = await serveWalletApi(0, async (call, verb) => answer(call, verb));
  const timer = setInterval(mine, blockSeconds * 1000);
  return {
    network: 'tron',
    url: node.url,
    chainId: Number.parseInt(branch[0]?.hash.slice(-8) ?? '', 16),
    async pay(currency, address, decimal) {
      const { token, amount } = amountOf('tron', currency, decimal);
      return send({
        token: token === null ? 'native' : keyOf(token.address),
        recipient: keyOf(address),
        amount,
      });
    },
    async stop() {
      clearInterval(timer);
      await node.close();
    },
  };
}

function readTransfer({ token, to, amount }: Record<string, unknown>): SimulatedTransfer | null {
  const [coin, recipient] = [readHex(token), readHex(to)];
  if (recipient === null || (coin === null && token !== 'native')) return null;
  if (typeof amount !== 'string' || !/^\d{1,19}$/.test(amount)) return null;
  return { token: coin ?? 'native', recipient, amount: BigInt(amount) };
}

function readHex(address: unknown): AddressKey | null {
  return typeof address === 'string' && /^41[0-9a-f]{40}$/.test(address)
    ? (address.slice(2) as AddressKey)
    : null;
}

function keyOf(address: string): AddressKey {
  const parsed = parseAddress('tron', address);
  if ('error' in parsed) throw new CommandError(`${address}: ${parsed.error}`);
  return parsed.key;
}
