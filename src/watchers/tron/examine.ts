import type { Clock } from '../../clock.ts';
import type { ChainConfig } from '../../config.ts';
import { counted } from '../../core/plural.ts';
import { behind } from '../../nodes/fault.ts';
import type { View } from '../../nodes/wallet-api.ts';
import { type Check, check, danger, judgeAge, warning, well } from '../examination.ts';
import type { TronNode } from './node.ts';
import { findOtherTokens, readChainId } from './preflight.ts';
import { readLatest, readProven, readSolid } from './read.ts';
import type { ProvenBlock } from './validate.ts';

/** With all producers at work the solid block trails by 18 or 19. */
const mostSolidLag = 30;

/** A day of blocks. A lite node keeps some 65,000. */
const dayBlocks = 28_800;

/** Blocks that are looked through for a transaction. */
const someBlocks = 10;

/** Looks one node of TRON over. Stops at the first check without whose answer the others say nothing. */
export async function examineTronNode(
  node: TronNode,
  { chain, clock, signal }: { chain: ChainConfig; clock: Clock; signal: AbortSignal },
): Promise<Check[]> {
  const ofChain = await check('chain', async () => {
    const id = await readChainId(node, signal);
    return id === chain.chainId
      ? well(`chain id ${id}`)
      : danger(`it is of the chain with id ${id}, not ${chain.chainId}`);
  });
  if (ofChain.outcome !== 'well') return [ofChain];
  let height: number | null = null;
  const head = await check('head', async () => {
    const latest = await readLatest(node, 'wallet', signal);
    height = latest.height;
    return judgeAge(latest.timeMs, clock());
  });
  if (height === null) return [ofChain, head];
  const newest: number = height;
  let solid: number | null = null;
  const final = await check(
    'final',
    async () => {
      solid = (await readSolid(node, signal)).height;
      const lag = newest - solid;
      const found = `its solid block trails by ${counted(lag, 'block')}`;
      return lag > mostSolidLag ? warning(found) : well(found);
    },
    // Who confirms by depth needs none.
    chain.finality === 'depth' ? warning : danger,
  );
  const transfers = await check('transfers', async () => {
    const read = await findTransaction(node, 'wallet', newest, signal);
    return well(describeInfos(read));
  });
  const receipts = await check('receipts', async () => {
    if (solid === null) return warning('not asked: it does not tell what is solid');
    const read = await findTransaction(node, 'walletsolidity', solid, signal);
    return well(describeInfos(read));
  });
  const history = await check(
    'history',
    async () => {
      const old = Math.max(1, newest - dayBlocks);
      const read = await readProven(node, 'wallet', old, signal);
      return read === null ? warning(`it has no block ${old} any more`) : well(`it has block ${old}`);
    },
    warning,
  );
  const tokens = await check('tokens', async () => {
    const [first, ...more] = await findOtherTokens(node, chain, signal);
    return first === undefined ? well('each is as configured') : danger([first, ...more].join('; '));
  });
  return [ofChain, head, final, transfers, receipts, history, tokens];
}

/** The highest of some blocks that has a transaction, with what each did; the last one asked for where none has. */
async function findTransaction(
  node: TronNode,
  view: View,
  from: number,
  signal: AbortSignal,
): Promise<ProvenBlock> {
  for (let height = from; ; height--) {
    const read = await readProven(node, view, height, signal);
    if (read === null) throw behind(`it has no block ${height}, which is not above its own newest`);
    if (read.infos.length > 0 || height <= Math.max(1, from - someBlocks)) return read;
  }
}

function describeInfos({ block, infos }: ProvenBlock): string {
  return `block ${block.height} with what each of ${counted(infos.length, 'transaction')} did`;
}
