import { describe, expect, test } from 'vitest';
import { createOutages } from '../../../src/watchers/agreement/ask.ts';
import { createScriptedChain } from '../../support/scripted-chain.ts';

const waitMs = 60_000;

function open() {
  let now = 0;
  const clock = () => now;
  const chain = createScriptedChain({ network: 'bsc', clock, nodes: 3 });
  let answeredAt = 0;
  const endpoints = () => chain.source.endpoints().map((node) => ({ ...node, answeredAt }));
  const [, b, c] = endpoints().map(({ host }) => host) as [string, string, string];
  const outages = createOutages(clock, { endpoints }, waitMs, null);
  return {
    outages,
    hosts: [b, c],
    pass: (ms: number) => {
      now += ms;
    },
    answersElsewhere: () => {
      answeredAt = now;
    },
  };
}

describe('what waits for a second node', () => {
  test('waits from when the last of the others fell silent, however often they are asked', () => {
    const { outages, hosts, pass } = open();
    const [b, c] = hosts as [string, string];
    outages.note(b, true);
    pass(10_000);
    outages.note(c, true);
    pass(waitMs - 1);
    for (const host of hosts) outages.note(host, true);
    expect(outages.haveLasted(hosts)).toBe(false);
    pass(1);
    expect(outages.haveLasted(hosts)).toBe(true);
    expect(outages.haveLasted([])).toBe(false);
  });

  test('waits anew once one of them has answered', () => {
    const { outages, hosts, pass } = open();
    for (const host of hosts) outages.note(host, true);
    pass(waitMs);
    outages.note(hosts[0] as string, false);
    expect(outages.haveLasted(hosts)).toBe(false);
    outages.note(hosts[0] as string, true);
    expect(outages.haveLasted(hosts)).toBe(false);
    expect(outages.haveLasted(hosts.slice(1))).toBe(true);
  });

  test('waits anew where one of them answered something else since it was asked, a wait ago', () => {
    for (const answered of [true, false]) {
      const { outages, hosts, pass, answersElsewhere } = open();
      for (const host of hosts) outages.note(host, true);
      pass(waitMs / 2);
      if (answered) answersElsewhere();
      pass(waitMs / 2);
      for (const host of hosts) outages.note(host, true);
      expect(outages.haveLasted(hosts)).toBe(!answered);
    }
  });
});
