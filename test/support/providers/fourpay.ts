import { createHmac } from 'node:crypto';
import { testSecrets, testSettings } from './accounts.ts';
import { startStandIn } from './stand-in.ts';
import type { Subject } from './subjects.ts';

type Config = { url: string; secret: string | null; event_types: string[] | null; is_active: boolean };

/** What is configured there; a test may change it as somebody else with the token could. */
export const atFourpay: { configured: Config | null } = { configured: null };

export const fourpaySubject: Subject = {
  type: '4pay',
  currency: 'USD',
  settings: testSettings['4pay'],
  secrets: [testSecrets.fourpay, testSecrets.fourpayWebhook],
  words: {},
  start: (startAt) => {
    atFourpay.configured = null;
    return startStandIn({
      startAt,
      reply({ method, headers, body }) {
        if (headers['x-api-token'] !== testSecrets.fourpay) return { status: 401, body: '{}' };
        if (method === 'PUT')
          atFourpay.configured = { secret: null, event_types: null, is_active: true, ...JSON.parse(body) };
        if (method === 'DELETE') {
          atFourpay.configured = null;
          return { status: 204 };
        }
        if (atFourpay.configured === null) return { status: 404, body: '{}' };
        const { secret, ...shown } = atFourpay.configured;
        return { status: 200, body: JSON.stringify({ ...shown, secret_set: secret !== null }) };
      },
    });
  },
  webhook(
    _charge,
    { body = '{"event_type":"card_transaction","amount":12.30}', secret = testSecrets.fourpayWebhook } = {},
  ) {
    return {
      headers: { 'x-webhook-signature': createHmac('sha256', secret).update(body).digest('hex') },
      body,
    };
  },
};
