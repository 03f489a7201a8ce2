import { z } from 'zod';
import { userRoles } from '../../core/user.ts';
import { timeSchema } from '../merchant/schemas.ts';

export const userSchema = z.object({
  id: z.string(),
  name: z.string(),
  role: z.enum(userRoles),
  merchant_id: z.string().nullable().describe('Whose objects alone are seen; null: everybody’s.'),
  has_password: z.boolean().describe('Whether the first link was opened.'),
  second_factor: z.boolean().describe('Whether an authenticator app is asked for.'),
  created_at: timeSchema,
  disabled_at: timeSchema.nullable(),
});

export const sessionSchema = z.object({
  id: z.string(),
  current: z.boolean().describe('The one that asks.'),
  address: z.string().describe('From where it was begun.'),
  agent: z.string().describe('What the browser called itself.'),
  created_at: timeSchema,
  seen_at: timeSchema,
});

/** Of a password that is typed, not chosen: what is wrong with it is not said. */
export const givenPassword = z.string().max(1000);
