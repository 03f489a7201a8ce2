import { counted } from '../core/plural.ts';
import { CommandError } from '../errors.ts';
import { type Held, holdAddresses, holdMs, releaseAddresses } from '../pool/hold.ts';
import { isoTime } from '../present/values.ts';
import { inTransaction } from '../storage/database.ts';
import { print, printJson } from './output.ts';
import { actor, atWork, type CommandOptions } from './workplace.ts';

/** Holds back every address there is, because the database may have lost payments. */
export async function poolHold(options: CommandOptions & { minutes?: number }): Promise<void> {
  await atWork(options, async ({ db, config, clock }) => {
    const at = clock();
    const reason = 'an operator asked for it';
    const ms = options.minutes === undefined ? await holdMs(db, config.payments) : options.minutes * 60_000;
    const held = await holdAddresses(db, config.chains, { at, until: at + ms, reason, actor });
    if (options.json) return printJson(presentHeld(held));
    for (const line of heldLines(held)) print(line);
  });
}

/** Gives back what is held back, by whatever holds. */
export async function poolRelease(options: CommandOptions): Promise<void> {
  await atWork(options, async ({ db, clock }) => {
    const released = await inTransaction(db, (trx) => releaseAddresses(trx, { at: clock(), actor }));
    if (!released) throw new CommandError('nothing is held back');
    if (options.json) return printJson({ released: true });
    print('the addresses are given to payments again');
  });
}

export function presentHeld({ until, lastAddressId, derivedAhead }: Held) {
  return { until: isoTime(until), last_address_id: lastAddressId, derived_ahead: derivedAhead };
}

/** What an operator should know of it. */
export function heldLines({ until, derivedAhead }: Held): string[] {
  const lines = [
    `no payment is given an address that is there now until ${isoTime(until)}: payments that were lost may have it`,
    'with new addresses (depositd address import) payments go on at once; if no payment was lost, depositd pool release',
  ];
  if (derivedAhead > 0)
    lines.push(`${counted(derivedAhead, 'address')} derived ahead, to see money for lost payments`);
  return lines;
}
