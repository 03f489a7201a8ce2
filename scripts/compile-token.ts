import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/*
 * Compiles src/demo/Token.sol into src/demo/token-bytecode.ts. `--check` only compares, for the test.
 */

const source = new URL('../src/demo/Token.sol', import.meta.url);
const target = new URL('../src/demo/token-bytecode.ts', import.meta.url);

type CompilerOutput = {
  errors?: { severity: string; formattedMessage: string }[];
  contracts?: Record<string, Record<string, { evm: { bytecode: { object: string } } }>>;
};

function compileToken(): string {
  // The package has types of its own making but no ES module; one function of it is needed.
  const solc = createRequire(import.meta.url)('solc') as { compile(input: string): string };
  const input = {
    language: 'Solidity',
    sources: { 'Token.sol': { content: readFileSync(source, 'utf8') } },
    settings: {
      optimizer: { enabled: true, runs: 200 },
      // Runs on every node since Shanghai, and no hash of the build in the code: the output is reproducible.
      evmVersion: 'paris',
      metadata: { bytecodeHash: 'none', appendCBOR: false },
      outputSelection: { 'Token.sol': { Token: ['evm.bytecode.object'] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input))) as CompilerOutput;
  const problems = (output.errors ?? []).map((error) => error.formattedMessage);
  const bytecode = output.contracts?.['Token.sol']?.Token?.evm.bytecode.object;
  if (problems.length > 0 || bytecode === undefined) throw new Error(`Token.sol: ${problems.join('\n')}`);
  return bytecode;
}

function render(bytecode: string): string {
  return `/** Creation code of Token.sol, made by scripts/compile-token.ts; the argument (decimals) follows it. */
export const tokenBytecode =
  '0x${bytecode}';
`;
}

const rendered = render(compileToken());
if (!process.argv.includes('--check')) {
  writeFileSync(target, rendered);
} else if (readFileSync(target, 'utf8') !== rendered) {
  console.error('src/demo/token-bytecode.ts does not match src/demo/Token.sol: run scripts/compile-token.ts');
  process.exitCode = 1;
}
