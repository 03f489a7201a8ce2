import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename } from 'node:path';

/*
 * Compiles the contracts of the demo and of the tests into TypeScript. `--check` only compares, for a test.
 */

const contracts = [
  {
    source: 'src/demo/Token.sol',
    target: 'src/demo/token-bytecode.ts',
    comment: 'the argument (decimals) follows it',
  },
  {
    source: 'test/support/Payer.sol',
    target: 'test/support/payer-bytecode.ts',
    comment: 'without arguments',
  },
];

type CompilerOutput = {
  errors?: { severity: string; errorCode: string; formattedMessage: string }[];
  contracts?: Record<string, Record<string, { evm: { bytecode: { object: string } } }>>;
};

/** That `selfdestruct` is going out of use, which contracts that still have it do not heed. */
const knownWarning = '1699';

function compile(file: string, name: string, content: string): string {
  // The package has types of its own making but no ES module; one function of it is needed.
  const solc = createRequire(import.meta.url)('solc') as { compile(input: string): string };
  const input = {
    language: 'Solidity',
    sources: { [file]: { content } },
    settings: {
      optimizer: { enabled: true, runs: 200 },
      // Runs on every node since Shanghai, and no hash of the build in the code: the output is reproducible.
      evmVersion: 'paris',
      metadata: { bytecodeHash: 'none', appendCBOR: false },
      outputSelection: { [file]: { [name]: ['evm.bytecode.object'] } },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input))) as CompilerOutput;
  const problems = (output.errors ?? []).filter(({ errorCode }) => errorCode !== knownWarning);
  const bytecode = output.contracts?.[file]?.[name]?.evm.bytecode.object;
  if (problems.length > 0 || bytecode === undefined)
    throw new Error(`${file}: ${problems.map((problem) => problem.formattedMessage).join('\n')}`);
  return bytecode;
}

function render(name: string, comment: string, bytecode: string): string {
  return `/** Creation code of ${name}.sol, made by scripts/compile-contracts.ts; ${comment}. */
export const ${name.toLowerCase()}Bytecode =
  '0x${bytecode}';
`;
}

for (const { source, target, comment } of contracts) {
  const pathOf = (path: string) => new URL(`../${path}`, import.meta.url);
  const name = basename(source, '.sol');
  const rendered = render(
    name,
    comment,
    compile(basename(source), name, readFileSync(pathOf(source), 'utf8')),
  );
  if (!process.argv.includes('--check')) {
    writeFileSync(pathOf(target), rendered);
  } else if (readFileSync(pathOf(target), 'utf8') !== rendered) {
    console.error(`${target} does not match ${source}: run scripts/compile-contracts.ts`);
    process.exitCode = 1;
  }
}
