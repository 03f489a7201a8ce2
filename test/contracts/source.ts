import { describe, expect, test } from 'vitest';
import type { AddressKey } from '../../src/core/address.ts';
import type { Currency } from '../../src/core/assets.ts';
import type { BlockRef, Transfer } from '../../src/core/chain.ts';
import { ConfigError, RpcError } from '../../src/errors.ts';
import type {
  ChainSource,
  InclusionQuery,
  PollRequest,
  RereadRequest,
  Span,
  Watchlist,
} from '../../src/watchers/source.ts';
import { inclusionsBy } from '../support/inclusions.ts';

/** A local chain of blocks made on demand, and a source that reads it through one node. */
export type ContractChain = {
  source: ChainSource;
  /** A token of the chain, and whether its own coin can be read too. */
  token: Currency;
  /** Recipients nobody else pays. */
  recipients: [AddressKey, AddressKey];
  /** Whether what is read is linked to the cursor block by block, so that all of it is shown to stand. */
  linksBlocks: boolean;
  /** Sends a payment that the next block will hold; 0 is possible. Returns its transaction. */
  pay(currency: Currency, recipient: AddressKey, amount: bigint): Promise<string>;
  /** Several payments in one transaction. */
  payBatch(payments: readonly { recipient: AddressKey; amount: bigint }[]): Promise<string>;
  mine(count?: number): Promise<void>;
  block(height: number): Promise<BlockRef>;
  height(): Promise<number>;
  /** Replaces the newest blocks by as many empty ones. */
  reorg(depth: number): Promise<void>;
  /** Ends the node. */
  stopNode(): Promise<void>;
  /** The source's clock, and letting it go on. */
  now(): number;
  advance(ms: number): void;
  /** A source for the same node whose configuration is wrong. */
  misconfigured(what: 'chain id' | 'decimals' | 'token'): ChainSource;
  /** The URL that must not be shown. */
  url: string;
};

