/*
 * What the providers' pages print, verbatim but for the comments of ours.
 */

export const fourpochPage = {
  webhook: `{
  "event":        "payment.completed",
  "payment_id":   "4poch_abc123...",
  "amount":       100.00,
  "currency":     "HTG",
  "net_amount":   92.50,
  "fee":          7.50,
  "status":       "completed",
  "payment_method": "4poch_htg",
  "customer_email": "user@example.com",
  "timestamp":    "2026-06-02T12:00:00+00:00",
  "signature":    "sha256_hmac_hex"
}`,
  error: `{
  "success": false,
  "message": "Description of what went wrong"
}`,
  createRequest: `{
    "amount": 150.00,
    "currency": "HTG",
    "payment_method": "4poch_htg",
    "redirect_url": "https://example.com/thank-you",
    "customer_email": "customer@example.com"
  }`,
  create: `{
  "success": true,
  "message": "Payment created successfully.",
  "data": {
    "payment_id":   "4poch_a1b2c3d4e5f6...",
    "checkout_url": "https://4poch.com/gateway/pay/4poch_a1b2c3d4e5f6...",
    "amount":       150.00,
    "currency":     "HTG",
    "fee":          8.75,
    "net_amount":   141.25,
    "status":       "pending",
    "expires_at":   "2026-06-02T14:00:00+00:00"
  }
}`,
  payment: `{
  "success": true,
  "data": {
    "payment_id":     "4poch_a1b2c3d4e5f6",
    "amount":         150.00,
    "currency":       "HTG",
    "net_amount":     141.25,
    "fee":            8.75,
    "payment_method": "4poch_htg",
    "status":         "completed",
    "customer_email": "customer@example.com",
    "created_at":     "2026-06-02T12:00:00+00:00",
    "updated_at":     "2026-06-02T12:02:00+00:00"
  }
}`,
  refund: `{
  "success": true,
  "message": "Payment refunded successfully."
}`,
  transactions: `{
  "success": true,
  "data": [
    {
      "payment_id":     "4poch_...",
      "amount":         150.00,
      "currency":       "HTG",
      "payment_method": "4poch_htg",
      "fee":            8.75,
      "net_amount":     141.25,
      "status":         "completed",
      "created_at":     "2026-06-02T12:00:00+00:00"
    }
  ],
  "meta": {
    "current_page": 1,
    "per_page":     5,
    "total":        42,
    "last_page":    9
  }
}`,
  balance: `{
  "success": true,
  "data": {
    "balance":        1542.75,
    "total_received": 1542.75,
    "currency":       "HTG"
  }
}`,
  methods: `{
  "success": true,
  "data": [
    { "code": "4poch_htg", "name": "4Poch HTG", "currency": "HTG" },
    { "code": "moncash", "name": "MonCash", "currency": "HTG" }
  ]
}`,
  webhookTest: `{
  "success": true,
  "message": "Webhook delivered successfully.",
  "http_status": 200,
  "response_body": "..."
}`,
};

