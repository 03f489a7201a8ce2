import type { FiatCode } from '../../../src/core/fiat.ts';
import { forhopp } from '../../../src/providers/forhopp.ts';
import { fourpay } from '../../../src/providers/fourpay.ts';
import { fourpoch } from '../../../src/providers/fourpoch.ts';
import { gatenoc } from '../../../src/providers/gatenoc.ts';
import type { Intent, ProviderAnswer } from '../../../src/providers/provider.ts';

/** Made up here, in the forms that the pages print. */
export const testSecrets = {
  forhopp: `sk_test_${'q7r8s9t0u1v2w3x4y5z6a7b8c9d0e1f2'}`,
  forhoppWebhook: `whsec_${'1234567890abcdef1234567890abcdef'}`,
  forhoppJwt: 'eyJhbGciOiJIUzI1NiJ9.dashboard.token',
  fourpochKey: 'test_gw_0d1e2f3a4b5c6d7e',
  fourpochSecret: 'test_sk_9f8e7d6c5b4a3f2e',
  gatenoc: 'gn-payment-key-41f2c3',
  gatenocWebhook: 'gn-webhook-secret-77aa01',
  fourpay: 'fp-api-token-5150aa',
  fourpayWebhook: 'fp-webhook-secret-1984bb',
};

export const testSettings = {
  forhopp: {
    secretKey: testSecrets.forhopp,
    webhookSecret: testSecrets.forhoppWebhook,
    returnUrl: 'https://shop.example/thanks',
    captureMode: 'manual',
    allowJpy: false,
    jwt: testSecrets.forhoppJwt,
  },
  '4poch': { apiKey: testSecrets.fourpochKey, secretKey: testSecrets.fourpochSecret, method: 'moncash' },
  gatenoc: { merchantId: '17', apiKey: testSecrets.gatenoc, webhookSecret: testSecrets.gatenocWebhook },
  '4pay': { apiToken: testSecrets.fourpay, webhookSecret: testSecrets.fourpayWebhook },
} as const;

export const testProviders = {
  forhopp: forhopp.open(testSettings.forhopp),
  '4poch': fourpoch.open(testSettings['4poch']),
  gatenoc: gatenoc.open(testSettings.gatenoc),
  '4pay': fourpay.open(testSettings['4pay']),
};

export function answerOf(text: string, status = 200, headers: Record<string, string> = {}): ProviderAnswer {
  return { status, headers, body: Buffer.from(text) };
}

export function testIntent(changes: Partial<Intent> = {}): Intent {
  return {
    reference: 'ref_0011223344556677',
    idempotencyKey: 'key_0011223344556677',
    amount: 5000n,
    currency: 'USD' as FiatCode,
    description: 'Order #12345',
    customerEmail: 'customer@example.com',
    returnUrl: 'https://merchant.com/success',
    cancelUrl: '',
    notifyUrl: 'https://pay.example.com/in/gatenoc/path',
    ...changes,
  };
}
