import { operatorsListen } from '../config.ts';
import type { UserRole } from '../core/user.ts';
import { CommandError } from '../errors.ts';
import { presentUser } from '../present/users.ts';
import { findUser, listUsers, type User } from '../storage/operators/users.ts';
import type { Db } from '../storage/schema.ts';
import { addUser, disable, resetPassword } from '../users/accounts.ts';
import { onThisMachine, passwordLinkPath } from '../users/links.ts';
import { print, printJson, printTable, say, shortTime } from './output.ts';
import { actor, atWork, type CommandOptions, type Workplace } from './workplace.ts';

export async function userAdd(
  name: string,
  options: CommandOptions & { role: UserRole; merchant?: string },
): Promise<void> {
  await atWork(options, async (workplace) => {
    const { role, merchant: merchantId = null } = options;
    const outcome = await addUser(workplace, { name, role, merchantId, actor });
    if (outcome.outcome === 'invalid') {
      const what = {
        name: 'the name',
        role: 'the role',
        merchant_id: '--merchant',
        password: 'the password',
      };
      throw new CommandError(`${what[outcome.field]} is not usable: ${outcome.fault}`);
    }
    tell(outcome, workplace, options);
  });
}

export async function userList(options: CommandOptions): Promise<void> {
  await atWork(options, async ({ db }) => {
    const users = await listUsers(db);
    if (options.json) return printJson({ data: users.map(presentUser) });
    printTable(
      ['ID', 'NAME', 'ROLE', 'MERCHANT', 'SECOND FACTOR', 'ADDED', 'DISABLED'],
      users.map(({ id, name, role, merchantId, totp, createdAt, disabledAt }) => [
        id,
        name,
        role,
        merchantId ?? 'all',
        totp === null ? 'no' : 'yes',
        shortTime(createdAt),
        disabledAt === null ? '' : shortTime(disabledAt),
      ]),
    );
  });
}

export async function userResetPassword(
  name: string,
  options: CommandOptions & { withoutTotp?: boolean },
): Promise<void> {
  await atWork(options, async (workplace) => {
    const { id: userId } = await requireUser(workplace.db, name);
    const wish = { userId, withoutTotp: options.withoutTotp ?? false, actor };
    const reset = await resetPassword(workplace, wish);
    if (reset === null) throw new CommandError(`the user ${name} is disabled`);
    tell(reset, workplace, options);
  });
}

export async function userDisable(name: string, options: CommandOptions): Promise<void> {
  await atWork(options, async (workplace) => {
    const user = await requireUser(workplace.db, name);
    const outcome = await disable(workplace, { userId: user.id, actor });
    if (outcome === 'not_found') throw new CommandError(`the user ${name} is disabled already`);
    if (outcome === 'last_operator')
      throw new CommandError(`${name} is the last operator: add another one first`);
    if (options.json) return printJson({ id: user.id, name: user.name });
    print(`disabled ${user.name}: their sessions have ended`);
  });
}

async function requireUser(db: Db, name: string): Promise<User> {
  const user = await findUser(db, name);
  if (user !== null) return user;
  throw new CommandError(`there is no user ${JSON.stringify(name)}; "depositd user list" shows them all`);
}

function tell(
  { user, token }: { user: User; token: string },
  { config }: Workplace,
  options: CommandOptions,
): void {
  const link = onThisMachine(operatorsListen(config), passwordLinkPath(token));
  if (options.json) {
    printJson({ ...presentUser(user), link });
    return;
  }
  print(`user  ${user.name} (${user.role})`);
  print(`link  ${link}`);
  say('Whoever opens the link chooses a password. It is good once, for a day; another host may stand in it.');
}
