import { z } from 'zod';
import { currencySchema, networkSchema, plainText } from './schemas.ts';

/** Most a payment may ask for: a million dollars. */
const largestUsdCents = 100_000_000;

const metadataKeys = 50;
const metadataBytes = 16 * 1024;

const emailPattern = /^[^\s@"<>()[\],;:\\]{1,64}@[^\s@"<>()[\],;:\\.]+(\.[^\s@"<>()[\],;:\\.]+)+$/u;

/** The body of a creation. Optional fields that are not given are empty. */
export const createPaymentSchema = z.strictObject({
  amount_usd_cents: z.int().min(1).max(largestUsdCents).describe('5000 is $50.00.').meta({ example: 5000 }),
  network: networkSchema,
  currency: currencySchema,
  external_order_id: plainText(255).default('').describe('Your order, echoed in every event.'),
  customer_email: plainText(254)
    .refine((text) => text === '' || emailPattern.test(text), 'expected an e-mail address')
    .default(''),
  redirect_url: plainText(2048)
    .refine((text) => text === '' || isWebUrl(text), 'expected an absolute http or https URL')
    .default('')
    .describe('Where the checkout page sends the customer afterwards.'),
  metadata: z
    .record(z.string(), z.unknown())
    .refine((value) => Object.keys(value).length <= metadataKeys, `at most ${metadataKeys} keys are allowed`)
    .refine(
      (value) => Buffer.byteLength(JSON.stringify(value)) <= metadataBytes,
      `at most ${metadataBytes} bytes of JSON are allowed`,
    )
    .default({})
    .describe('Kept with the payment and repeated in its events.'),
});

/** The page a customer is sent to: no other scheme, and no user name that makes one host look like another. */
function isWebUrl(text: string): boolean {
  if (!/^https?:\/\/[^\s/]/i.test(text) || /\s/.test(text) || !URL.canParse(text)) return false;
  const url = new URL(text);
  return url.username === '' && url.password === '';
}
