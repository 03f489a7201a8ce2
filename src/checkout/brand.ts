/** How a merchant shows itself to its payers. */
export type Brand = {
  /** What its payers call it. */
  name: string;
  /** The path of its logo; null without one. */
  logo: string | null;
  /** `2255cc`; null: ours. */
  accent: string | null;
  /** Empty: none. */
  supportEmail: string;
  supportUrl: string;
};

/** Where it is not known whose payer it is. */
export const noBrand: Brand = { name: '', logo: null, accent: null, supportEmail: '', supportUrl: '' };
