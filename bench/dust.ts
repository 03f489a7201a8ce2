import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Config } from '../src/config.ts';
import type { OnchainPayment } from '../src/core/payment.ts';
import { type Anvil, startAnvil } from '../src/demo/anvil.ts';
import { mintCall, placeToken, type TokenCall, transferCall } from '../src/demo/token.ts';
import { createLogger } from '../src/log.ts';
import { cancelPayment } from '../src/payments/cancel.ts';
import { createPayments, type PaymentCreator } from '../src/payments/create.ts';
import { openDatabase } from '../src/storage/database.ts';
import { findPaymentById } from '../src/storage/payments/payments.ts';
import { viewOf } from '../src/storage/payments/views.ts';
import type { Db } from '../src/storage/schema.ts';
import { createEvmSource } from '../src/watchers/evm/source.ts';
import { createRecheck } from '../src/watchers/recheck/recheck.ts';
import { createWatcher } from '../src/watchers/watcher.ts';
import { createWatchlist } from '../src/watchers/watchlist.ts';
import { batchCall } from '../test/support/tokens.ts';
import { benchChain } from './support/bench-chain.ts';
import { fillDatabase } from './support/database.ts';
import { writeResults } from './support/results.ts';

/*
 * Ten thousand grains of dust in one block, by few transactions, beside a customer who pays: how long anything else has to
 * wait for the program, and the customer for his confirmation. A living chain of two nodes, read by the watcher and a
 * second time by the recheck, on a database file.
 */

const blockMs = 450;
const confirmations = 5;
const token = '0x55d398326f99059fF775485246999027B3197955';
const sender = '0x00000000000000000000000000000000005e11e2';

type Where = 'nowhere' | 'to the customer’s own payment' | 'to another payment' | 'to an address that rests';
const places: Where[] = [
  'nowhere',
  'to the customer’s own payment',
  'to another payment',
  'to an address that rests',
];

type Measured = {
  confirmedMs: number;
  delayMs: number;
  cpuMs: number;
  stepMs: number;
  viewMs: number;
  grains: number;
};

const log = createLogger({ level: 'error', write: (line) => process.stderr.write(line) });

/** `-- --grains 1000` takes fewer. */
export async function run(args: string[]): Promise<void> {
  const given = args.indexOf('--grains');
  const grains = given < 0 ? 10_000 : Number(args[given + 1]);
  const lines = [
    `${grains.toLocaleString('en')} grains in one block by four transactions, ${blockMs} ms before a customer pays; ${confirmations} confirmations, two nodes, a block every ${blockMs} ms; SQLite, synchronous=FULL.`,
    '',
    '| grains | confirmed after s | others waited at most, ms | of processor time at most, ms | longest step, ms | showing the payment, ms | recorded |',
    '|---|---|---|---|---|---|---|',
  ];
  for (const where of places) {
    console.log(`${where}…`);
    const found = await measure(where, grains);
    const { confirmedMs, delayMs, cpuMs, stepMs, viewMs } = found;
    const figures = [delayMs, cpuMs, stepMs, viewMs].map((ms) => ms.toFixed(0));
    lines.push(
      `| ${where} | ${(confirmedMs / 1000).toFixed(2)} | ${figures.join(' | ')} | ${found.grains} |`,
    );
  }
  lines.push(
    '',
    'Targets: nothing over 200 ms, and no later confirmation. A step includes what its nodes take to answer.',
  );
  console.log(lines.join('\n'));
  if (given < 0) writeResults('dust', lines);
}

async function measure(where: Where, grains: number): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), 'depositd-bench-'));
  const anvil = await startAnvil({ chainId: 56, slotsInAnEpoch: 1, automine: false });
  const path = join(folder, 'dust.db');
  const { merchantId } = await fillDatabase(path, 4);
  const db = await openDatabase(`sqlite:${path}`);
  await prepare(anvil);
  const reader = await startReader(db, anvil);
  try {
    const create = creatorOf(db, reader.chain);
    const mining = mineAlways(anvil);
    const [customer, other] = [await newPayment(create, merchantId), await newPayment(create, merchantId)];
    const resting = await newPayment(create, merchantId);
    const { paymentNumber } = resting;
    await cancelPayment({ db, clock: Date.now }, { merchantId, paymentNumber });
    // A while of nothing: what is prepared at first is not the dust's.
    await setTimeout(3_000);
    reader.forget();
    const target = { 'to another payment': other, 'to an address that rests': resting } as const;
    const payee = where in target ? target[where as keyof typeof target] : customer;
    if (where !== 'nowhere') await sendDust(anvil, payee.address, grains);
    await mining.next();
    await anvil.rpc('eth_sendTransaction', [
      from(transferCall(token, customer.address, customer.expectedAmount)),
    ]);
    await mining.next();
    const paidAt = performance.now();
    while ((await findPaymentById(db, customer.id)).status !== 'confirmed') await setTimeout(5);
    const confirmedMs = performance.now() - paidAt;
    // Until the last grain has had its turn, and all was read twice.
    await setTimeout(12_000);
    const shown = performance.now();
    const view = await viewOf(db, await findPaymentById(db, payee.id));
    const viewMs = performance.now() - shown;
    await mining.stop();
    const recorded = where === 'nowhere' ? 0 : view.deposits.total - Number(payee === customer);
    return { confirmedMs, ...reader.worst(), viewMs, grains: recorded };
  } finally {
    await reader.stop();
    await db.destroy();
    await anvil.stop();
    rmSync(folder, { recursive: true });
  }
}

