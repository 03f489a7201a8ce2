import { createConfig } from 'ponder';
import { parseAbi } from 'viem';

/* One token on one chain, PGlite, nothing cached from an earlier run: the defaults otherwise. */

const { BENCH_RPC, BENCH_TOKEN, BENCH_START, BENCH_FOLDER, BENCH_POLL_MS } = process.env;

export default createConfig({
  database: { kind: 'pglite', directory: BENCH_FOLDER },
  chains: {
    local: {
      id: 56,
      rpc: JSON.parse(BENCH_RPC as string) as string[],
      disableCache: true,
      pollingInterval: Number(BENCH_POLL_MS),
    },
  },
  contracts: {
    Token: {
      abi: parseAbi(['event Transfer(address indexed from, address indexed to, uint256 value)']),
      chain: 'local',
      address: BENCH_TOKEN as `0x${string}`,
      startBlock: Number(BENCH_START),
    },
  },
});
