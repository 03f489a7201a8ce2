import { NodeError, type NodeFault } from './fault.ts';

/** What a node said instead of a result. `code` and `message` as in JSON-RPC; 0 and '' where it said none. */
export type RawRefusal = { status: number; code: number; message: string; retryAfterMs: number | null };

/*
 * Every provider words its limits in its own way, and some use the words of one thing for another. The order
 * of the questions matters: a limit on blocks can mention time-outs, one on requests can mention ranges.
 */

/** Alchemy, Infura, Ankr and others name a range that they would serve. */
const suggestedRange = [
  /\[\s*(0x[0-9a-f]+)\s*,\s*(0x[0-9a-f]+)\s*\]/i,
  /(?:retry|try) with (?:the|this) (?:block )?range:?\s*(\d+)\s*-\s*(\d+)/i,
];

/** A number of blocks in the many ways of saying that there may be no more. The number is the last group. */
const namedLimit = [
  /up to an? ([\d,._]+)(k?)[- ]?(?:block|range)/i,
  /limited to (?:an? )?(?:0 ?- ?)?([\d,._]+)(k?)\b/i,
  /max(?:imum)?(?: \w+)?(?: \w+)? range:? (?:is |of )?([\d,._]+)(k?)\b/i,
  /ranges? over ([\d,._]+)(k?) blocks/i,
  /number of requested blocks is ([\d,._]+)(k?)\b/i,
  /(?:maximum|max)(?: allowed)? (?:is|is set to|of)? ?([\d,._]+)(k?)\b/i,
  /allowed for your plan \(\d+ > ([\d,._]+)(k?)\)/i,
  /at most ([\d,._]+)(k?) blocks/i,
  /range greater than ([\d,._]+)(k?)\b/i,
  /range exceeds ([\d,._]+)(k?)\b/i,
  /range \d+ exceeds limit of ([\d,._]+)(k?)\b/i,
  /blocks distance: ?([\d,._]+)(k?)\b/i,
  /must not exceed ([\d,._]+)(k?) blocks/i,
  /smaller than size ([\d,._]+)(k?)\b/i,
];

const wide =
  /block[- ]?range|blocks? range|range (?:is )?too|(?:limit|exceed)\w* (?:the |max )*range|range allowed|ranges over|max(?:imum)? range|\d range\b|range \d+ exceeds|too many blocks|requested blocks is|blocks distance|at most [\d,._]+k? blocks|limited to (?:a )?[\d,._]+k? block|smaller than size/i;

/** BSC geth's word for a range past its own head; anybody else's is "too wide" in fact. */
const pastHead = /invalid block range params|beyond current head|BlockOutOfRange|after last accepted block/i;

const much =
  /more than [\d,._]+k? (?:results|logs)|[\d,._]+k? logs returned|too many (?:logs|results)|max(?:imum)? results|response (?:size|is|too)|too large|size exceeded|query timeout|timeout exceeded|query timed out|exceeds limit of|result window/i;

const filterTooLong =
  /exceed max (?:addresses|topics)|max addresses or topics|too many (?:addresses|topics)/i;

const throttled =
  /rate.?(?:is )?(?:limit|exceed)|too many requests|throttl|capacity|compute units|per second|request limit|daily|quota|credits|exceeded (?:your|the) (?:plan|monthly)|temporarily|unusually high|overload|try again later|busy|no backend|no healthy|unhealthy/i;

const missing =
  /not found|unknown block|cannot be found|not yet available|not (?:yet )?(?:synced|indexed)|no state available|missing trie node|still (?:syncing|indexing)|future block|out ?of ?range/i;

/** It cannot read what every node of its kind can: the tag `finalized`, for one. */
const notUnderstood = /^invalid argument|without 0x prefix|invalid block (?:number|tag)|unknown block tag/i;

const refused =
  /does not exist\/is not available|not (?:supported|available|allowed|whitelisted|enabled)|unsupported|disabled|archive|personal token|upgrade|paid plan|forbidden|unauthori[sz]ed|api.?key/i;

/** Ours, of what a node said instead of a result. The message is the node's, shortened. */
export function classifyRefusal(raw: RawRefusal): NodeError {
  const { status, code, message } = raw;
  return new NodeError(faultOf(raw), describeRefusal(status, code, message));
}

function faultOf({ status, code, message, retryAfterMs }: RawRefusal): NodeFault {
  const unavailable: NodeFault = { kind: 'unavailable', retryAfterMs };
  const tooBusy: NodeFault = { ...unavailable, throttled: true };
  if (status === 429) return tooBusy;
  if (code === 3 || /^execution reverted/i.test(message)) return { kind: 'reverted' };
  // The official BSC nodes answer every eth_getLogs with exactly these words: it is switched off there.
  if (code === -32005 && /^limit exceeded$/i.test(message.trim())) return { kind: 'unsupported' };
  if (pastHead.test(message)) return { kind: 'behind' };
  if (filterTooLong.test(message)) return { kind: 'filter-too-long' };
  const blocks = suggestedBlocks(message);
  if (blocks !== null && (much.test(message) || wide.test(message))) return { kind: 'too-wide', blocks };
  if (throttled.test(message) && !wide.test(message)) return tooBusy;
  if (wide.test(message)) return { kind: 'too-wide', blocks: limitBlocks(message) };
  if (much.test(message)) return { kind: 'too-much' };
  if (status === 413) return { kind: 'too-much' };
  if (code === -32601 || /^method not found/i.test(message)) return { kind: 'unsupported' };
  if (missing.test(message)) return { kind: 'behind' };
  if (refused.test(message) || notUnderstood.test(message)) return { kind: 'unsupported' };
  return unavailable;
}

function suggestedBlocks(message: string): number | null {
  for (const pattern of suggestedRange) {
    const match = pattern.exec(message);
    if (match === null) continue;
    const blocks = Number(match[2]) - Number(match[1]) + 1;
    if (Number.isSafeInteger(blocks) && blocks > 0) return blocks;
  }
  return null;
}

function limitBlocks(message: string): number | null {
  for (const pattern of namedLimit) {
    const match = pattern.exec(message);
    if (match === null) continue;
    const blocks =
      Number((match[1] ?? '').replace(/[,._]/g, '')) * (match[2]?.toLowerCase() === 'k' ? 1000 : 1);
    if (Number.isSafeInteger(blocks) && blocks > 0) return blocks;
  }
  return null;
}

/** Whether a node's refusal of a batch of `asked` calls speaks of batches; and how many calls it may take. */
export function batchLimit(message: string, asked: number): number | null {
  if (!/batch/i.test(message)) return null;
  const match =
    /(?:more than|limit(?: of| is)?|max(?:imum)?(?: of| is| batch size(?: is| of)?)?|exceeds?(?: limit of)?):? (\d+)/i.exec(
      message,
    );
  const calls = Number(match?.[1]);
  if (Number.isSafeInteger(calls) && calls > 0) return calls;
  return /too (?:large|big|many|long)/i.test(message) ? Math.floor(asked / 2) : 1;
}

function describeRefusal(status: number, code: number, message: string): string {
  const words = message.replace(/\s+/g, ' ').trim().slice(0, 200);
  const parts = [status === 200 ? '' : `HTTP ${status}`, code === 0 ? '' : `code ${code}`, words];
  return parts.filter((part) => part !== '').join(', ') || 'no reason given';
}
