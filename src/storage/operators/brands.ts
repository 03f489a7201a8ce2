import { createHash } from 'node:crypto';
import type { Db, Schema, Trx } from '../schema.ts';

/** A picture as it is served. */
export type Logo = { type: 'image/png' | 'image/svg+xml'; bytes: Buffer };

/** How a merchant shows itself to its payers. */
export type MerchantBrand = {
  /** Empty: its name. */
  displayName: string;
  /** The hash by which its logo is found; null without one. */
  logoHash: string | null;
  /** `1f57c3`; null: ours. */
  accent: string | null;
  supportEmail: string;
  supportUrl: string;
};

/** What is not in it stays as it is. `logo: null` removes it. */
export type BrandChange = Partial<Omit<MerchantBrand, 'logoHash'> & { logo: Logo | null }>;

const unbranded: MerchantBrand = {
  displayName: '',
  logoHash: null,
  accent: null,
  supportEmail: '',
  supportUrl: '',
};

export async function findMerchantBrand(db: Db, merchantId: string): Promise<MerchantBrand> {
  const row = await db
    .selectFrom('brands')
    .select(brandColumns)
    .where('merchant_id', '=', merchantId)
    .executeTakeFirst();
  return row === undefined ? unbranded : toBrand(row);
}

/** As payers see it: by its own name where it has given no other. */
export async function findShownBrand(db: Db, merchantId: string): Promise<MerchantBrand> {
  const row = await db
    .selectFrom('merchants')
    .leftJoin('brands', 'brands.merchant_id', 'merchants.id')
    .select(['merchants.name', ...brandColumns])
    .where('merchants.id', '=', merchantId)
    .executeTakeFirst();
  const brand = row === undefined ? unbranded : toBrand(row);
  return brand.displayName === '' ? { ...brand, displayName: row?.name ?? '' } : brand;
}

const brandColumns = [
  'brands.display_name',
  'brands.logo_hash',
  'brands.accent',
  'brands.support_email',
  'brands.support_url',
] as const;

type BrandRow = Pick<
  Schema['brands'],
  'display_name' | 'logo_hash' | 'accent' | 'support_email' | 'support_url'
>;

/** Of a merchant that has none, all of them are null. */
function toBrand(row: { [Column in keyof BrandRow]: BrandRow[Column] | null }): MerchantBrand {
  return {
    displayName: row.display_name ?? '',
    logoHash: row.logo_hash,
    accent: row.accent,
    supportEmail: row.support_email ?? '',
    supportUrl: row.support_url ?? '',
  };
}

/** The logo with this hash, whoever's it is: whoever has the hash has seen it. */
export async function findLogo(db: Db, hash: string): Promise<Logo | null> {
  const row = await db
    .selectFrom('brands')
    .select(['logo', 'logo_type'])
    .where('logo_hash', '=', hash)
    .limit(1)
    .executeTakeFirst();
  if (row === undefined || row.logo === null) return null;
  return { type: row.logo_type as Logo['type'], bytes: Buffer.from(row.logo, 'base64') };
}

export async function changeBrand(trx: Trx, merchantId: string, change: BrandChange): Promise<void> {
  const { logo } = change;
  const columns = {
    ...(change.displayName === undefined ? {} : { display_name: change.displayName }),
    ...(change.accent === undefined ? {} : { accent: change.accent }),
    ...(change.supportEmail === undefined ? {} : { support_email: change.supportEmail }),
    ...(change.supportUrl === undefined ? {} : { support_url: change.supportUrl }),
    ...(logo === undefined
      ? {}
      : {
          logo: logo?.bytes.toString('base64') ?? null,
          logo_type: logo?.type ?? null,
          logo_hash: logo === null ? null : createHash('sha256').update(logo.bytes).digest('hex'),
        }),
  };
  const whole = {
    merchant_id: merchantId,
    display_name: '',
    logo: null,
    logo_type: null,
    logo_hash: null,
    accent: null,
    support_email: '',
    support_url: '',
  };
  await trx
    .insertInto('brands')
    .values({ ...whole, ...columns })
    .onConflict((conflict) =>
      conflict.column('merchant_id').doUpdateSet({ merchant_id: merchantId, ...columns }),
    )
    .execute();
}
