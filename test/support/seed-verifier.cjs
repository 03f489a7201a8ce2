// biome-ignore-all lint: quoted as it was published
// biome-ignore-all format: quoted as it was published
// What merchants of PayHook run today, word for word. It must accept every delivery of ours.
const crypto = require('crypto');

// Express handler — capture raw body via express.raw({ type: 'application/json' }).
function verifyPayhookSignature(rawBody, header, secret, toleranceSec = 300) {
  const parts = Object.fromEntries(
    header.split(',').map(p => p.split('=').map(s => s.trim()))
  );
  if (!parts.t || !parts.v1) return false;

  const ts = parseInt(parts.t, 10);
  if (Math.abs(Date.now() / 1000 - ts) > toleranceSec) return false;

  const signed = `${ts}.${rawBody}`;
  const expected = crypto.createHmac('sha256', secret).update(signed).digest('hex');

  try {
    return crypto.timingSafeEqual(
      Buffer.from(expected, 'hex'),
      Buffer.from(parts.v1, 'hex')
    );
  } catch {
    return false;
  }
}

module.exports = { verifyPayhookSignature };
