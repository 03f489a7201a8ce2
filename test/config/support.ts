import { parseConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config.ts';
import { ConfigError } from '../../src/errors.ts';

type Env = Record<string, string>;

/** The smallest configuration that is right. */
export const minimal = {
  publicUrl: 'https://pay.example.com',
  adminToken: 'a-token-for-tests-0123456789',
  chains: { bsc: { rpc: ['https://node.example'] } },
};

/** The smallest configuration with some of its keys replaced. */
export function parse(changes: object, env: Env = {}): Config {
  return parseConfig(JSON.stringify({ ...minimal, ...changes }), '/etc/depositd', env);
}

/** What is wrong with it; empty when nothing is. */
export function faultsOf(changes: object, env: Env = {}): readonly string[] {
  return faultsOfText(JSON.stringify({ ...minimal, ...changes }), env);
}

export function faultsOfText(text: string, env: Env = {}): readonly string[] {
  try {
    parseConfig(text, '/etc/depositd', env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}