export const forhoppPage = {
  createRequest: `{
  "amount": 5000,
  "currency": "usd",
  "description": "Order #12345",
  "metadata": {
    "order_id": "12345",
    "customer_email": "customer@example.com"
  },
  "return_url": "https://merchant.com/success",
  "cancel_url": "https://merchant.com/cancel"
}`,
  create: `{
  "id": "ch_1234567890abcdef1234567890abcdef",
  "object": "charge",
  "amount": 5000,
  "currency": "usd",
  "status": "pending",
  "description": "Order #12345",
  "metadata": {
    "order_id": "12345",
    "customer_email": "customer@example.com"
  },
  "checkout_url": "https://pay.forhopp.com/checkout/ch_1234567890abcdef1234567890abcdef",
  "return_url": "https://merchant.com/success",
  "cancel_url": "https://merchant.com/cancel",
  "expires_at": 1234654290,
  "created": 1234567890,
  "livemode": true
}`,
  charge: `{
  "id": "ch_1234567890abcdef1234567890abcdef",
  "object": "charge",
  "amount": 5000,
  "currency": "usd",
  "status": "captured",
  "description": "Order #12345",
  "payment_method": "card",
  "payment_method_details": {
    "card": {
      "brand": "visa",
      "last4": "4242",
      "exp_month": 12,
      "exp_year": 2025
    }
  },
  "fee": 175,
  "net": 4825,
  "refunds": [],
  "created": 1234567890,
  "captured_at": 1234567900,
  "livemode": true
}`,
  /** The page prints `[...]` for the charges. */
  list: `{
  "object": "list",
  "data": [...],
  "has_more": true,
  "url": "/api/v1/connect/charges",
  "total_count": 150
}`,
  capture: `{
  "id": "ch_1234567890abcdef1234567890abcdef",
  "status": "captured",
  "amount": 5000,
  "fee": 175,
  "net": 4825,
  "captured_at": 1234567900
}`,
  refundRequest: `{
  "amount": 2500,
  "reason": "customer_request"
}`,
  refund: `{
  "id": "re_1234567890abcdef1234567890abcdef",
  "object": "refund",
  "charge": "ch_1234567890abcdef1234567890abcdef",
  "amount": 2500,
  "currency": "usd",
  "status": "succeeded",
  "reason": "customer_request",
  "created": 1234567950
}`,
  webhookEndpoint: `{
  "id": "we_1234567890abcdef",
  "object": "webhook_endpoint",
  "url": "https://merchant.com/webhooks/forhopppay",
  "secret": "whsec_1234567890abcdef1234567890abcdef",
  "events": ["charge.completed", "charge.refunded", "charge.disputed"],
  "status": "enabled",
  "created": 1234567890
}`,
  webhook: `{
  "id": "evt_1234567890abcdef12345678",
  "object": "event",
  "type": "charge.completed",
  "created": 1234567890,
  "livemode": true,
  "data": {
    "object": {
      "id": "ch_1234567890abcdef1234567890abcdef",
      "object": "charge",
      "amount": 5000,
      "currency": "usd",
      "status": "captured",
      "payment_method": "card",
      "metadata": {
        "order_id": "12345"
      }
    }
  }
}`,
  key: `{
  "id": "key_1234567890abcdef",
  "object": "api_key",
  "name": "Production Key",
  "publishable_key": "pk_live_a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6",
  "secret_key": "sk_live_q7r8s9t0u1v2w3x4y5z6a7b8c9d0e1f2",
  "environment": "live",
  "created": 1234567890
}`,
  error: `{
  "error": {
    "type": "invalid_request_error",
    "code": "parameter_invalid",
    "message": "The amount must be a positive integer in cents.",
    "param": "amount",
    "doc_url": "https://docs.forhopppay.com/errors/parameter_invalid"
  }
}`,
};

export const fourpayPage = {
  config: `{
"url": "https://yourapp.com/webhooks/4pay",
"secret_set": true,
"event_types": ["card_transaction", "card_state"],
"is_active": true
}`,
  configRequest: `{
"url": "https://yourapp.com/webhooks/incoming",
"secret": "your-secret-string",
"event_types": ["card_transaction", "account_transaction", "account_topup", "card_state"],
"is_active": true
}`,
};

export const gatenocPage = {
  createRequest: `{
"amount": 10.50,
"note": "order_123",
"notify_url": "https://yoursite.com/webhooks/paid",
"success_url": "https://yoursite.com/thanks"
}`,
  webhook: `{
"event": "payment.completed",
"status": "completed",
"merchant_id": 1,
"amount": "10.50",
"total_amount": "10.50",
"currency": "USD",
"bybit_pay_id": "…",
"merchant_trade_no": "…",
"note": "order_123",
"payment_record_id": 42,
"paid_at": "2026-03-24T12:00:00+00:00"
}`,
  refundRequest: `{"amount":1,"reason":"..."}`,
};
