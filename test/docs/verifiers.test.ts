import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { rotateSecret } from '../../src/notify/endpoints.ts';
import { replayDelivery } from '../../src/notify/replays.ts';
import { signPayload } from '../../src/notify/signature.ts';
import { inTransaction, openDatabase } from '../../src/storage/database.ts';
import { listDeliveries } from '../../src/storage/webhooks/deliveries.ts';
import { findNextDueAt } from '../../src/storage/webhooks/queue.ts';
import { freshDatabaseUrl, testFolder } from '../support/databases.ts';
import { respond, type SeenRequest, startLoopback } from '../support/loopback.ts';
import { verifyPayhookSignature } from '../support/seed-verifier.ts';
import { manualClock, openShop } from '../support/webhooks.ts';

/*
 * The verifiers that docs/webhooks.md shows, taken out of it as a reader would copy them, each in its own
 * language. A driver feeds it cases, a line each: secret, header ("-": missing) and body, the last two in base64.
 */

type Language = {
  name: string;
  fence: string;
  /** Programs with an argument that makes them tell their version, and the least of it. */
  needs: readonly (readonly [program: string, argument: string, least: readonly [number, number]])[];
  /** Files to write, given the code of the page. */
  files: (code: string) => Record<string, string>;
  compile?: readonly string[];
  run: readonly string[];
};

const languages: readonly Language[] = [
  {
    name: 'Node',
    fence: 'js',
    needs: [[process.execPath, '--version', [18, 0]]],
    files: (code) => ({
      'webhooks.mjs': code,
      'main.mjs': `
import { createInterface } from 'node:readline';
import { verifyWebhook } from './webhooks.mjs';
for await (const line of createInterface({ input: process.stdin })) {
  const [secret, header, body] = line.split('\\t');
  const given = header === '-' ? undefined : Buffer.from(header, 'base64').toString('latin1');
  console.log(verifyWebhook(Buffer.from(body, 'base64'), given, secret));
}`,
    }),
    run: [process.execPath, 'main.mjs'],
  },
  {
    name: 'Python',
    fence: 'python',
    needs: [['python3', '--version', [3, 10]]],
    files: (code) => ({
      'main.py': `${code}
import base64, sys
for line in sys.stdin:
    secret, header, body = line.rstrip("\\n").split("\\t")
    given = None if header == "-" else base64.b64decode(header).decode("latin-1")
    print(str(verify_webhook(base64.b64decode(body), given, secret)).lower())
`,
    }),
    run: ['python3', 'main.py'],
  },
  {
    name: 'PHP',
    fence: 'php',
    needs: [['php', '--version', [7, 1]]],
    files: (code) => ({
      'main.php': `${code}
while (($line = fgets(STDIN)) !== false) {
    [$secret, $header, $body] = explode("\\t", rtrim($line, "\\n"));
    $given = $header === '-' ? null : base64_decode($header);
    echo verify_webhook(base64_decode($body), $given, $secret) ? 'true' : 'false', "\\n";
}`,
    }),
    run: ['php', 'main.php'],
  },
  {
    name: 'Ruby',
    fence: 'ruby',
    needs: [['ruby', '--version', [3, 0]]],
    files: (code) => ({
      'main.rb': `${code}
$stdin.each_line(chomp: true) do |line|
  secret, header, body = line.split("\\t", -1)
  puts verify_webhook(body.unpack1("m"), header == "-" ? nil : header.unpack1("m"), secret)
end`,
    }),
    run: ['ruby', 'main.rb'],
  },
  {
    name: 'Go',
    fence: 'go',
    needs: [['go', 'version', [1, 19]]],
    files: (code) => ({
      'webhooks.go': `package main\n\n${code}`,
      'main.go': `package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
)

func decode(text string) []byte {
	bytes, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return bytes
}

func main() {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		parts := strings.Split(lines.Text(), "\\t")
		header := ""
		if parts[1] != "-" {
			header = string(decode(parts[1]))
		}
		fmt.Println(VerifyWebhook(decode(parts[2]), header, parts[0]))
	}
}`,
    }),
    compile: ['go', 'build', '-o', 'verify', 'main.go', 'webhooks.go'],
    run: ['./verify'],
  },
  {
    name: 'Java',
    fence: 'java',
    needs: [
      ['javac', '--version', [17, 0]],
      ['java', '--version', [17, 0]],
    ],
    files: (code) => ({
      'Webhooks.java': code,
      'Main.java': `
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

final class Main {
  public static void main(String[] args) throws Exception {
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      String[] parts = line.split("\\t", -1);
      byte[] header = parts[1].equals("-") ? null : Base64.getDecoder().decode(parts[1]);
      String given = header == null ? null : new String(header, StandardCharsets.ISO_8859_1);
      System.out.println(Webhooks.verify(Base64.getDecoder().decode(parts[2]), given, parts[0]));
    }
  }
}`,
    }),
    compile: ['javac', 'Main.java', 'Webhooks.java'],
    run: ['java', '-cp', '.', 'Main'],
  },
  {
    name: 'C#',
    fence: 'csharp',
    needs: [
      ['mcs', '--version', [6, 0]],
      ['mono', '--version', [6, 0]],
    ],
    files: (code) => ({
      'Webhooks.cs': code,
      'Program.cs': `
using System;
using System.Text;

static class Program
{
    static void Main()
    {
        for (var line = Console.ReadLine(); line != null; line = Console.ReadLine())
        {
            var parts = line.Split('\\t');
            var latin1 = Encoding.GetEncoding("iso-8859-1");
            var header = parts[1] == "-" ? null : latin1.GetString(Convert.FromBase64String(parts[1]));
            Console.WriteLine(Webhooks.Verify(Convert.FromBase64String(parts[2]), header, parts[0]) ? "true" : "false");
        }
    }
}`,
    }),
    compile: ['mcs', '-out:verify.exe', 'Program.cs', 'Webhooks.cs'],
    run: ['mono', 'verify.exe'],
  },
];

