import { expect, test } from 'vitest';
import { checkProviders } from '../../src/doctor/services.ts';
import { testConfig } from '../support/config.ts';
import {
  forhoppSubject,
  gatenocSubject,
  providerConfig,
  type Subject,
} from '../support/providers/subjects.ts';

async function open(subject: Subject) {
  const standIn = await subject.start(Date.now());
  const entry = providerConfig(subject, standIn.url);
  const { webhooks } = testConfig({});
  const config = { providers: { [entry.name]: entry }, webhooks: { ...webhooks, allowHosts: ['127.0.0.1'] } };
  return { standIn, check: async () => (await checkProviders(config, Date.now))[0] };
}

test.each([forhoppSubject, gatenocSubject])(
  'doctor tells a provider ($type) that does not take our keys, or cannot be reached, from one that is well',
  async (subject) => {
    const { standIn, check } = await open(subject);
    expect(await check()).toMatchObject({ outcome: 'well', found: 'it answers, and takes our keys' });
    // Nothing was made there.
    expect(standIn.asked.every(({ method }) => method === 'GET')).toBe(true);
    standIn.failNext({ kind: 'answer', status: 401, body: '{"message":"no"}' });
    expect(await check()).toMatchObject({
      outcome: 'danger',
      found: expect.stringMatching(/^it does not take our keys: /),
      money: 'no payment by it can be made, and none that was made is followed',
    });
    standIn.failNext({ kind: 'reset' });
    expect(await check()).toMatchObject({ outcome: 'warning', todo: 'ask again later' });
  },
);
