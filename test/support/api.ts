import { type Answer, createHttpClient, type HttpClient } from './http.ts';

/** The retrieve shape, as an app sees it. */
export type PaymentBody = {
  payment_number: string;
  status: 'pending' | 'confirmed' | 'expired' | 'cancelled' | 'failed';
  reason: string | null;
  network: 'bsc' | 'ethereum' | 'tron';
  currency: 'usdt' | 'usdc' | 'busd' | 'native';
  amount_usd_cents: number;
  expected_crypto_amount: string;
  actual_crypto_amount: string | null;
  assigned_address: string;
  tx_hash: string;
  confirmations: number;
  deposits: { tx_hash: string; amount: string; confirmations: number; status: string }[];
  external_order_id: string;
  customer_email: string;
  redirect_url: string;
  metadata: Record<string, unknown>;
  payment_token: string;
  checkout_url: string;
  expires_at: string;
  confirmed_at: string | null;
  created_at: string;
};

export type List<T> = { data: T[]; next_cursor: string | null };

export type EventBody = {
  sequence: number;
  id: string;
  created_at: string;
  body: { event: string; payment_id: string; tx_hash: string; payment: Partial<PaymentBody> } & Record<
    string,
    unknown
  >;
};

/** A merchant's app. */
export type Api = HttpClient & {
  create(request: object, headers?: Record<string, string>): Promise<Answer<PaymentBody>>;
  retrieve(paymentNumber: string): Promise<Answer<PaymentBody>>;
  cancel(paymentNumber: string): Promise<Answer<PaymentBody>>;
  /** All events from the first on, page by page. */
  allEvents(): Promise<EventBody[]>;
};

export function createApi(baseUrl: () => string, apiKey: string): Api {
  const client = createHttpClient(baseUrl, { 'x-api-key': apiKey });
  return {
    ...client,
    create: (request, headers) => client.post('/api/v1/payments/', request, headers),
    retrieve: (number) => client.get(`/api/v1/payments/${number}/`),
    cancel: (number) => client.post(`/api/v1/payments/${number}/cancel/`),
    allEvents: async () => {
      const events: EventBody[] = [];
      for (let after = ''; ; ) {
        const page = await client.get<List<EventBody>>(`/api/v1/events/?limit=100${after}`);
        events.push(...page.body.data);
        if (page.body.next_cursor === null || page.body.data.length === 0) return events;
        after = `&after=${encodeURIComponent(page.body.next_cursor)}`;
      }
    },
  };
}

/** The operator. */
export function createAdminApi(baseUrl: () => string, token: string): HttpClient {
  return createHttpClient(() => `${baseUrl()}/admin/v1`, { authorization: `Bearer ${token}` });
}
