import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { transferCall } from '../../src/demo/token.ts';
import { openDatabase } from '../../src/storage/database.ts';
import { evmAddress } from '../support/addresses.ts';
import { leaveOut, openLoneChain } from '../support/lone-chain.ts';
import { commandHome, depositd, readAudit } from './support.ts';

type Report = {
  ranges: { from: number; to: number; host: string; native: boolean }[];
  transfers: { found: number; known: number; new: number; taken_back: number; disputed: number };
  new: { tx_hash: string; amount: string; payment_number: string | null }[];
  payments: object[];
};

type StatusOfChains = { chains: { coverage: { from: number } }[] };

/** Of the node at `url`, on any day. */
async function callsNoted({ folder }: { folder: string }, url: string): Promise<number> {
  const db = await openDatabase(`sqlite:${join(folder, 'depositd.db')}`);
  const rows = await db
    .selectFrom('node_usage')
    .select('calls')
    .where('host', '=', new URL(url).host)
    .execute();
  await db.destroy();
  return rows.reduce((sum, { calls }) => sum + calls, 0);
}

describe('rescan', () => {
  test('beside a running daemon finds what was hidden and what was deleted, once, and tells both ways', async () => {
    const shop = await openLoneChain({
      others: 1,
      chain: { recheckSeconds: 3600 },
      payments: { lifetimeSeconds: 60 },
    });
    const { home } = shop;
    const from = String(await shop.anvil.height());
    const hidden = await shop.create();
    const txHash = await shop.pay(hidden);
    leaveOut(shop.proxy, txHash);
    await shop.anvil.mine(1);
    const seen = await shop.create();
    await shop.pay(seen);
    await shop.anvil.mine(1);
    await home.advanceClock(61);
    await shop.anvil.increaseTime(61);
    await shop.anvil.mine(20);
    await shop.until(hidden, 'expired', ({ status }) => status === 'expired');
    await shop.until(seen, 'confirmed', ({ status }) => status === 'confirmed');
    await shop.untilRead();
    const to = String(await shop.anvil.height());

    const range = ['rescan', '--network', 'bsc', '--from', from, '--to', to];
    const first = await home.runJson<Report>(...range);
    expect(first).toMatchObject({
      network: 'bsc',
      from: Number(from),
      to: Number(to),
      transfers: { found: 2, known: 1, new: 1, taken_back: 0, disputed: 0 },
      new: [{ tx_hash: txHash, amount: '50.000000', payment_number: hidden.payment_number }],
      payments: [
        { payment_number: hidden.payment_number, was: 'expired', status: 'confirmed', reason: null },
      ],
    });
    expect(first.ranges.at(-1)).toMatchObject({ to: Number(to), native: false });
    await shop.until(hidden, 'confirmed', ({ status }) => status === 'confirmed');
    expect(await shop.eventsOf(hidden)).toEqual(['payment.expired', 'payment.detected', 'payment.confirmed']);

    const again = await home.runJson<Report>(...range);
    expect(again).toMatchObject({ transfers: { found: 2, known: 2, new: 0 }, new: [], payments: [] });

    const db = await openDatabase(`sqlite:${join(home.folder, 'depositd.db')}`);
    await db.deleteFrom('deposits').execute();
    await db.destroy();
    const { code, stdout, stderr } = await home.run(...range);
    expect(code).toBe(0);
    const blocks = Number(to) - Number(from) + 1;
    expect(stderr.split('\n').at(-2)).toBe(`rescanning: ${blocks} of ${blocks}`);
    expect(stdout).toContain(`bsc, blocks ${from} to ${to}`);
    expect(stdout).toContain('2 transfers found, 0 already known, 2 new');
    expect(stdout).toContain(`${txHash}`);
    expect(stdout).toContain('no payment has changed');
    for (const payment of [hidden, seen]) {
      await shop.until(payment, 'as before', ({ status, deposits }) => {
        return status === 'confirmed' && deposits.length === 1 && deposits[0]?.status === 'confirmed';
      });
    }
    const audit = (await readAudit(home.folder)).filter(({ action }) => action === 'chain.rescanned');
    expect(audit).toMatchObject([
      { actor: 'cli', subject: 'bsc', detail: { new: 1 } },
      { detail: { new: 0 } },
      { detail: { new: 2 } },
    ]);

    // What it asks counts with what the daemon asked.
    await home.current().stop();
    const before = await callsNoted(home, shop.proxy.url);
    shop.proxy.resetTraffic();
    await home.runJson(...range);
    expect((await callsNoted(home, shop.proxy.url)) - before).toBe(shop.proxy.traffic().calls);
  }, 60_000);

  test('finds the payment of a transaction, and says in a line what else became of one', async () => {
    const shop = await openLoneChain({
      others: 1,
      chain: { recheckSeconds: 3600 },
      payments: { lifetimeSeconds: 60 },
    });
    const { home, anvil } = shop;
    const hidden = await shop.create();
    const txHash = await shop.pay(hidden);
    leaveOut(shop.proxy, txHash);
    await anvil.mine(1);
    await home.advanceClock(61);
    await anvil.increaseTime(61);
    await anvil.mine(20);
    await shop.until(hidden, 'expired', ({ status }) => status === 'expired');
    await shop.untilRead();

    const found = await home.runJson<Report>(
      'rescan',
      '--network',
      'bsc',
      '--tx',
      txHash.toUpperCase().replace('X', 'x'),
    );
    expect(found).toMatchObject({
      network: 'bsc',
      tx_hash: txHash,
      deposits: [{ payment_number: hidden.payment_number, amount: '50.000000' }],
    });
    await shop.until(hidden, 'confirmed', ({ status }) => status === 'confirmed');
    const again = await home.run('rescan', '--network', 'bsc', '--tx', txHash);
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(again.stdout).toMatch(new RegExp(`50\\.000000 +usdt +confirmed +${hidden.payment_number}`));

    const refused = async (tx: string) => {
      const { code, stdout, stderr } = await home.run('rescan', '--network', 'bsc', '--tx', tx);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      return stderr.replace(/^depositd: /, '').trimEnd();
    };
    const unknown = `0x${'66'.repeat(32)}`;
    expect(await refused(unknown)).toMatch(/^no node of bsc knows 0x66/);
    const { usdt } = shop;
    const stranger = evmAddress(900);
    // More than there is.
    const failing = await anvil.send(transferCall(usdt, hidden.assigned_address, 2n ** 200n));
    const tokens = await anvil.send(transferCall(usdt, stranger, 5n));
    expect(await refused(failing)).toBe(
      `${failing} is in no block yet; once it is, it is found without your help`,
    );
    await anvil.mine(1);
    await shop.untilRead();
    const height = await anvil.height();
    expect(await refused(failing)).toBe(`${failing} failed in block ${height}: it has paid nobody`);
    expect(await refused(tokens)).toBe(
      `${tokens}, in block ${height}, pays none of your addresses in what is watched on bsc (usdt, usdc, busd, native)`,
    );

    const { chains } = await home.runJson<StatusOfChains>('status');
    const first = chains[0]?.coverage.from ?? 0;
    // Before the first block: it is read for itself, and nothing is said to be missing.
    const early = String(first - 10);
    await home.runJson('rescan', '--network', 'bsc', '--from', early, '--to', early);
    const { stdout } = await home.run('status');
    expect(stdout).toContain(`bsc is read from block ${first} on; before it by rescan: ${early}\n`);
    expect(stdout).not.toContain('never read');
  }, 90_000);

  test.each([
    ['no range', ['--network', 'bsc']],
    ['half a range', ['--network', 'bsc', '--to', '5']],
    [
      'a range and a transaction',
      ['--network', 'bsc', '--from', '1', '--to', '5', '--tx', `0x${'1'.repeat(64)}`],
    ],
    ['a transaction of another shape', ['--network', 'bsc', '--tx', `0x${'1'.repeat(63)}`]],
    ['a height that is none', ['--network', 'bsc', '--from', '-1', '--to', '5']],
    ['a height in words', ['--network', 'bsc', '--from', 'genesis', '--to', '5']],
    ['a name that no network has', ['--network', 'Solana!', '--from', '1', '--to', '5']],
  ])('with %s ends with 2', async (_, args) => {
    const { code, stdout, stderr } = await depositd('rescan', ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^error: /);
  });

  test('says what it cannot do, and ends with 1', async () => {
    const home = commandHome();
    for (const [args, reason] of [
      [['--network', 'bsc', '--from', '9', '--to', '5'], '--from 9 --to 5: expected 1 ≤ from ≤ to'],
      [['--network', 'ethereum', '--from', '1', '--to', '5'], 'ethereum is not configured'],
      [['--network', 'bsc', '--from', '1', '--to', '5'], 'bsc has not been read yet: start the daemon first'],
    ] as const) {
      const { code, stdout, stderr } = await home.run('rescan', ...args);
      expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: `depositd: ${reason}\n` });
    }
  });
});
