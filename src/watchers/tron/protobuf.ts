/*
 * As much of the protobuf encoding (https://protobuf.dev/programming-guides/encoding/) as TRON's hashes and transfers
 * need. Fields are written in the order of their numbers, and default values are not, as java-tron does.
 */

/** One field that was read: a varint, or bytes. Others TRON's transactions do not have. */
export type Field = { number: number; value: bigint | Uint8Array };

const varintType = 0;
const bytesType = 2;

/** A number; nothing for 0. Negative ones are ten bytes long. */
export function varintField(number: number, value: bigint): Uint8Array {
  if (value === 0n) return new Uint8Array();
  return Uint8Array.from([...varint(BigInt(number * 8 + varintType)), ...varint(BigInt.asUintN(64, value))]);
}

/** Bytes, a text or a message; nothing for none, unless it is one of a list. */
export function bytesField(number: number, value: Uint8Array, inList = false): Uint8Array {
  if (value.length === 0 && !inList) return value;
  return Buffer.concat([
    Uint8Array.from([...varint(BigInt(number * 8 + bytesType)), ...varint(BigInt(value.length))]),
    value,
  ]);
}

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return bytes;
}

/** The fields of a message, in their order; null where it is none, or has fields of other types. */
export function readFields(message: Uint8Array): Field[] | null {
  const fields: Field[] = [];
  for (let at = 0; at < message.length; ) {
    const tag = readVarint(message, at);
    if (tag === null) return null;
    const number = Number(tag.value >> 3n);
    const content = readVarint(message, tag.end);
    if (content === null) return null;
    switch (Number(tag.value & 7n)) {
      case varintType:
        fields.push({ number, value: content.value });
        at = content.end;
        break;
      case bytesType: {
        const end = content.end + Number(content.value);
        if (end > message.length) return null;
        fields.push({ number, value: message.subarray(content.end, end) });
        at = end;
        break;
      }
      default:
        return null;
    }
  }
  return fields;
}

function readVarint(bytes: Uint8Array, start: number): { value: bigint; end: number } | null {
  let value = 0n;
  for (let at = start; at < Math.min(bytes.length, start + 10); at++) {
    const byte = bytes[at] ?? 0;
    value |= BigInt(byte & 0x7f) << BigInt(7 * (at - start));
    if (byte < 0x80) return { value: BigInt.asUintN(64, value), end: at + 1 };
  }
  return null;
}

/** The bytes of the only field with this number; null where there is none, or several, or it is a number. */
export function onlyBytes(fields: readonly Field[], number: number): Uint8Array | null {
  const found = fields.filter((field) => field.number === number);
  const value = found[0]?.value;
  return found.length === 1 && value instanceof Uint8Array ? value : null;
}

/** A number; 0 where there is no such field, and null where it is none. */
export function onlyVarint(fields: readonly Field[], number: number): bigint | null {
  const found = fields.filter((field) => field.number === number);
  if (found.length === 0) return 0n;
  const value = found[0]?.value;
  return found.length === 1 && typeof value === 'bigint' ? BigInt.asIntN(64, value) : null;
}
