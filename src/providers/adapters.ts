import { forhopp } from './forhopp.ts';
import { fourpay } from './fourpay.ts';
import { fourpoch } from './fourpoch.ts';
import { gatenoc } from './gatenoc.ts';
import type { Adapter } from './provider.ts';

/** One row for each type of provider. */
export const adapters: readonly Adapter[] = [fourpoch, forhopp, fourpay, gatenoc];
