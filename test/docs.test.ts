import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createProgram } from '../src/commands/program.ts';
import { defaultEventTypes, eventTypes } from '../src/core/events.ts';
import { generateSecret } from '../src/notify/secrets.ts';
import { signPayload } from '../src/notify/signature.ts';
import { testFolder } from './support/databases.ts';

const root = join(import.meta.dirname, '..');

function pages(): string[] {
  const docs = readdirSync(join(root, 'docs')).map((name) => join('docs', name));
  const top = readdirSync(root);
  return [...top, ...docs].filter((name) => name.endsWith('.md'));
}

/** All of the program. */
function source(): string {
  return readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(root, 'src', name), 'utf8'))
    .join();
}

/** How a Markdown viewer names a heading in a link. */
function anchorsOf(page: string): string[] {
  const text = readFileSync(join(root, page), 'utf8').replace(/```[\s\S]*?```/g, '');
  return [...text.matchAll(/^#+ (.+)$/gm)].map((match) =>
    (match[1] as string)
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('the documentation', () => {
  test('links only to pages and headings that exist', () => {
    const broken: string[] = [];
    for (const page of pages()) {
      const text = readFileSync(join(root, page), 'utf8');
      for (const [, link = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(link)) continue;
        const [path = '', anchor] = link.split('#');
        const target = path === '' ? page : join(dirname(page), path);
        if (!existsSync(join(root, target))) broken.push(`${page}: ${link}`);
        else if (anchor !== undefined && !anchorsOf(target).includes(anchor)) broken.push(`${page}: ${link}`);
      }
    }
    expect(broken).toEqual([]);
  });

  test('describes every event, and which of them an endpoint gets by default', () => {
    const page = readFileSync(join(root, 'docs/webhooks.md'), 'utf8');
    for (const type of eventTypes) {
      const row = page.split('\n').find((line) => line.startsWith('|') && line.includes(`\`${type}\``));
      expect(row, type).toBeDefined();
      expect(row?.endsWith('| yes |'), type).toBe(defaultEventTypes.includes(type));
    }
  });

  test('says what PayHook is wherever it is named to somebody who need not know it', () => {
    const explained = 'integrate.md#coming-from-payhook';
    const naming = ['README.md', ...pages().filter((page) => page.startsWith('docs'))].filter((page) =>
      readFileSync(join(root, page), 'utf8').includes('PayHook'),
    );
    const silent = naming.filter((page) => !readFileSync(join(root, page), 'utf8').includes(explained));
    // Where it is explained, and a generated list of settings.
    expect(silent.toSorted()).toEqual(['docs/configuration.md', 'docs/integrate.md']);
    expect(readFileSync(join(root, 'docs/integrate.md'), 'utf8')).toContain('PayHook is a hosted service');
  });

  test('explains only log lines that are written', () => {
    const page = readFileSync(join(root, 'docs/operations.md'), 'utf8');
    const lines = [...page.matchAll(/^\| (?:fatal|error|warn|info) `([^`]+)`/gm)].map((match) => match[1]);
    expect(lines.length).toBeGreaterThan(10);
    expect(lines.filter((line) => !source().includes(`'${line}'`))).toEqual([]);
  });

  test('explains every log line that is written but for debugging', () => {
    const written = /\blog(?:\[level\]|\.(?:info|warn|error|fatal))\((?:[^;]*?,)?\s*'([a-z][^']*)',?\s*\)/g;
    const lines = [...source().matchAll(written)].map((match) => match[1] as string);
    expect(lines.length).toBeGreaterThan(40);
    const text = ['docs/operations.md', 'docs/chains.md']
      .map((page) => readFileSync(join(root, page), 'utf8'))
      .join();
    expect([...new Set(lines)].filter((line) => !text.includes(`\`${line}\``))).toEqual([]);
  });

  test('names only metrics that are shown', () => {
    const page = readFileSync(join(root, 'docs/operations.md'), 'utf8');
    const names = [...page.matchAll(/`(depositd_[a-z_]+)/g)].map((match) => match[1]);
    expect(names.length).toBeGreaterThan(5);
    expect(names.filter((name) => !source().includes(`'${name}'`))).toEqual([]);
  });

  test('shows a systemd unit that systemd takes, and that is not started again with a wrong configuration', () => {
    const page = readFileSync(join(root, 'docs/operations.md'), 'utf8');
    const unit = /```ini\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
    expect(unit).toBe(readFileSync(join(root, 'deploy/depositd.service'), 'utf8'));
    // RestartPreventExitStatus sees the exit code of ExecStart alone.
    expect(unit).toContain('RestartPreventExitStatus=78');
    expect(unit).not.toContain('ExecStartPre');
    if (spawnSync('systemd-analyze', ['--version']).status !== 0) return;
    const file = join(testFolder(), 'depositd.service');
    // The user need not exist here.
    writeFileSync(file, unit.replaceAll('=depositd\n', '=root\n'));
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], {
      encoding: 'utf8',
    });
    expect({ status, stderr: stderr.split('\n').filter((line) => line.includes(file)) }).toEqual({
      status: 0,
      stderr: [],
    });
  });

  test('has an image whose health check asks the port of the configuration', () => {
    const [check = ''] = /^HEALTHCHECK .*$/m.exec(readFileSync(join(root, 'Dockerfile'), 'utf8')) ?? [];
    expect(check).toMatch(/ CMD \["depositd", "health"\]$/);
  });

  test('puts no token or key on a command line, where everybody on the machine sees it', () => {
    const lines = pages().flatMap((page) => {
      const text = readFileSync(join(root, page), 'utf8');
      return [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = '']) => block.split('\n'));
    });
    const shown =
      /(-H|--header)\s+["']?(Authorization|X-API-Key)|\benv \$\(|[A-Z_]+TOKEN=\S+ +\S*(depositd|curl)/i;
    expect(lines.filter((line) => shown.test(line))).toEqual([]);
  });

  test('shows only commands and options that exist', () => {
    const program = createProgram(() => {});
    const commands = pages().flatMap((page) => {
      const text = readFileSync(join(root, page), 'utf8');
      const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block);
      const lines = blocks.flatMap((block) => block.replace(/\\\n\s*/g, ' ').split('\n'));
      const inline = [...text.matchAll(/`(depositd [^`]+)`/g)].map(([, command = '']) => command);
      return [...lines, ...inline].flatMap((line) => {
        const command = /^(?:sudo -u depositd |docker exec depositd )?(?:\.\/)?depositd (.+)$/.exec(
          line.trim(),
        )?.[1];
        return command === undefined ? [] : [{ page, command: command.replace(/\s+# .*$/, '') }];
      });
    });
    expect(commands.length).toBeGreaterThan(25);
    const wrong = commands.filter((shown) => {
      const words = shown.command.split(' ');
      let at = program;
      for (const word of words) {
        const next = at.commands.find((one) => one.name() === word);
        if (next === undefined) break;
        at = next;
      }
      // "address pools" alone lists them.
      const command = at.commands.find((one) => one.name() === 'list') ?? at;
      const known = command.options.flatMap((option) => [option.short, option.long]);
      const options = words.filter((word) => word.startsWith('-')).map((word) => word.split('=')[0]);
      return command.commands.length > 0 || options.some((option) => !known.includes(option));
    });
    expect(wrong).toEqual([]);
  });

  test('tells in the changelog what can be done now, not what once was', () => {
    const entries = readFileSync(join(root, 'CHANGELOG.md'), 'utf8')
      .split(/\n(?=- )/)
      .slice(1);
    expect(entries.length).toBeGreaterThan(40);
    // An entry that does not begin with what you can do says what happens: as a present fact.
    const past =
      /^- (?:An? |The |What |Every |While |After |Prices |Signed |Apps |Webhooks? |Deliver|Late |`)[^,.:;]*\b(?:was|were|could|brought|showed|counted)\b/;
    expect(entries.filter((entry) => past.test(entry.replaceAll('\n', ' ')))).toEqual([]);
  });

  test('shows JSON that is JSON', () => {
    const wrong = pages().flatMap((page) => {
      const text = readFileSync(join(root, page), 'utf8');
      return [...text.matchAll(/```json\n([\s\S]*?)```/g)].flatMap(([, block = '']) => {
        try {
          JSON.parse(block);
          return [];
        } catch (error) {
          return [`${page}: ${String(error)}`];
        }
      });
    });
    expect(wrong).toEqual([]);
  });
});