/** What every source of a chain keeps, whatever the chain. `open` makes a chain that ends with the test. */
export function describeSource(name: string, open: () => Promise<ContractChain>): void {
  describe(`${name} as a chain source`, () => {
    test('begins at the head, or below the block it is told', async () => {
      const chain = await open();
      await chain.mine(5);
      const head = await headOf(chain);
      expect(await chain.source.start('latest', never)).toEqual({ cursor: head, head });
      expect(await chain.source.start(3, never)).toEqual({ cursor: await chain.block(2), head });
      await expect(chain.source.start(head.height + 10, never)).rejects.toThrow(RpcError);
    });

    test('finds what is paid to watched addresses, in chain order, with block and amount', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      const [alice, bob] = chain.recipients;
      const first = await chain.pay(chain.token, alice, 5n);
      await chain.mine();
      await chain.pay(chain.token, await stranger(), 7n);
      const second = await chain.pay(chain.token, bob, 11n);
      await chain.mine();
      await chain.mine();
      const span = await read(chain, cursor, watching(alice, bob));
      expect(span.to).toEqual(await headOf(chain));
      expect(span.transfers).toMatchObject([
        { txHash: first, recipient: alice, ordinal: 0, amount: 5n, currency: chain.token },
        { txHash: second, recipient: bob, ordinal: 0, amount: 11n, currency: chain.token },
      ]);
      expect(span.transfers.map(({ block }) => block)).toEqual([
        await chain.block(cursor.height + 1),
        await chain.block(cursor.height + 2),
      ]);
    });

    test("finds the chain's own coin when asked to read whole blocks, and only then", async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      const [alice] = chain.recipients;
      const txHash = await chain.pay('native', alice, 5n);
      await chain.mine(2);
      const span = await read(chain, cursor, watching(alice), { native: true });
      expect(span.transfers).toMatchObject([
        {
          txHash,
          token: 'native',
          currency: 'native',
          recipient: alice,
          ordinal: 0,
          amount: 5n,
          logIndex: null,
        },
      ]);
      expect((await read(chain, cursor, watching(alice))).transfers).toEqual([]);
    });

    test('ignores payments of nothing', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      const [alice] = chain.recipients;
      await chain.pay(chain.token, alice, 0n);
      await chain.pay('native', alice, 0n);
      await chain.mine();
      expect((await read(chain, cursor, watching(alice), { native: true })).transfers).toEqual([]);
    });

    test('tells two equal payments in one transaction apart by their ordinal', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      const [alice, bob] = chain.recipients;
      const payment = { recipient: alice, amount: 3n };
      await chain.payBatch([
        payment,
        { recipient: bob, amount: 3n },
        { recipient: alice, amount: 0n },
        payment,
      ]);
      await chain.mine();
      const { transfers } = await read(chain, cursor, watching(alice, bob));
      expect(transfers.map(({ recipient, ordinal, amount }) => [recipient, ordinal, amount])).toEqual([
        [alice, 0, 3n],
        [bob, 0, 3n],
        [alice, 1, 3n],
      ]);
    });

    test('reads nothing above the head it was given, and tells the newer one', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      const [alice] = chain.recipients;
      await chain.mine();
      const head = await headOf(chain);
      await chain.pay(chain.token, alice, 5n);
      await chain.mine(3);
      const span = await poll(chain, { cursor, head, upTo: head.height, watch: watching(alice) });
      expect(span.to).toEqual(head);
      expect(span.transfers).toEqual([]);
      expect(span.head).toEqual(await headOf(chain));
    });

    test('reads nothing above the height it is told', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      const [alice] = chain.recipients;
      await chain.mine(3);
      await chain.pay(chain.token, alice, 5n);
      await chain.mine(3);
      const upTo = cursor.height + 2;
      const span = await poll(chain, { cursor, head: await headOf(chain), upTo, watch: watching(alice) });
      expect(span.to).toEqual(await chain.block(upTo));
      expect(span.transfers).toEqual([]);
      expect(span.head).toEqual(await headOf(chain));
    });

    test('with nothing new it only tells the head', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      const same = await poll(chain, { cursor, head: cursor, watch: watching() });
      expect(same).toMatchObject({ to: cursor, head: cursor, transfers: [] });
      await chain.mine(2);
      const newer = await poll(chain, { cursor, head: cursor, upTo: cursor.height, watch: watching() });
      expect(newer).toMatchObject({ to: cursor, head: await headOf(chain), transfers: [] });
    });

    test('asks the watchlist when the answer is here', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      const [alice, bob] = chain.recipients;
      await chain.pay(chain.token, alice, 5n);
      await chain.mine();
      // Many more than any filter takes, so that the whole token is read; the last is asked for by nobody before.
      const asked: AddressKey[] = [];
      const watch: Watchlist = { size: 1_000_000, has: (key) => asked.push(key) > 0, keys: () => [bob] };
      const { transfers } = await poll(chain, { cursor, head: await headOf(chain), watch });
      expect(transfers.map(({ recipient }) => recipient)).toEqual([alice]);
      expect(asked).toContain(alice);
    });

    test('shows anchors above the cursor and below its end, all on the chain', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      const [alice] = chain.recipients;
      await chain.pay(chain.token, alice, 5n);
      await chain.mine(6);
      const span = await read(chain, cursor, watching(alice));
      const paidAt = await chain.block(cursor.height + 1);
      expect(span.anchors).toContainEqual(paidAt);
      for (const anchor of span.anchors) {
        expect(anchor).toEqual(await chain.block(anchor.height));
        expect(anchor.height).toBeGreaterThan(cursor.height);
        expect(anchor.height).toBeLessThan(span.to.height);
      }
    });

    test('another block at the cursor is a reorg', async () => {
      const chain = await open();
      await chain.mine(3);
      const cursor = await headOf(chain);
      await chain.reorg(2);
      await chain.mine();
      const outcome = await chain.source.poll(request({ cursor, head: cursor, watch: watching() }));
      expect(outcome).toEqual({ kind: 'reorg' });
    });

    test.each([false, true])(
      'a reorg above the cursor is read on the new branch (whole blocks: %s)',
      async (native) => {
        const chain = await open();
        const cursor = await headOf(chain);
        const [alice] = chain.recipients;
        await chain.pay(chain.token, alice, 5n);
        await chain.mine(3);
        const head = await headOf(chain);
        await chain.reorg(3);
        // Far enough for no header of the answer to show the old end: whole blocks do.
        await chain.mine(native ? 10 : 0);
        const span = await poll(chain, { cursor, head, watch: watching(alice), native });
        expect(span.transfers).toEqual([]);
        expect(span.to).toEqual(await chain.block(head.height));
        expect(span.head).toEqual(await headOf(chain));
      },
    );

    test('a chain that ends below the cursor proves nothing', async () => {
      const chain = await open();
      const real = await headOf(chain);
      const cursor = { ...real, height: real.height + 5 };
      const outcome = await chain.source.poll(request({ cursor, head: cursor, watch: watching() }));
      expect(outcome).toMatchObject({ kind: 'failed' });
    });

    test('tells as final only what was read, and is shown to stand', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      await chain.mine(2);
      const head = await headOf(chain);
      await chain.mine(20);
      const first = await poll(chain, { cursor, head, watch: watching() });
      expect(first.to).toEqual(head);
      // Where blocks are not linked, nothing in the answer shows that the head seen before is still there.
      expect(first.finalizedHeight).toBe(chain.linksBlocks ? head.height : cursor.height);
      const second = await poll(chain, { cursor: head, head, upTo: head.height, watch: watching() });
      expect(second.finalizedHeight).toBe(head.height);
    });

    test('a head that was replaced before it was read is not told as final', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      await chain.mine(3);
      const head = await headOf(chain);
      await chain.reorg(3);
      // Far enough for no header of the answer to show what stands at the old head's height.
      await chain.mine(20);
      const span = await poll(chain, { cursor, head, watch: watching() });
      for (const block of [cursor, ...span.anchors, span.to]) {
        if (block.height <= (span.finalizedHeight ?? -1))
          expect(block).toEqual(await chain.block(block.height));
      }
    });

    test('a node whose finalized block is below one seen before is not believed', async () => {
      const chain = await open();
      await chain.mine(5);
      const cursor = await headOf(chain);
      const span = await poll(chain, { cursor, head: cursor, watch: watching() });
      expect(span.finalizedHeight).not.toBeNull();
      const finalizedHeight = (span.finalizedHeight ?? 0) + 1;
      const outcome = await chain.source.poll(
        request({ cursor, head: cursor, watch: watching(), finalizedHeight }),
      );
      expect(outcome).toMatchObject({ kind: 'failed' });
      chain.advance(60_000);
      await expect(chain.source.blocksAt([1], never)).rejects.toThrow(RpcError);
      chain.advance(60_000);
      const query = { ...(await anyQuery(chain)), block: cursor };
      expect((await inclusionsBy(chain.source, [query])).get(query)).toMatchObject({ kind: 'unknown' });
    });

    test('says in which block a transaction is, that it is in none yet, or that nobody knows it', async () => {
      const chain = await open();
      const { source } = chain;
      if (source.locationsOfEach === undefined) return;
      const [alice] = chain.recipients;
      const locate = async (txHash: string) => {
        const [answer] = (await source.locationsOfEach?.(txHash as Transfer['txHash'], never)) ?? [];
        return answer?.kind === 'answered' ? answer.value : answer;
      };
      const tx = await chain.pay(chain.token, alice, 5n);
      expect(await locate(tx)).toEqual({ kind: 'pending' });
      await chain.mine(3);
      const { height, hash } = await chain.block((await chain.height()) - 2);
      expect(await locate(tx)).toEqual({ kind: 'mined', block: { height, hash }, failed: false });
      await chain.reorg(3);
      expect(await locate(tx)).not.toMatchObject({ kind: 'mined' });
      expect(await locate(`0x${'77'.repeat(32)}`)).toEqual({ kind: 'unknown' });
      await chain.stopNode();
      expect(await locate(tx)).toMatchObject({ kind: 'silent' });
    });

    test('many polls read every block once and find each payment once', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      const [alice] = chain.recipients;
      const hashes: string[] = [];
      for (let i = 0; i < 8; i++) {
        hashes.push(await chain.pay(i % 2 === 0 ? chain.token : 'native', alice, BigInt(i + 1)));
        await chain.mine(1 + (i % 3) * 5);
      }
      const found: Transfer[] = [];
      let state = { cursor, head: cursor };
      for (let polls = 0; polls < 50; polls++) {
        const span = await poll(chain, { ...state, watch: watching(alice), native: true });
        found.push(...span.transfers);
        state = { cursor: span.to, head: span.head };
      }
      expect(state.cursor).toEqual(await headOf(chain));
      expect(found.map(({ txHash }) => txHash)).toEqual(hashes);
    });

    test('reads blocks again below a block that is known, and no further than asked', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      const [alice] = chain.recipients;
      const first = await chain.pay(chain.token, alice, 5n);
      await chain.mine(2);
      await chain.pay(chain.token, alice, 7n);
      await chain.mine(3);
      const again = {
        cursor,
        upTo: cursor.height + 2,
        anchor: await headOf(chain),
        watch: watching(alice),
      };
      const outcome = await chain.source.reread(rereadRequest(again));
      expect(outcome).toMatchObject({
        kind: 'span',
        span: { to: await chain.block(cursor.height + 2), transfers: [{ txHash: first, amount: 5n }] },
      });
      const anchor = await chain.block(cursor.height + 2);
      expect(await chain.source.reread(rereadRequest({ ...again, anchor }))).toMatchObject({
        span: { to: anchor, transfers: [{ txHash: first }] },
      });
    });

    test('a node with another block where ours is known proves nothing about ours', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      await chain.mine(4);
      const anchor = await headOf(chain);
      await chain.reorg(2);
      const again = { cursor, upTo: cursor.height + 1, anchor, watch: watching() };
      expect(await chain.source.reread(rereadRequest(again))).toMatchObject({ kind: 'failed' });
    });

    test('says who answered, and can be told not to ask them', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      await chain.mine(3);
      const anchor = await headOf(chain);
      const { host } = await poll(chain, { cursor, head: anchor, watch: watching() });
      expect(chain.source.endpoints().map((node) => node.host)).toContain(host);
      const again = { cursor, upTo: anchor.height, anchor, watch: watching(), except: new Set([host]) };
      expect(await chain.source.reread(rereadRequest(again))).toMatchObject({ kind: 'failed' });
    });

    test('tells the blocks at given heights, and null above the head', async () => {
      const chain = await open();
      await chain.mine(4);
      const head = await headOf(chain);
      const blocks = await chain.source.blocksAt([head.height - 2, head.height, head.height + 1], never);
      expect([...blocks]).toEqual([
        [head.height - 2, await chain.block(head.height - 2)],
        [head.height, head],
        [head.height + 1, null],
      ]);
      expect(await chain.source.blocksAt([], never)).toEqual(new Map());
    });

    test('says of a transfer: included where it was seen, absent once the chain took it back', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      const [alice, bob] = chain.recipients;
      await chain.payBatch([
        { recipient: alice, amount: 3n },
        { recipient: alice, amount: 4n },
        { recipient: bob, amount: 0n },
      ]);
      await chain.pay('native', alice, 5n);
      await chain.mine(3);
      const { transfers } = await read(chain, cursor, watching(alice, bob), { native: true });
      expect(transfers).toHaveLength(3);
      const head = await chain.height();
      const looks = await inclusionsBy(chain.source, transfers);
      for (const transfer of transfers) {
        expect(looks.get(transfer)).toEqual({
          kind: 'included',
          block: transfer.block,
          amount: transfer.amount,
          head,
        });
      }
      const [token] = transfers as [Transfer];
      const wrong: InclusionQuery[] = [
        { ...token, ordinal: 2 },
        { ...token, recipient: bob },
      ];
      expect([...(await inclusionsBy(chain.source, wrong)).values()]).toEqual(
        wrong.map(() => ({ kind: 'absent' })),
      );

      const more = { ...token, amount: token.amount + 1n };
      expect((await inclusionsBy(chain.source, [more])).get(more)).toMatchObject({
        amount: token.amount,
      });

      await chain.reorg(3);
      const after = await inclusionsBy(chain.source, transfers);
      expect([...after.values()]).toEqual(transfers.map(() => ({ kind: 'absent' })));
    });

    test('does not know of blocks that the node has not got yet', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      const [alice] = chain.recipients;
      await chain.pay(chain.token, alice, 3n);
      await chain.mine();
      const [transfer] = (await read(chain, cursor, watching(alice))).transfers as [Transfer];
      const query = { ...transfer, block: { ...transfer.block, height: transfer.block.height + 100 } };
      expect((await inclusionsBy(chain.source, [query])).get(query)).toMatchObject({ kind: 'unknown' });
    });

    test('tells what each node says, by itself', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      const [alice] = chain.recipients;
      await chain.pay(chain.token, alice, 3n);
      await chain.mine(3);
      const { host, transfers } = await read(chain, cursor, watching(alice));
      const [transfer] = transfers as [Transfer];
      const latest = await headOf(chain);
      const [heads] = await chain.source.headsOfEach(never);
      expect(heads).toMatchObject({ host, kind: 'answered', value: { latest } });
      const heights = [cursor.height, latest.height + 1];
      expect(await chain.source.blocksOfEach(heights, never)).toEqual([
        { host, kind: 'answered', value: await chain.source.blocksAt(heights, never) },
      ]);
      const { block, amount } = transfer;
      const included = { kind: 'included', block, amount, head: latest.height };
      expect(await chain.source.inclusionsOfEach([transfer], never)).toEqual([
        { host, kind: 'answered', value: new Map([[transfer, included]]) },
      ]);
      await chain.stopNode();
      const silent = [expect.objectContaining({ host, kind: 'silent' })];
      expect(await chain.source.headsOfEach(never)).toEqual(silent);
      expect(await chain.source.blocksOfEach(heights, never)).toEqual(silent);
      expect(await chain.source.inclusionsOfEach([transfer], never)).toEqual(silent);
    });

    test('without a node nothing is claimed, and it says when to ask again', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      await chain.stopNode();
      const outcome = await chain.source.poll(request({ cursor, head: cursor, watch: watching() }));
      expect(outcome).toMatchObject({ kind: 'failed' });
      if (outcome.kind === 'failed') expect(outcome.retryAt).toBeGreaterThan(chain.now());
      chain.advance(60_000);
      await expect(chain.source.verify(never)).rejects.toThrow(RpcError);
      chain.advance(60_000);
      await expect(chain.source.blocksAt([1], never)).rejects.toThrow(RpcError);
      chain.advance(60_000);
      const query = { ...(await anyQuery(chain)), block: cursor };
      expect((await inclusionsBy(chain.source, [query])).get(query)).toMatchObject({ kind: 'unknown' });
    });

    test('stops when it is told to', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      const signal = AbortSignal.abort();
      const outcome = await chain.source.poll(request({ cursor, head: cursor, watch: watching(), signal }));
      expect(outcome).toMatchObject({ kind: 'failed' });
    });

    test('accepts a node that is as configured', async () => {
      const chain = await open();
      await chain.source.verify(never);
    });

    test.each(['chain id', 'decimals', 'token'] as const)(
      'refuses a configuration with a wrong %s',
      async (what) => {
        const chain = await open();
        const failure = await chain
          .misconfigured(what)
          .verify(never)
          .catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(ConfigError);
        expect((failure as ConfigError).faults.join()).toMatch(
          what === 'chain id' ? /\.chainId: / : /\.tokens\.\w+: /,
        );
      },
    );

    test('shows host names only', async () => {
      const chain = await open();
      const cursor = await headOf(chain);
      await poll(chain, { cursor, head: cursor, watch: watching() });
      await chain.stopNode();
      const outcome = await chain.source.poll(request({ cursor, head: cursor, watch: watching() }));
      const shown = JSON.stringify([chain.source.endpoints(), outcome]);
      expect(shown).toContain(new URL(chain.url).host);
      expect(shown).not.toContain('http');
      expect(shown).not.toContain('secret-key');
      expect(chain.source.endpoints()).toMatchObject([{ preferred: true, head: cursor.height }]);
    });
  });
}

