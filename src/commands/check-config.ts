import { createScrubber } from '../config/scrub.ts';
import { type Config, loadConfig } from '../config.ts';
import { ConfigError } from '../errors.ts';
import { print, printJson } from './output.ts';
import type { CommandOptions } from './workplace.ts';

/** Says whether the configuration is right, and in short what it does. Touches neither database nor network. */
export async function checkConfig(options: CommandOptions): Promise<void> {
  try {
    const config = loadConfig(options.config);
    if (options.json) printJson({ valid: true, mistakes: [] });
    else for (const line of summary(options.config, config)) print(line);
  } catch (error) {
    if (options.json && error instanceof ConfigError) printJson({ valid: false, mistakes: error.faults });
    throw error;
  }
}

function summary(path: string, config: Config): string[] {
  const chains = Object.values(config.chains).map((chain) => {
    const nodes = chain.rpc.length === 1 ? '1 node' : `${chain.rpc.length} nodes`;
    const currencies = chain.assets.map((asset) => asset.currency).join(', ');
    return `  ${chain.network}: ${nodes}, ${chain.requiredConfirmations} confirmations, ${currencies}`;
  });
  return [
    `${path} is right`,
    `  listens on ${config.listen.host} port ${config.listen.port}, for customers ${config.publicUrl}`,
    `  database ${createScrubber([])(config.database)}`,
    ...chains,
  ];
}
