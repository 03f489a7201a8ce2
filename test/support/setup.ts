// In CI a change is red for what it did and not for a case that nobody had met before: each desk run looks for those.
if (process.env.CI !== undefined) {
  const { default: fc } = await import('fast-check');
  fc.configureGlobal({ seed: 20261128 });
}