const never = new AbortController().signal;

function watching(...keys: AddressKey[]): Watchlist {
  const set = new Set(keys);
  return { has: (key) => set.has(key), size: set.size, keys: () => set.values() };
}

function request(given: Partial<PollRequest> & Pick<PollRequest, 'cursor' | 'head' | 'watch'>): PollRequest {
  return { finalizedHeight: null, native: false, signal: never, ...given };
}

function rereadRequest(
  given: Partial<RereadRequest> & Pick<RereadRequest, 'cursor' | 'upTo' | 'anchor' | 'watch'>,
): RereadRequest {
  return { native: false, except: new Set(), signal: never, ...given };
}

async function poll(
  chain: ContractChain,
  given: Partial<PollRequest> & Pick<PollRequest, 'cursor' | 'head' | 'watch'>,
): Promise<Span> {
  const outcome = await chain.source.poll(request(given));
  if (outcome.kind !== 'span') throw new Error(`no span: ${JSON.stringify(outcome)}`);
  return outcome.span;
}

/** One poll from the cursor to the head. */
async function read(
  chain: ContractChain,
  cursor: BlockRef,
  watch: Watchlist,
  more: { native?: boolean } = {},
): Promise<Span> {
  return poll(chain, { cursor, head: await headOf(chain), watch, ...more });
}

async function headOf(chain: ContractChain): Promise<BlockRef> {
  return chain.block(await chain.height());
}

async function stranger(): Promise<AddressKey> {
  return '00000000000000000000000000000000000ddba1' as AddressKey;
}

async function anyQuery(chain: ContractChain): Promise<Omit<InclusionQuery, 'block'>> {
  const [recipient] = chain.recipients;
  const txHash = `0x${'11'.repeat(32)}` as Transfer['txHash'];
  return { txHash, token: 'native', recipient, ordinal: 0, amount: 1n };
}
