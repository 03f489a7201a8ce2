import { z } from 'zod';
import { getMerchant, type Merchant } from '../../storage/merchants.ts';
import type { Db } from '../../storage/schema.ts';
import { notFound } from '../errors.ts';

/** Ids of ours; what does not look like one is not asked for. */
const idPattern = /^[a-z]+_[0-9a-f]{1,64}$/;

export const merchantPath = z.object({ merchant_id: z.string() });

/** @throws HttpError 404 when there is no such merchant. */
export async function requireMerchant(db: Db, id: string): Promise<Merchant> {
  const merchant = idPattern.test(id) ? await getMerchant(db, id) : null;
  if (merchant === null) throw notFound();
  return merchant;
}
