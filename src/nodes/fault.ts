import type { Capability, NodeFailure } from '../core/node.ts';
import { RpcError } from '../errors.ts';

/** What is to be done about a node that gave no usable answer. */
export type NodeFault =
  /** It serves this, but for fewer blocks at a time; `blocks` where it said how many. */
  | { kind: 'too-wide'; blocks: number | null }
  /** The answer would be too large: half the blocks, now. */
  | { kind: 'too-much' }
  /** It serves this without so many addresses in the filter. */
  | { kind: 'filter-too-long' }
  /** It does not serve this at all. */
  | { kind: 'unsupported' }
  /** The same, where it is known that the rest is served. */
  | { kind: 'lacks'; what: Capability }
  /** The contract that was called refused: an answer, not a failure of the node. */
  | { kind: 'reverted' }
  /** It has not got there yet, though the chain has. */
  | { kind: 'behind' }
  /**
   * It is down, overloaded, or wants fewer requests (`throttled`); `retryAfterMs` where it said for how long. `late`
   * where it was reached and did not answer in time, `unreachable` where it was not.
   */
  | { kind: 'unavailable'; retryAfterMs: number | null; late?: true; throttled?: true; unreachable?: true }
  /** What it says cannot be true: about itself, or together with what was proven before. */
  | { kind: 'contradiction' }
  /** It belongs to another chain than the configured one. */
  | { kind: 'wrong-chain' };

/** Says nothing of where the node is: whoever asked it puts the host name before the message. */
export class NodeError extends RpcError {
  readonly fault: NodeFault;

  constructor(fault: NodeFault, message: string, options?: ErrorOptions) {
    super(`node_${fault.kind.replaceAll('-', '_')}`, message, options);
    this.fault = fault;
  }
}

/** A node's answer that was understood and cannot be true. */
export function contradiction(message: string): NodeError {
  return new NodeError({ kind: 'contradiction' }, message);
}

/** A node that lacks what it should have by now. */
export function behind(message: string): NodeError {
  return new NodeError({ kind: 'behind' }, message);
}

/** A node that serves everything but this. `refusal` is what it said. */
export function lacks(what: Capability, refusal: NodeError): NodeError {
  return new NodeError({ kind: 'lacks', what }, `it serves no ${what}: ${refusal.message}`, {
    cause: refusal,
  });
}

export function unavailable(message: string, options?: ErrorOptions): NodeError {
  return new NodeError({ kind: 'unavailable', retryAfterMs: null }, message, options);
}

/** As what a fault is counted. */
export function failureOf(fault: NodeFault): NodeFailure {
  switch (fault.kind) {
    case 'unavailable':
      if (fault.late === true) return 'timeout';
      return fault.throttled === true ? 'rate_limited' : 'unavailable';
    case 'behind':
      return 'behind';
    case 'contradiction':
    case 'wrong-chain':
      return 'wrong';
    case 'too-wide':
    case 'too-much':
    case 'filter-too-long':
    case 'unsupported':
    case 'lacks':
    case 'reverted':
      return 'refused';
    default:
      return fault satisfies never;
  }
}
