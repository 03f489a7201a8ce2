import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { openDatabase } from '../../src/storage/database.ts';
import { type AuditEntry, listAudit } from '../../src/storage/operators/audit.ts';
import { anvilForTest } from '../support/anvil.ts';
import { cli, compileCache } from '../support/commands.ts';
import { createDaemonHome, type DaemonHome } from '../support/daemon.ts';
import { placeTokens } from '../support/tokens.ts';

/** A configuration that is right, whose nodes do not exist: commands ask none. */
export const offline = {
  publicUrl: 'https://pay.example.com',
  database: 'sqlite:./depositd.db',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
  adminToken: '${DEPOSITD_ADMIN_TOKEN}',
  rates: { sources: ['fixed'], fixed: { usdt: '1', bnb: '600' } },
  chains: { bsc: { rpc: ['http://127.0.0.1:1/'] } },
};

/** The same on a chain that answers: a daemon is ready when its chains are read, or after five seconds. */
export async function onChain(): Promise<typeof offline> {
  const anvil = await anvilForTest();
  await placeTokens(anvil, 'bsc');
  await anvil.mine(20);
  return { ...offline, chains: { bsc: { rpc: [anvil.url] } } };
}

/** A folder for commands, removed when the test ends. */
export function commandHome(config: object = offline): DaemonHome {
  const home = createDaemonHome(config);
  onTestFinished(() => home.remove());
  return home;
}

/** A command in no folder of ours, with exactly these arguments. */
export async function depositd(
  ...args: string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [cli, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: compileCache,
  });
  const read = async (stream: NodeJS.ReadableStream) => {
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    return text;
  };
  const code = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr] = await Promise.all([read(child.stdout), read(child.stderr)]);
  return { code: await code, stdout, stderr };
}

/** What is in the audit log, oldest first. */
export async function readAudit(folder: string): Promise<AuditEntry[]> {
  const db = await openDatabase(`sqlite:${join(folder, 'depositd.db')}`);
  try {
    return (await listAudit(db, { beforeId: null, limit: 100 })).reverse();
  } finally {
    await db.destroy();
  }
}