type Case = { what: string; secret: string; header: string | null; body: Buffer; accepted: boolean };

const page = readFileSync(join(import.meta.dirname, '../../docs/webhooks.md'), 'utf8');

/** The one code block of a language under "Verifiers". */
function codeOf({ fence }: Language): string {
  const verifiers = page.slice(page.indexOf('\n## Verifiers\n'));
  const blocks = [...verifiers.matchAll(/```(\w+)\n([\s\S]*?)```/g)].filter(([, tag]) => tag === fence);
  expect(blocks).toHaveLength(1);
  return blocks[0]?.[2] ?? '';
}

/** What is missing here for a language; null when it can be run. */
function missing({ needs }: Language): string | null {
  for (const [program, argument, [major, minor]] of needs) {
    const { status, stdout } = spawnSync(program, [argument], { encoding: 'utf8' });
    const [, atMajor = 0, atMinor = 0] = (/(\d+)\.(\d+)/.exec(stdout ?? '') ?? []).map(Number);
    const recent = atMajor > major || (atMajor === major && atMinor >= minor);
    if (status !== 0 || !recent) return `${program} from ${major}.${minor} up`;
  }
  return null;
}

async function runIn(
  folder: string,
  [program = '', ...args]: readonly string[],
  input = '',
): Promise<string> {
  const child = spawn(program, args, { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const closed = once(child, 'close');
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([textOf(child.stdout), textOf(child.stderr)]);
  const [code] = await closed;
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${stderr}\n${stdout}`);
  return stdout;
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

const headerOf = (request: SeenRequest) => String(request.headers['x-payhook-signature']);

/**
 * Sent by the notifier to a receiver: a first attempt, all ten of another event of which the last is now, a
 * replay, one while a secret is changed, and one of a daemon whose clock is ten minutes ahead.
 */
async function realDeliveries() {
  const db = await openDatabase(await freshDatabaseUrl('SQLite'));
  onTestFinished(() => db.destroy());
  let status = 500;
  const server = await startLoopback((_request, response) => respond(status)(_request, response));
  const now = Date.now();
  const clock = manualClock(now - 1_788_500);
  const shop = await openShop(db, clock.now);
  const { id, secret } = await shop.addEndpoint(server.url);
  const notifier = shop.notifier({ random: () => 0 });
  await shop.happen();
  await notifier.drain();
  for (let next = await findNextDueAt(db, clock.now()); next !== null; ) {
    clock.set(next);
    await notifier.drain();
    next = await findNextDueAt(db, clock.now());
  }
  const ten = server.requests.slice();
  expect(ten).toHaveLength(10);

  status = 200;
  clock.set(Date.now());
  const send = async (work: () => Promise<unknown>) => {
    await work();
    await notifier.drain();
    return server.requests.at(-1) as SeenRequest;
  };
  const first = await send(() => shop.happen());
  const [failed] = await listDeliveries(db, { state: 'failed', limit: 1 });
  const replay = await send(() =>
    inTransaction(db, (trx) => replayDelivery(trx, { deliveryId: failed?.id ?? 0, at: clock.now() })),
  );
  let next = '';
  const rotating = await send(async () => {
    const rotation = { endpointId: id, at: clock.now() };
    const rotated = await inTransaction(db, (trx) => rotateSecret(trx, shop.secrets, rotation));
    next = rotated?.secret ?? '';
    await shop.happen();
  });
  clock.advance(600_000);
  const ahead = await send(() => shop.happen());
  return { secret, next, first, ten, replay, rotating, ahead };
}

async function collectCases(): Promise<Case[]> {
  const { secret, next, first, ten, replay, rotating, ahead } = await realDeliveries();
  const [attempt1, attempt10] = [ten[0] as SeenRequest, ten[9] as SeenRequest];
  expect(first.body.toString()).toContain('Grüße ☃');
  expect(replay.body).toEqual(attempt10.body);
  const header = headerOf(first);
  const [time = '', signature = ''] = header.split(',');
  const hex = signature.slice(3);
  const changed = Buffer.from(first.body);
  changed[5] = (changed[5] ?? 0) ^ 1;
  const binary = Buffer.from([0x7b, 0xff, 0x00, 0xc3, 0x28, 0x0a, 0x7d]);
  const now = Math.floor(Date.now() / 1000);

  const good = (what: string, request: SeenRequest, key = secret): Case => ({
    what,
    secret: key,
    header: headerOf(request),
    body: request.body,
    accepted: true,
  });
  const bad = (what: string, changes: Partial<Case>): Case => ({
    ...good(what, first),
    ...changes,
    accepted: false,
  });
  return [
    good('a first attempt', first),
    good('a tenth attempt', attempt10),
    good('a replay', replay),
    good('both secrets sign, the receiver has the new one', rotating, next),
    good('both secrets sign, the receiver has the old one', rotating),
    { ...good('blanks between the parts', first), header: header.replace(',', ' , ') },
    { ...good('a part that nobody knows', first), header: `${header},v2=abc,x` },
    { ...good('bytes that are no text', first), header: signPayload([secret], now, binary), body: binary },
    {
      ...good('an empty body', first),
      header: signPayload([secret], now, Buffer.alloc(0)),
      body: Buffer.alloc(0),
    },
    bad('a wrong secret', { secret: next }),
    bad('the secret without its beginning', { secret: secret.slice(6) }),
    bad('half an hour old', { header: headerOf(attempt1), body: attempt1.body }),
    bad('ten minutes ahead', { secret: next, header: headerOf(ahead), body: ahead.body }),
    bad('a changed byte', { body: changed }),
    bad('a byte more', { body: Buffer.concat([first.body, Buffer.from('\n')]) }),
    bad('the body of another event', { body: rotating.body }),
    bad('another time than was signed', { header: `t=${Number(time.slice(2)) + 1},${signature}` }),
    bad('no header', { header: null }),
    bad('an empty header', { header: '' }),
    bad('no time', { header: signature }),
    bad('no signature', { header: time }),
    bad('empty values', { header: 't=,v1=' }),
    bad('a time that is none', { header: `t=now,${signature}` }),
    bad('a time of twenty digits', { header: `t=${'9'.repeat(20)},${signature}` }),
    bad('a negative time', { header: `t=-${time.slice(2)},${signature}` }),
    bad('a signature cut short', { header: `${time},v1=${hex.slice(0, 62)}` }),
    bad('a signature of odd length', { header: `${time},v1=${hex.slice(1)}` }),
    bad('a signature that is no hex', { header: `${time},v1=${'z'.repeat(64)}` }),
    bad('a signature beyond ASCII', { header: `${time},v1=${'é'.repeat(64)}` }),
    bad('another scheme', { header: header.replace('v1=', 'v0=') }),
    bad('nonsense', { header: ',,=,=t,;' }),
  ];
}

describe('the verifiers of docs/webhooks.md', () => {
  test('S51: are in Node, Python, PHP, Ruby, Go, Java and C#, each once', () => {
    for (const language of languages) expect(codeOf(language).length, language.name).toBeGreaterThan(300);
  });

  for (const language of languages) {
    const lacks = missing(language);
    const name = `S51: in ${language.name} accepts every real delivery, and refuses what is forged, changed, old or broken`;
    const run = lacks === null ? test : test.skip;
    run(
      lacks === null ? name : `${name} (skipped: here is no ${lacks})`,
      async () => {
        const folder = testFolder();
        for (const [file, text] of Object.entries(language.files(codeOf(language)))) {
          writeFileSync(join(folder, file), text);
        }
        if (language.compile !== undefined) await runIn(folder, language.compile);
        // Compiled first: the deliveries are to be fresh when they are verified.
        const cases = await collectCases();
        const lines = cases.map(({ secret, header, body }) => {
          const given = header === null ? '-' : Buffer.from(header, 'latin1').toString('base64');
          return `${secret}\t${given}\t${body.toString('base64')}\n`;
        });
        const answers = (await runIn(folder, language.run, lines.join(''))).trim().split('\n');
        const expected = cases.map(({ what, accepted }) => `${what}: ${accepted}`);
        expect(cases.map(({ what }, index) => `${what}: ${answers[index]?.trim()}`)).toEqual(expected);
      },
      120_000,
    );
  }

  test('S51: the published verifier of PayHook accepts the same deliveries, but for the new secret during a rotation', async () => {
    const cases = await collectCases();
    for (const { what, secret, header, body, accepted } of cases) {
      if (header === null || body.includes(0xff)) continue;
      const newDuringRotation = what === 'both secrets sign, the receiver has the new one';
      const verified = verifyPayhookSignature(body, header, secret);
      expect(verified, what).toBe(accepted && !newDuringRotation);
    }
  });
});
