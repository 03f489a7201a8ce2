import { z } from 'zod';
import { jsonOf, readAnswer, readDone } from './answer.ts';
import {
  defineAdapter,
  type Hint,
  type Method,
  type Provider,
  type ProviderRequest,
  type ReceivedWebhook,
  type WebhookConfig,
} from './provider.ts';
import { digestOf, headerOf, isHmac } from './signature.ts';

/*
 * 4pay: webhooks of its card service, "Configure Webhook". It has no payments that could be made or fetched: what it
 * sends is passed on and confirms nothing. What the page leaves open:
 * - Two signatures: `api-notification-sign` (SHA-512, its making unsaid) and `X-Webhook-Signature` (HMAC-SHA256 of the
 *   body, with samples). The second is required; the first alone is not proof of anything.
 * - Without a secret of ours a key of the provider signs for all its customers: any of them could forge. Required.
 * - Neither a time nor an id: an event is known by its bytes.
 */

const settings = {
  apiToken: z
    .string()
    .regex(/^[\x21-\x7e]{8,}$/, 'the API token')
    .describe('The API token, for the webhook configuration.'),
  webhookSecret: z
    .string()
    .min(16, 'a secret of at least 16 characters, such as the output of "openssl rand -hex 32"')
    .describe(
      'Your own secret, which 4pay signs with: `depositd provider webhook-config NAME --set` tells it.',
    ),
};

const path = '/api/v2/webhooks/config';

export const fourpay = defineAdapter({
  type: '4pay',
  displayName: '4pay',
  settings,
  secrets: ['apiToken', 'webhookSecret'],
  fault: ({ apiToken, webhookSecret }) =>
    apiToken === webhookSecret ? '"webhookSecret" is the API token; expected a secret of its own' : null,
  open({ apiToken, webhookSecret }): Provider {
    function request(method: Method, body?: object): ProviderRequest {
      return {
        method,
        path,
        headers: {
          'x-api-token': apiToken,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      };
    }

    return {
      descriptor: {
        type: '4pay',
        displayName: '4pay',
        baseUrl: 'https://api.4pay.cc',
        checkoutHosts: [],
        currencies: [],
        // Not documented.
        requestsPerSecond: { live: 2, test: 2 },
        capabilities: {
          createKeptMs: null,
          refundKeptMs: null,
          createTellsId: false,
          echoesReference: false,
          statesMode: false,
          statesExpiry: false,
          capture: false,
          refund: 'none',
          webhook: 'body',
          charges: false,
        },
      },
      mode: 'live',
      captureMode: 'automatic',
      refuses: () => '4pay has no payments',

      readWebhookConfig: () => ({
        request: request('GET'),
        read: (answer) =>
          answer.status === 404
            ? { outcome: 'done', value: 'none' }
            : readAnswer(answer, { schema: config, refusal }, configOf),
      }),

      // Always whole: whether a PUT without a secret keeps the old one is not documented.
      writeWebhookConfig: ({ url, eventTypes, active }) => ({
        request: request('PUT', { url, secret: webhookSecret, event_types: eventTypes, is_active: active }),
        read: (answer) => readAnswer(answer, { schema: config, refusal }, configOf),
      }),

      deleteWebhookConfig: () => ({
        request: request('DELETE'),
        read: (answer) => readDone(answer, refusal),
      }),

      verifyWebhook: (webhook) => {
        const signature = headerOf(webhook, 'x-webhook-signature');
        if (signature !== null) {
          return isHmac(signature, webhookSecret, webhook.body)
            ? { verdict: 'verified', reading: 'documented' }
            : { verdict: 'invalid', reason: 'a wrong signature' };
        }
        return headerOf(webhook, 'api-notification-sign') === null
          ? { verdict: 'invalid', reason: 'no signature' }
          : { verdict: 'unverified', reason: 'only api-notification-sign, whose making is not documented' };
      },
      readWebhook,
    };
  },
});

const refusalShape = z.object({ message: z.string().optional(), detail: z.string().optional() });

function refusal(body: unknown): string | null {
  const read = refusalShape.safeParse(body);
  return read.success ? (read.data.message ?? read.data.detail ?? null) : null;
}

const config = z.object({
  url: z.string(),
  secret_set: z.boolean(),
  event_types: z.array(z.string()).nullish(),
  is_active: z.boolean(),
});

function configOf(body: z.output<typeof config>): WebhookConfig {
  return {
    url: body.url,
    secretSet: body.secret_set,
    eventTypes: body.event_types ?? null,
    active: body.is_active,
  };
}

const webhook = z.object({
  event_type: z.string().optional(),
  event: z.string().optional(),
  type: z.string().optional(),
});

/** No body is documented: its type is looked for where such things stand. */
function readWebhook({ body }: ReceivedWebhook): Hint {
  const read = webhook.safeParse(jsonOf(body));
  const type = read.success ? (read.data.event_type ?? read.data.event ?? read.data.type ?? '') : '';
  return { dedupeKey: digestOf(body), type: type.slice(0, 60), chargeId: null, reference: null, mode: null };
}