/** The program of docs/integrate.md, as a reader would copy and start it. */
async function startReceiver(secret: string) {
  const page = readFileSync(join(root, 'docs/integrate.md'), 'utf8');
  const program = /```js\n([\s\S]*?)```/.exec(page)?.[1];
  if (program === undefined) throw new Error('docs/integrate.md shows no receiver');
  const file = join(testFolder(), 'receiver.mjs');
  writeFileSync(file, program);
  const child = spawn(process.execPath, [file], {
    env: { ...process.env, WEBHOOK_SECRET: secret, PORT: '0' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  onTestFinished(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null && child.kill('SIGKILL')) await ended;
  });
  let output = '';
  const port = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the receiver ended with code ${code}`)));
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk;
      const listening = /listening on (\d+)/.exec(output)?.[1];
      if (listening !== undefined) resolve(listening);
    });
  });
  return {
    output: () => output,
    post: async (body: string, headers: Record<string, string>) => {
      const answer = await fetch(`http://127.0.0.1:${port}/webhooks`, { method: 'POST', body, headers });
      await answer.arrayBuffer();
      return answer.status;
    },
  };
}

describe('the receiver of docs/integrate.md', () => {
  const secret = generateSecret();
  const body = JSON.stringify({
    event: 'payment.confirmed',
    payment_id: 'PAY-2026-7K2M9QXW4T',
    external_order_id: 'order-é',
    amount: '50.000000',
    currency: 'USDT',
    tx_hash: '0xab',
  });

  /** The headers of a delivery signed with `secrets`, `age` seconds ago. */
  function headers(secrets: readonly string[], { age = 0, id = 'evt_1', signed = body } = {}) {
    const time = Math.floor(Date.now() / 1000) - age;
    return { 'x-payhook-signature': signPayload(secrets, time, Buffer.from(signed)), 'webhook-id': id };
  }

  test('takes what is signed, once, and refuses what is not', async () => {
    const receiver = await startReceiver(secret);
    const { post } = receiver;
    expect(await post(body, headers([generateSecret()]))).toBe(401);
    expect(await post(body, {})).toBe(401);
    expect(await post(body, { 'x-payhook-signature': 't=,v1=', 'webhook-id': 'evt_1' })).toBe(401);
    expect(await post(`${body} `, headers([secret]))).toBe(401);
    expect(await post(body, headers([secret], { age: 301 }))).toBe(401);
    expect(receiver.output()).not.toContain('paid');

    expect(await post(body, headers([secret]))).toBe(200);
    expect(await post(body, headers([secret], { age: 290 }))).toBe(200);
    expect(receiver.output().match(/order-é paid: 50\.000000 USDT in 0xab/g)).toHaveLength(1);
  });

  test('takes what is signed with two secrets while one replaces the other', async () => {
    const { post } = await startReceiver(secret);
    expect(await post(body, headers([generateSecret(), secret], { id: 'evt_2' }))).toBe(200);
    expect(await post(body, headers([secret, generateSecret()], { id: 'evt_3' }))).toBe(200);
  });

  test('asks for another attempt when it fails itself', async () => {
    const { post } = await startReceiver(secret);
    expect(await post('not JSON', headers([secret], { signed: 'not JSON' }))).toBe(500);
  });
});
