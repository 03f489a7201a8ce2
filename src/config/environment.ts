/** Where something stands in the configuration: keys and positions in lists. */
export type Path = readonly (string | number)[];

/** `chains.bsc.rpc[1].url` */
export function formatPath(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      const name = /^[A-Za-z_$][\w$-]{0,59}$/.test(part) ? part : JSON.stringify(part.slice(0, 60));
      return index === 0 ? name : `.${name}`;
    })
    .join('');
}

export type EnvironmentFault = { path: Path; message: string };

export type Filled = {
  value: unknown;
  faults: EnvironmentFault[];
  /** The formatted paths of strings that hold something from the environment, which are never shown, and of which variables. */
  fromEnvironment: Map<string, string[]>;
};

const placeholder = /\$\{([^}]*)\}/g;

/** Replaces each `${NAME}` in each string, keys excepted. A string with an unset name stays as it is. */
export function fillFromEnvironment(
  value: unknown,
  env: Readonly<Record<string, string | undefined>>,
): Filled {
  const faults: EnvironmentFault[] = [];
  const fromEnvironment = new Map<string, string[]>();

  function fill(at: unknown, path: Path): unknown {
    if (typeof at === 'string') return fillText(at, path);
    if (Array.isArray(at)) return at.map((item, index) => fill(item, [...path, index]));
    if (typeof at !== 'object' || at === null) return at;
    return Object.fromEntries(Object.entries(at).map(([key, item]) => [key, fill(item, [...path, key])]));
  }

  function fillText(text: string, path: Path): string {
    if (!text.includes('${')) return text;
    const variables = [...text.matchAll(placeholder)].map(([, name = '']) => name);
    fromEnvironment.set(formatPath(path), variables);
    return text.replace(placeholder, (whole, name: string) => {
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
        faults.push({
          path,
          message: 'the braces after the dollar sign do not hold the name of an environment variable',
        });
        return whole;
      }
      const filled = Object.hasOwn(env, name) ? env[name] : undefined;
      if (filled !== undefined) return filled;
      faults.push({
        path,
        message: `the environment variable ${name} is not set, nor in the file .env beside the configuration`,
      });
      return whole;
    });
  }

  return { value: fill(value, []), faults, fromEnvironment };
}