async function prepare(anvil: Anvil): Promise<void> {
  await anvil.rpc('evm_setBlockGasLimit', ['0x3b9aca00']);
  await anvil.rpc('anvil_setBalance', [sender, '0xffffffffffffffffffff']);
  await placeToken(anvil, token, 18);
  await anvil.rpc('eth_sendTransaction', [from(mintCall(token, sender, 10n ** 40n))]);
  await anvil.rpc('anvil_mine', ['0x8', '0x1']);
}

function from(call: TokenCall): object {
  return { from: sender, gas: '0xbebc200', ...call };
}

async function sendDust(anvil: Anvil, to: string, grains: number): Promise<void> {
  const each = Math.ceil(grains / 4);
  for (let sent = 0; sent < grains; sent += each) {
    const transfers = Array.from({ length: Math.min(each, grains - sent) }, () => ({ to, amount: 1n }));
    await anvil.rpc('eth_sendTransaction', [from(batchCall(token, transfers))]);
  }
}

/** A block every {@link blockMs}. */
function mineAlways(anvil: Anvil) {
  let stopped = false;
  let mined = Promise.withResolvers<void>();
  const loop = (async () => {
    for (let at = performance.now(); !stopped; ) {
      at += blockMs;
      await setTimeout(Math.max(0, at - performance.now()));
      await anvil.rpc('evm_mine');
      mined.resolve();
      mined = Promise.withResolvers();
    }
  })();
  return {
    /** Resolves when the next block was made. */
    next: () => mined.promise,
    stop: async () => {
      stopped = true;
      await loop;
    },
  };
}

function creatorOf(db: Db, chain: Config['chains'][string]): PaymentCreator {
  const policy = {
    lifetimeSeconds: 1_800,
    quarantineSeconds: 0,
    quarantine: 'soft',
    toleranceBps: 0,
  } as const;
  return createPayments({
    db,
    config: {
      payments: {
        ...policy,
        dustUsdCents: 5,
        late: 'flag',
        requote: true,
        watchRetiredDays: 30,
        derivedLimit: 1_000,
      },
      sandbox: false,
      chains: { bsc: chain },
    },
    rates: {
      usdPer: () => 10n ** 18n,
      quote: () => ({ usdPerCoin: 10n ** 18n, sources: ['fixed'], fetchedAt: Date.now() }),
    },
    pools: { afterLock: () => {}, afterRefusal: () => {}, settled: async () => {} },
    clock: Date.now,
    wake: () => {},
  });
}

async function newPayment({ create }: PaymentCreator, merchantId: string): Promise<OnchainPayment> {
  const outcome = await create({
    ...{ merchantId, network: 'bsc' as const, currency: 'usdt', amountUsdCents: 2_500 },
    ...{ externalOrderId: '', customerEmail: '', redirectUrl: '', metadata: {}, idempotency: null },
  });
  if (!('view' in outcome)) throw new Error(`not created: ${JSON.stringify(outcome)}`);
  return outcome.view.payment;
}

/** The watcher and the recheck, each in a loop as in the daemon, with what they made others wait. */
async function startReader(db: Db, anvil: Anvil) {
  const urls = [anvil.url, anvil.url.replace('127.0.0.1', 'localhost')];
  const chain = benchChain(urls, {
    requiredConfirmations: confirmations,
    finality: 'depth',
    pollSeconds: 0.45,
    recheckSeconds: 3,
  });
  const source = createEvmSource({ chain, clock: Date.now, log });
  const watch = createWatchlist('evm');
  const deps = {
    db,
    chain,
    source,
    watch,
    latePolicy: 'flag' as const,
    clock: Date.now,
    log,
    onEvents: () => {},
  };
  const watcher = createWatcher(deps);
  const recheck = createRecheck({ ...deps, found: () => {} });
  const stopping = new AbortController();
  const { signal } = stopping;
  const turns = watchTurns();
  let longest = 0;
  const loop = async (step: () => Promise<{ nextAt: number }>) => {
    while (!signal.aborted) {
      const begun = performance.now();
      const { nextAt } = await step();
      longest = Math.max(longest, performance.now() - begun);
      await setTimeout(Math.max(1, Math.min(nextAt - Date.now(), 450)));
    }
  };
  await watcher.step(signal);
  const loops = [loop(() => watcher.step(signal)), loop(() => recheck.step(signal))];
  return {
    chain,
    forget: () => {
      longest = 0;
      turns.forget();
    },
    worst: () => ({ ...turns.worst(), stepMs: longest }),
    stop: async () => {
      stopping.abort();
      await Promise.all(loops);
      await source.close();
      turns.stop();
    },
  };
}

/**
 * For how long at most nothing else of the process had its turn: as the clock says, on which other work on the machine
 * shows as well, and of processor time.
 */
function watchTurns() {
  const everyMs = 2;
  let [delayMs, cpuMs, at, cpu] = [0, 0, performance.now(), process.threadCpuUsage()];
  const timer = setInterval(() => {
    const used = process.threadCpuUsage(cpu);
    const now = performance.now();
    delayMs = Math.max(delayMs, now - at - everyMs);
    cpuMs = Math.max(cpuMs, (used.user + used.system) / 1_000);
    at = now;
    cpu = process.threadCpuUsage();
  }, everyMs);
  return {
    forget: () => {
      delayMs = 0;
      cpuMs = 0;
    },
    worst: () => ({ delayMs, cpuMs }),
    stop: () => clearInterval(timer),
  };
}
