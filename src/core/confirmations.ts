/** Blocks that stand on a transfer, its own included: 1 when the head is its block, 0 when the head is below it. */
export function confirmationsAt(head: number, height: number): number {
  return Math.max(0, head - height + 1);
}

/** The highest block whose transfers have `requiredConfirmations` when the chain's head is at `head`. */
export function deepEnoughHeight(head: number, requiredConfirmations: number): number {
  return head - requiredConfirmations + 1;
}
