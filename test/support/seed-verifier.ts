import { createRequire } from 'node:module';

type Verifier = (rawBody: Buffer | string, header: string, secret: string, toleranceSec?: number) => boolean;

/** The sample verifier that PayHook publishes, unchanged. */
export const { verifyPayhookSignature } = createRequire(import.meta.url)('./seed-verifier.cjs') as {
  verifyPayhookSignature: Verifier;
};
