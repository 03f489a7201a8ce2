// The generators of clients are written for the compiler's JavaScript interface, which TypeScript 7 does not have yet.
import { registerHooks } from 'node:module';

registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier === 'typescript' ? 'typescript5' : specifier, context),
});
