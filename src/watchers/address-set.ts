import { randomInt } from 'node:crypto';
import type { AddressKey } from '../core/address.ts';

/**
 * A set of 20-byte addresses for millions of them: about 30 bytes each, where a `Set` of strings takes 110.
 * Grows only; never gives false answers.
 */
export type AddressSet = {
  has(key: AddressKey): boolean;
  /** The same for the 20 bytes from `offset` on. */
  hasAt(bytes: Uint8Array, offset: number): boolean;
  /** False when it was in already. */
  add(key: AddressKey): boolean;
  readonly size: number;
  /** In the order they were added. */
  keys(): Generator<AddressKey>;
};

/** 32-bit words in an address. */
const words = 5;

/** Addresses in one chunk of the storage: growing adds a chunk and copies nothing. */
const chunkSize = 1 << 14;

/** Share of the index that is in use when it is doubled. */
const fullness = 0.7;

export function createAddressSet(): AddressSet {
  // Addresses lie one after another in chunks; the index, an open hash table, holds their numbers, counted
  // from 1 so that 0 means free. Its seed keeps anybody from choosing addresses that collide.
  const seed = randomInt(2 ** 32);
  const chunks: Uint32Array[] = [];
  let index = new Uint32Array(1 << 10);
  let size = 0;
  // A bit for the first word of each address: of the places in a text that hold none, nearly all stop here.
  let sieve = new Uint32Array(index.length / 4);
  let sieveShift = 32 - Math.log2(sieve.length * 32);
  const probe = new Uint32Array(words);

  /** By hand, as this runs for each log of a chain: `parseInt` of slices takes several times as long. */
  function parse(key: AddressKey): void {
    for (let word = 0; word < words; word++) {
      let value = 0;
      for (let at = word * 8; at < word * 8 + 8; at++) {
        const code = key.charCodeAt(at);
        // '0' to '9' are 48 to 57, 'a' to 'f' 97 to 102.
        value = (value << 4) | (code < 58 ? code - 48 : code - 87);
      }
      probe[word] = value;
    }
  }

  function readBytes(bytes: Uint8Array, offset: number): void {
    for (let word = 0; word < words; word++) probe[word] = bigEndian(bytes, offset + word * 4);
  }

  /** Which bit of the sieve stands for addresses that begin with this word. */
  function sieveBit(word: number): number {
    return Math.imul(word ^ seed, 0x9e3779b1) >>> sieveShift;
  }

  function wordAt(number: number, word: number): number {
    return chunks[Math.floor(number / chunkSize)]?.[(number % chunkSize) * words + word] ?? 0;
  }

  function holdsProbe(number: number): boolean {
    for (let word = 0; word < words; word++) if (wordAt(number, word) !== probe[word]) return false;
    return true;
  }

  /** Where in the index the probed address is, or where it would go. */
  function slotOfProbe(): number {
    const mask = index.length - 1;
    let slot = hash(seed, probe) & mask;
    for (;;) {
      const entry = index[slot] ?? 0;
      if (entry === 0 || holdsProbe(entry - 1)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  function grow(): void {
    index = new Uint32Array(index.length * 2);
    sieve = new Uint32Array(index.length / 4);
    sieveShift = 32 - Math.log2(sieve.length * 32);
    for (let number = 0; number < size; number++) {
      for (let word = 0; word < words; word++) probe[word] = wordAt(number, word);
      index[slotOfProbe()] = number + 1;
      letThrough(wordAt(number, 0));
    }
  }

  function letThrough(word: number): void {
    const bit = sieveBit(word);
    sieve[bit >>> 5] = (sieve[bit >>> 5] ?? 0) | (1 << (bit & 31));
  }

  return {
    get size() {
      return size;
    },
    has(key) {
      parse(key);
      return index[slotOfProbe()] !== 0;
    },
    hasAt(bytes, offset) {
      const bit = sieveBit(bigEndian(bytes, offset));
      if (((sieve[bit >>> 5] ?? 0) & (1 << (bit & 31))) === 0) return false;
      readBytes(bytes, offset);
      return index[slotOfProbe()] !== 0;
    },
    add(key) {
      parse(key);
      let slot = slotOfProbe();
      if (index[slot] !== 0) return false;
      if (size + 1 > index.length * fullness) {
        grow();
        parse(key);
        slot = slotOfProbe();
      }
      if (size % chunkSize === 0) chunks.push(new Uint32Array(chunkSize * words));
      chunks.at(-1)?.set(probe, (size % chunkSize) * words);
      size += 1;
      index[slot] = size;
      letThrough(probe[0] ?? 0);
      return true;
    },
    *keys() {
      for (let number = 0; number < size; number++) {
        let key = '';
        for (let word = 0; word < words; word++) key += wordAt(number, word).toString(16).padStart(8, '0');
        yield key as AddressKey;
      }
    },
  };
}

function bigEndian(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)
  );
}

/** Mixes the words of an address; addresses are hashes themselves, so little is needed. */
function hash(seed: number, key: Uint32Array): number {
  let mixed = seed;
  for (let word = 0; word < words; word++) {
    mixed = Math.imul(mixed ^ (key[word] ?? 0), 0x9e3779b1);
    mixed ^= mixed >>> 15;
  }
  return mixed >>> 0;
}
