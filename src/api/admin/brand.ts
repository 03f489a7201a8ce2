import { z } from 'zod';
import { accentFault, parseAccent } from '../../checkout/accent.ts';
import { largestLogo, readLogo } from '../../checkout/logo.ts';
import type { Clock } from '../../clock.ts';
import { changeMerchantBrand } from '../../payments/merchants.ts';
import { findMerchantBrand, type MerchantBrand } from '../../storage/operators/brands.ts';
import type { Db } from '../../storage/schema.ts';
import { fieldErrors } from '../http/errors.ts';
import { bodyErrors, commonErrors, plainText, refusePrivateKey } from '../merchant/schemas.ts';
import type { Api } from '../routes.ts';
import { merchantPath, requireMerchant, requireMerchantInUse } from './paths.ts';

const expectedPage = 'expected the URL of a page, or nothing';

const webUrl = plainText(2048)
  .regex(/^$|^https?:\/\/\S+$/i, { error: expectedPage })
  .refine((value) => value === '' || URL.canParse(value), { error: expectedPage });

const email = plainText(254).regex(/^$|^[^\s@<>"?&]+@[^\s@<>"?&]+$/, {
  error: 'expected an e-mail address, or nothing',
});

const brandSchema = z.object({
  id: z.string(),
  display_name: z.string().describe('Empty: the name.'),
  logo: z.string().nullable().describe('The path of the picture.'),
  accent: z.string().nullable(),
  support_email: z.string(),
  support_url: z.string(),
});

/** How merchants show themselves to their payers. */
export function registerBrandRoutes(api: Api, { db, clock }: { db: Db; clock: Clock }): void {
  api.route({
    method: 'GET',
    url: '/merchants/:merchant_id/brand/',
    config: { access: 'merchant' },
    schema: {
      tags: ['Merchants'],
      operationId: 'readBrand',
      summary: 'How a merchant shows itself to its payers',
      params: merchantPath,
      response: { ...commonErrors, 200: brandSchema },
    },
    handler: async (request) => {
      const { id } = await requireMerchant(db, request.params.merchant_id);
      return presentBrand(id, await findMerchantBrand(db, id));
    },
  });

  api.route({
    method: 'PATCH',
    url: '/merchants/:merchant_id/',
    config: { access: 'merchant' },
    schema: {
      tags: ['Merchants'],
      operationId: 'changeMerchant',
      summary: 'Change how a merchant shows itself to its payers',
      description: 'What is not given stays as it is.',
      params: merchantPath,
      body: z.strictObject({
        display_name: plainText(80).trim().superRefine(refusePrivateKey).optional(),
        logo: z
          .base64()
          .max(Math.ceil(largestLogo / 3) * 4)
          .nullable()
          .optional()
          .describe('A PNG or SVG of at most 64 KiB, as base64. An SVG is written anew from its shapes.'),
        accent: z
          .string()
          .max(7)
          .nullable()
          .optional()
          .describe('A colour like `#1f57c3` on which white text can be read (4.5 to 1).'),
        support_email: email.optional(),
        support_url: webUrl.optional(),
      }),
      response: { ...bodyErrors, 200: brandSchema },
    },
    handler: async (request) => {
      const { id: merchantId } = await requireMerchantInUse(db, request.params.merchant_id);
      const { body } = request;
      const logo = body.logo == null ? body.logo : readLogo(Buffer.from(body.logo, 'base64'));
      const accent = body.accent == null ? body.accent : parseAccent(body.accent);
      const faults: [string, string][] = [];
      if (logo != null && 'fault' in logo) faults.push(['logo', logo.fault]);
      if (body.accent != null && accent === null) faults.push(['accent', 'expected a colour like #1f57c3']);
      const dim = accent == null ? null : accentFault(accent);
      if (dim !== null) faults.push(['accent', dim]);
      if (faults.length > 0) throw fieldErrors(faults);
      const change = {
        ...(body.display_name === undefined ? {} : { displayName: body.display_name }),
        ...(body.support_email === undefined ? {} : { supportEmail: body.support_email }),
        ...(body.support_url === undefined ? {} : { supportUrl: body.support_url }),
        ...(accent === undefined ? {} : { accent }),
        ...(logo === undefined || (logo !== null && 'fault' in logo) ? {} : { logo }),
      };
      await changeMerchantBrand({ db, clock }, { merchantId, change, actor: request.actor });
      return presentBrand(merchantId, await findMerchantBrand(db, merchantId));
    },
  });
}

function presentBrand(id: string, brand: MerchantBrand): z.output<typeof brandSchema> {
  return {
    id,
    display_name: brand.displayName,
    logo: brand.logoHash === null ? null : `/pay/assets/logo-${brand.logoHash}`,
    accent: brand.accent === null ? null : `#${brand.accent}`,
    support_email: brand.supportEmail,
    support_url: brand.supportUrl,
  };
}
