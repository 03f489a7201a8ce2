import { familyOf } from '../core/address.ts';
import type { Transfer } from '../core/chain.ts';
import type { ChainFamily } from '../core/networks.ts';
import { isOpen, type OnchainPayment } from '../core/payment.ts';
import { InvariantError } from '../errors.ts';
import {
  findLatestPaymentAt,
  lockLatestPaymentOfAddress,
  lockPayment,
  lockPaymentNumbered,
} from '../storage/payments/payments.ts';
import { findHolderBefore, findRecipients, type Recipient } from '../storage/pool/recipients.ts';
import type { Trx } from '../storage/schema.ts';
import { type Match, matchMissed, matchTransfer } from './match.ts';

export type Holders = {
  /**
   * The address that received a transfer: on the transfer's own chain if the merchant listed it there, otherwise on
   * another chain of the family, where the same key holds it.
   */
  addressOf(transfer: Transfer): Promise<Recipient>;
  /** Whose a transfer is that has just been mined. */
  matchNew(transfer: Transfer): Promise<Match>;
  /** Whose a transfer is that an earlier reading should have shown: see {@link matchMissed}. */
  matchMissed(transfer: Transfer): Promise<Match>;
  /** Held until the transaction ends. */
  payment(id: number): Promise<OnchainPayment>;
};

/**
 * Who holds the addresses that transfers on a chain of this family reach. Each address and payment is read once, however many transfers reach it:
 * nobody else changes them while this transaction holds them, and it settles them after the last transfer.
 */
export function createHolders(trx: Trx, family: ChainFamily): Holders {
  const candidates = new Map<string, Promise<Recipient[]>>();
  const latest = new Map<number, Promise<OnchainPayment | null>>();
  const elsewhere = new Map<string, Promise<OnchainPayment | null>>();
  const before = new Map<string, Promise<number | null>>();
  const numbered = new Map<string, Promise<OnchainPayment>>();
  const payments = new Map<number, Promise<OnchainPayment>>();

  function candidatesOf({ recipient }: Transfer): Promise<Recipient[]> {
    return once(candidates, recipient, async () => {
      const all = await findRecipients(trx, recipient);
      return all.filter(({ address }) => familyOf(address) === family);
    });
  }

  async function addressOf(transfer: Transfer): Promise<Recipient> {
    const all = await candidatesOf(transfer);
    const address = all.find((candidate) => candidate.network === transfer.network) ?? all[0];
    if (address === undefined) throw new InvariantError('a transfer to an address that nobody listed');
    return address;
  }

  /** What a payment on a sister chain expects at the same key. */
  function expectedElsewhere(transfer: Transfer): Promise<OnchainPayment | null> {
    return once(elsewhere, `${transfer.network} ${transfer.recipient}`, async () => {
      const all = await candidatesOf(transfer);
      const others = all.filter((candidate) => candidate.network !== transfer.network);
      return findLatestPaymentAt(
        trx,
        others.map((candidate) => candidate.id),
      );
    });
  }

  async function matchNew(transfer: Transfer): Promise<Match> {
    const address = await addressOf(transfer);
    const listedHere = address.network === transfer.network;
    const holder = listedHere
      ? await once(latest, address.id, () => lockLatestPaymentOfAddress(trx, address.id))
      : null;
    if (holder !== null && isOpen(holder)) return matchHolder(transfer, holder);
    // Nobody holds the address here, but perhaps a payment on a sister chain does: the customer chose the wrong one.
    const expected = await expectedElsewhere(transfer);
    const neverHere = holder === null && expected !== null;
    if (!listedHere || neverHere || (expected !== null && isOpen(expected))) {
      return { role: 'unmatched', reason: 'wrong_network', expected };
    }
    return holder === null ? matchTransfer(transfer, null) : matchHolder(transfer, holder);
  }

  /** What was mined before a fresh quote was given the address is late for the payment that had it before. */
  async function matchHolder(transfer: Transfer, holder: OnchainPayment): Promise<Match> {
    const match = matchTransfer(transfer, holder);
    if (match.role !== 'unmatched' || match.reason !== 'before_lock' || holder.replaces === null)
      return match;
    return matchReplaced(transfer, holder.replaces, match);
  }

  async function matchReplaced(transfer: Transfer, paymentNumber: string, otherwise: Match): Promise<Match> {
    const replaced = await once(numbered, paymentNumber, () => lockPaymentNumbered(trx, paymentNumber));
    const match = matchTransfer(transfer, replaced);
    if (match.role !== 'unmatched') return match;
    return replaced.replaces === null ? otherwise : matchReplaced(transfer, replaced.replaces, otherwise);
  }

  async function matchAsMissed(transfer: Transfer): Promise<Match> {
    const address = await addressOf(transfer);
    const holderId = address.network === transfer.network ? await holderBefore(address, transfer) : null;
    const holder = holderId === null ? null : await payment(holderId);
    return matchMissed(transfer, holder) ?? matchNew(transfer);
  }

  function holderBefore(address: Recipient, { block }: Transfer): Promise<number | null> {
    return once(before, `${address.id} ${block.hash}`, () => findHolderBefore(trx, address.id, block));
  }

  function payment(id: number): Promise<OnchainPayment> {
    return once(payments, id, () => lockPayment(trx, id));
  }

  return { addressOf, matchNew, matchMissed: matchAsMissed, payment };
}

function once<K, T>(known: Map<K, Promise<T>>, key: K, read: () => Promise<T>): Promise<T> {
  const found = known.get(key) ?? read();
  known.set(key, found);
  return found;
}
