import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AddressKey } from '../../../src/core/address.ts';
import type { TxHash } from '../../../src/core/chain.ts';
import { withOrdinals } from '../../../src/watchers/evm/logs.ts';

type Paid = { txHash: TxHash; token: AddressKey; recipient: AddressKey; logIndex: number };

const paid: fc.Arbitrary<Paid> = fc.record({
  txHash: fc.constantFrom('t1', 't2') as fc.Arbitrary<string> as fc.Arbitrary<TxHash>,
  token: fc.constantFrom('usdt', 'usdc') as fc.Arbitrary<string> as fc.Arbitrary<AddressKey>,
  recipient: fc.constantFrom('alice', 'bob') as fc.Arbitrary<string> as fc.Arbitrary<AddressKey>,
  logIndex: fc.nat(1000),
});

test('transfers of one token to one recipient in one transaction are numbered from 0, all others apart', () => {
  fc.assert(
    fc.property(fc.array(paid), (logs) => {
      const numbered = withOrdinals(logs);
      for (const [i, { txHash, token, recipient, ordinal }] of numbered.entries()) {
        const before = logs
          .slice(0, i)
          .filter((log) => log.txHash === txHash && log.token === token && log.recipient === recipient);
        expect(ordinal).toBe(before.length);
      }
    }),
  );
});

test('a transaction mined again elsewhere keeps its numbers: other log indexes, other neighbours, the same order', () => {
  fc.assert(
    fc.property(fc.array(paid), fc.array(paid), fc.nat(500), (logs, neighbours, offset) => {
      const mine = logs.map((log) => ({ ...log, txHash: 'mine' as TxHash }));
      const again = mine.map((log) => ({ ...log, logIndex: log.logIndex + offset }));
      const identities = (numbered: (Paid & { ordinal: number })[]) =>
        numbered
          .filter(({ txHash }) => txHash === 'mine')
          .map(({ token, recipient, ordinal }) => [token, recipient, ordinal]);
      expect(identities(withOrdinals([...neighbours, ...again]))).toEqual(identities(withOrdinals(mine)));
    }),
  );
});
