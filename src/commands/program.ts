import { Argument, Command, CommanderError, Help, InvalidArgumentError, Option } from 'commander';
import type { TxHash } from '../core/chain.ts';
import { eventTypes } from '../core/events.ts';
import { textFault } from '../core/labels.ts';
import { type Network, parseNetwork } from '../core/networks.ts';
import { depositRoles, paymentStatuses } from '../core/payment.ts';
import { parseRoles, type Role } from '../core/roles.ts';
import { userRoles } from '../core/user.ts';
import { CommandError, ConfigError, DepositdError, reasonOf } from '../errors.ts';
import { programVersion } from '../version.ts';
import { say } from './output.ts';

const exitCodes = { done: 0, failed: 1, wrongUsage: 2, badConfiguration: 78 } as const;

/** Runs one command; answers the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  let exitCode: number = exitCodes.done;
  const program = createProgram((code) => {
    exitCode = code;
  });
  // A reader that has seen enough, such as head.
  process.stdout.on('error', () => process.exit(exitCode));
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    return report(error, args.includes('--debug'));
  }
}

/** The commands and their options; the docs' commands are held against it. */
export function createProgram(exitWith: (code: number) => void): Command {
  const program = new Command('depositd')
    .description('Self-hosted, non-custodial crypto payments: receive addresses in, signed webhooks out.')
    .version(programVersion(), '-v, --version')
    .helpCommand(false)
    .exitOverride()
    .configureHelp({
      optionDescription: (option) =>
        `${new Help().optionDescription(option)}${option.mandatory ? ' (required)' : ''}`,
    })
    .showHelpAfterError('Add --help to see what there is.')
    .addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 wrong usage, 78 bad configuration.');

  onConfig(program, 'serve', 'Watch the chains, serve the API and deliver webhooks, until SIGTERM or SIGINT.')
    .option('--roles <names>', 'only some of the work: api, watch, notify, providers; default all', readRoles)
    .action(async (options) => exitWith(await (await import('./serve.ts')).serve(options)));
  onConfig(
    program,
    'init',
    "Write a configuration and the operator's token; asks on a terminal what is not said.",
  )
    .option('--rpc <network=url...>', 'a node of a chain; again for each', [])
    .option('--public-url <url>', 'where customers reach this service')
    .option('--database <url>', 'sqlite:… or postgres://…; default a file beside the configuration')
    .action(async (options) => (await import('./init.ts')).init(options));
  onConfig(program, 'check-config', 'Say whether the configuration is right, and what it does.', {
    json: true,
  })
    .option('--online', 'also ask its nodes and price sources')
    .option('--settings', 'also list each value in effect, and whether file, environment or default says it')
    .action(async (options) => (await import('./check-config.ts')).checkConfig(options));
  onConfig(program, 'doctor', 'Look each node over, and say what is wrong, what it costs and what to do.', {
    json: true,
  }).action(async (options) => (await import('./doctor.ts')).doctor(options));
  onConfig(program, 'status', 'Show how far the chains are read, what the pools hold and what waits.', {
    json: true,
  }).action(async (options) => (await import('./status.ts')).status(options));
  onConfig(program, 'rescan', 'Read blocks again and record what was missed, also beside a running daemon.', {
    json: true,
  })
    .requiredOption('--network <name>', 'the chain', readNetwork)
    .option('--from <height>', 'the first block', readHeight)
    .option('--to <height>', 'the last block', readHeight)
    .option('--native', 'read whole blocks for the chain’s own coin, also where that was not done before')
    .option('--tx <hash>', 'instead of heights: the block that has this transaction', readTransactionHash)
    .action(async (options, command: Command) => {
      const { from, to, tx, native } = options;
      const range = from !== undefined && to !== undefined;
      const alone = (from ?? to ?? native) === undefined;
      if (tx === undefined ? !range : !alone) command.error('error: give --from and --to, or --tx alone');
      const { rescanBlocks, rescanOf } = await import('./rescan.ts');
      return tx === undefined ? rescanBlocks(options) : rescanOf(options);
    });
  onConfig(program, 'report', 'Write payments as CSV for a spreadsheet, newest first, to stdout.')
    .option('--merchant <id>', 'of one merchant')
    .addOption(new Option('--status <name>', 'in one state').choices(paymentStatuses))
    .option('--since <time>', 'created at or after', readMoment)
    .option('--until <time>', 'created before', readMoment)
    .option('--semicolon', 'between cells, for spreadsheets that write 1,5')
    .action(async (options) => (await import('./payment.ts')).report(options));
  onConfig(
    program,
    'health',
    'Ask the running daemon whether it answers; for the checks of containers.',
  ).action(async (options) => (await import('./health.ts')).health(options));
  onConfig(
    program,
    'backup <file>',
    'Copy the database into a file, beside a running daemon, and verify it.',
    {
      json: true,
    },
  ).action(async (file, options) => (await import('./backup.ts')).backup(file, options));
  onConfig(
    program,
    'restore <file>',
    'Put a backup in the place of the database; the daemon must be stopped.',
    {
      json: true,
    },
  )
    .option('--check', 'only say whether it could be restored')
    .action(async (file, options) => (await import('./backup.ts')).restore(file, options));
  onConfig(
    program,
    'copy',
    'Copy the SQLite database into an empty PostgreSQL database; the daemon must be stopped.',
    {
      json: true,
    },
  )
    .requiredOption(
      '--to <url>',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
      'postgres://…, in which ${NAME} is taken from the environment, as in the configuration',
    )
    .action(async (options) => (await import('./copy.ts')).copy(options));
  program
    .command('demo')
    .description(
      'Show the whole product on this machine: local chains, payments, webhooks. Needs no configuration.',
    )
    .option('--once', 'end after the first confirmed payments')
    // A little slower than BSC and much faster than Ethereum: quick to watch, slow enough to see.
    .option('--block-seconds <seconds>', 'how often the local chains make a block', readBlockSeconds, 0.5)
    .option('--debug', 'show where an unexpected error came from')
    .action(async (options) => (await import('./demo.ts')).demo(options));
  addMerchantCommands(program);
  addUserCommands(program);
  addPaymentCommands(program);
  addDepositCommands(program);
  addKeyCommands(program);
  addAddressCommands(program);
  addPoolCommands(program);
  addWebhookCommands(program);
  addDeliveryCommands(program);
  addChainCommands(program);
  addAlertCommands(program);
  addProviderCommands(program);
  return program;
}

function readNetwork(text: string): Network {
  const network = parseNetwork(text);
  if (network === null) throw new InvalidArgumentError('expected the name of a chain in the configuration');
  return network;
}

function readRoles(text: string): ReadonlySet<Role> {
  const read = parseRoles(text);
  if ('roles' in read) return read.roles;
  throw new InvalidArgumentError(read.fault);
}

function addAlertCommands(program: Command): void {
  const alert = group(program, 'alert', 'What needs an operator, and who is told.');
  onConfig(alert, 'list', 'Show what needs you, the most urgent first.', { json: true })
    .option('--ended', 'show what is over instead, the newest first')
    .action(async (options) => (await import('./alert.ts')).alertList(options));
  onConfig(alert, 'test', 'Send a message every way that is configured.', { json: true }).action(
    async (options) => (await import('./alert.ts')).alertTest(options),
  );
}

function addChainCommands(program: Command): void {
  const chain = group(program, 'chain', 'What an operator decides about a chain that is stopped.');
  onConfig(
    chain,
    'accept-fork',
    'Go on with the branch that the nodes show, and take back what it takes back.',
    {
      json: true,
    },
  )
    .requiredOption('--network <name>', 'the chain', readNetwork)
    .requiredOption('--reason <text>', 'why, for the audit log', readReason)
    .action(async (options) => (await import('./chain.ts')).chainAcceptFork(options));
  onConfig(chain, 'set-cursor', 'Read on from another block.', { json: true })
    .requiredOption('--network <name>', 'the chain', readNetwork)
    .requiredOption('--height <height>', 'the block up to which everything counts as read', readHeight)
    .requiredOption('--reason <text>', 'why, for the audit log', readReason)
    .option('--skip', 'go forwards, and never read the blocks between')
    .action(async (options) => (await import('./chain.ts')).chainSetCursor(options));
}

function readHeight(text: string): number {
  if (/^[0-9]{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected the height of a block.');
}

function readTransactionHash(text: string): TxHash {
  if (/^(?:0x)?[0-9a-f]{64}$/i.test(text)) return text.toLowerCase() as TxHash;
  throw new InvalidArgumentError(
    'Expected the hash of a transaction: 64 hex digits, behind 0x on EVM chains.',
  );
}

function readBlockSeconds(text: string): number {
  const seconds = Number(text);
  if (seconds >= 0.1 && seconds <= 60) return seconds;
  throw new InvalidArgumentError('Expected a number from 0.1 to 60.');
}

/** By the rules of the API's texts. What was given is not repeated: it may spoil the terminal. */
function readText(option: string, longest: number): (text: string) => string {
  return (text) => {
    const fault = text.trim() === '' ? 'it is empty' : textFault(text.trim(), longest);
    if (fault !== null) throw new CommandError(`${option}: ${fault}`);
    return text.trim();
  };
}

/** As long as the API takes the reasons of operators. */
const readReason = readText('--reason', 500);

/** What a provider is told, or held against what it tells. */
const readRefundReason = readText('--reason', 200);

function readCount(text: string): number {
  const count = Number(text);
  if (/^[0-9]{1,7}$/.test(text) && count <= 1_000_000) return count;
  throw new InvalidArgumentError('Expected a whole number up to 1000000.');
}

function readMinutes(text: string): number {
  const minutes = Number(text);
  if (/^[0-9]{1,5}$/.test(text) && minutes >= 1 && minutes <= 10_080) return minutes;
  throw new InvalidArgumentError('Expected a whole number from 1 to 10080, a week.');
}

function readRowId(text: string): number {
  if (/^[0-9]{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected the number of a deposit.');
}

function readListLength(text: string): number {
  const count = Number(text);
  if (/^[0-9]{1,5}$/.test(text) && count >= 1 && count <= 10_000) return count;
  throw new InvalidArgumentError('Expected a whole number from 1 to 10000.');
}

function readId(text: string): number {
  if (/^[1-9][0-9]{0,14}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected a number.');
}

/** With its zone: a time of day alone would be another moment on another machine. */
function readMoment(text: string): number {
  const form = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/;
  const at = form.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(at)) return at;
  throw new InvalidArgumentError('Expected a time such as 2026-05-24T11:35:00Z, or a day.');
}

function readOverlapHours(text: string): number {
  const hours = Number(text);
  if (/^[0-9]{1,3}$/.test(text) && hours <= 720) return hours;
  throw new InvalidArgumentError('Expected a whole number from 0 to 720.');
}

function addMerchantCommands(program: Command): void {
  const merchant = group(program, 'merchant', 'Merchants: whom payments are for.');
  onConfig(merchant, 'add <name>', 'Add a merchant, with a first API key that is shown this once.', {
    json: true,
  }).action(async (name, options) => (await import('./merchant.ts')).merchantAdd(name, options));
  onConfig(merchant, 'list', 'List all merchants, removed ones included.', { json: true }).action(
    async (options) => (await import('./merchant.ts')).merchantList(options),
  );
  onConfig(merchant, 'remove <merchant-id>', 'Take a merchant out of use, with its keys.', { json: true })
    .option('--force', 'also with addresses and endpoints, which go, and payments, which stay in the books')
    .action(async (id, options) => (await import('./merchant.ts')).merchantRemove(id, options));
}

function addUserCommands(program: Command): void {
  const user = group(program, 'user', 'Users: who signs in at the dashboard.');
  onConfig(user, 'add <name>', 'Add a user, and print the link by which they choose a password.', {
    json: true,
  })
    .addOption(new Option('--role <role>', 'what they may do').choices(userRoles).default('operator'))
    .option('--merchant <merchant-id>', 'whose objects alone they see; needed for the role merchant')
    .action(async (name, options) => (await import('./user.ts')).userAdd(name, options));
  onConfig(user, 'list', 'List all users, disabled ones included.', { json: true }).action(async (options) =>
    (await import('./user.ts')).userList(options),
  );
  onConfig(user, 'reset-password <name>', 'Print a link by which a user chooses a new password.', {
    json: true,
  })
    .option('--without-totp', 'also take their authenticator app and passkeys away, for a phone that is lost')
    .action(async (name, options) => (await import('./user.ts')).userResetPassword(name, options));
  onConfig(user, 'disable <name>', 'Disable a user for ever, and end their sessions.', {
    json: true,
  }).action(async (name, options) => (await import('./user.ts')).userDisable(name, options));
}

const listLength = () =>
  new Option('--limit <count>', 'at most so many, newest first').argParser(readListLength).default(50);

function addPaymentCommands(program: Command): void {
  const payment = group(program, 'payment', 'Payments: what customers were asked for, and what came.');
  onConfig(payment, 'list', 'List payments, newest first.', { json: true })
    .option('--merchant <id>', 'of one merchant')
    .addOption(new Option('--status <name>', 'in one state').choices(paymentStatuses))
    .option('--order <id>', 'for an order of the shop')
    .addOption(listLength())
    .action(async (options) => (await import('./payment.ts')).paymentList(options));
  onConfig(payment, 'show <number>', 'Show one payment and what came for it.', { json: true }).action(
    async (number, options) => (await import('./payment.ts')).paymentShow(number, options),
  );
  onConfig(payment, 'accept <number>', 'Take what came, late or too little, as enough.', { json: true })
    .requiredOption('--reason <text>', 'why, for the audit log', readReason)
    .action(async (number, options) => (await import('./payment.ts')).paymentAccept(number, options));
  onConfig(payment, 'cancel <number>', 'Cancel a payment for which nothing has come yet.', {
    json: true,
  }).action(async (number, options) => (await import('./payment.ts')).paymentCancel(number, options));
  onConfig(payment, 'refund <number>', 'Write down that you sent a refund; it is looked for on the chain.', {
    json: true,
  })
    .requiredOption('--amount <amount>', 'in what the payment asked for, such as 50.00')
    .requiredOption('--to <address>', "the customer's address")
    .requiredOption('--tx <hash>', 'the transaction', readTransactionHash)
    .requiredOption('--reason <text>', 'why, for the audit log', readReason)
    .action(async (number, options) => (await import('./payment.ts')).paymentRefund(number, options));
  onConfig(payment, 'refunds <number>', 'Show what was sent back, and whether the chain shows it.', {
    json: true,
  }).action(async (number, options) => (await import('./payment.ts')).paymentRefunds(number, options));
}

function addProviderCommands(program: Command): void {
  const provider = group(program, 'provider', 'Fiat providers: accounts, money back, webhooks.');
  const json = { json: true };
  onConfig(provider, 'list', 'List the configured providers and how they do.', json).action(async (options) =>
    (await import('./provider.ts')).providerList(options),
  );
  onConfig(
    provider,
    'show <name>',
    'Show one, where its webhooks come in, refunds still open, and charges that no payment explains.',
    json,
  ).action(async (name, options) => (await import('./provider.ts')).providerShow(name, options));
  onConfig(provider, 'balance <name>', 'Ask for the balance of the account.', json).action(
    async (name, options) => (await import('./provider.ts')).providerBalance(name, options),
  );
  onConfig(provider, 'methods <name>', 'Ask how payers can pay there.', json).action(async (name, options) =>
    (await import('./provider.ts')).providerMethods(name, options),
  );
  onConfig(provider, 'transactions <name>', 'Ask for the newest of its own list.', json).action(
    async (name, options) => (await import('./provider.ts')).providerTransactions(name, options),
  );
  onConfig(provider, 'refund <payment-number>', 'Refund a payment, or a part of it.', json)
    .option('--amount <decimal>', 'a part, in its currency; default: what is left of the whole')
    .requiredOption('--reason <text>', 'why, for the provider and the audit log', readRefundReason)
    .action(async (number, options) => (await import('./provider.ts')).providerRefund(number, options));
  onConfig(
    provider,
    'settle-refund <name> <refund-id>',
    'Say what became of a refund whose answer was lost, as the provider’s own pages show it.',
    json,
  )
    .addOption(
      new Option('--status <word>', 'what became of it')
        .choices(['succeeded', 'failed'])
        .makeOptionMandatory(),
    )
    .option('--provider-refund <id>', 'its id at the provider', readText('--provider-refund', 100))
    .requiredOption('--reason <text>', 'how you know, for the audit log', readRefundReason)
    .action(async (name, id, options) =>
      (await import('./provider.ts')).providerSettleRefund(name, id, options),
    );
  onConfig(provider, 'capture <payment-number>', 'Take what the customer authorized.', json)
    .option('--amount <decimal>', 'a part, which confirms nothing by itself')
    .action(async (number, options) => (await import('./provider.ts')).providerCapture(number, options));
  onConfig(provider, 'test-webhook <name>', 'Have the provider send a test webhook.', json).action(
    async (name, options) => (await import('./provider.ts')).providerTestWebhook(name, options),
  );
  onConfig(provider, 'webhook-config <name>', 'Show what webhooks are configured at the provider.', json)
    .option('--set', 'point them here, with the secret of the configuration')
    .addOption(new Option('--delete', 'have none sent any more').conflicts('set'))
    .action(async (name, options) => (await import('./provider.ts')).providerWebhookConfig(name, options));
}

function addDepositCommands(program: Command): void {
  const deposit = group(program, 'deposit', 'Deposits: everything that reached an address of a merchant.');
  onConfig(deposit, 'list', 'List deposits, newest first.', { json: true })
    .addOption(new Option('--status <name>', 'of one kind').choices([...depositRoles, 'ignored']))
    .addOption(listLength())
    .action(async (options) => (await import('./deposit.ts')).depositList(options));
  onConfig(
    deposit,
    'attach',
    'Give an unmatched deposit, or late money of another payment, to the payment it was meant for.',
    {
      json: true,
    },
  )
    .addArgument(new Argument('<deposit-id>', 'as "deposit list" shows it').argParser(readRowId))
    .argument('<payment-number>')
    .requiredOption('--reason <text>', 'why, for the audit log', readReason)
    .action(async (id, number, options) => (await import('./deposit.ts')).depositAttach(id, number, options));
  onConfig(deposit, 'ignore', 'Take an unmatched deposit out of what waits for you; it stays in the books.', {
    json: true,
  })
    .addArgument(new Argument('<deposit-id>', 'as "deposit list" shows it').argParser(readRowId))
    .requiredOption('--reason <text>', 'why, for the audit log', readReason)
    .option('--undo', 'put it back')
    .action(async (id, options) => (await import('./deposit.ts')).depositIgnore(id, options));
}

function addKeyCommands(program: Command): void {
  const key = group(program, 'key', 'API keys, with which a merchant’s apps call.');
  onMerchant(key, 'add', 'Add a key, which is shown this once.').action(async (options) =>
    (await import('./key.ts')).keyAdd(options),
  );
  onMerchant(key, 'list', 'List a merchant’s keys, revoked ones included.').action(async (options) =>
    (await import('./key.ts')).keyList(options),
  );
  onConfig(key, 'revoke <key-id>', 'Revoke a key, at once and for good.', { json: true }).action(
    async (id, options) => (await import('./key.ts')).keyRevoke(id, options),
  );
}

function addAddressCommands(program: Command): void {
  const address = group(program, 'address', 'Receive addresses: the pool that payments draw from.');
  const network = () => new Option('--network <name>', 'the chain').argParser(readNetwork);
  onMerchant(
    address,
    'add [address...]',
    'Add receive addresses, each checked for itself, or a key to derive them from.',
  )
    .addOption(network().makeOptionMandatory())
    .option('--currency <name>', 'use them for this currency alone; default: for all of the network')
    .option('--label <text>', 'a note for yourself')
    .option('--allow-contract', 'add addresses that are contracts, too, such as wallets of several owners')
    .option(
      '--no-checksum',
      'add addresses all in small letters, too: you have compared each with your wallet',
    )
    .option('--dry-run', 'say what would be added and what refused, and change nothing')
    .option(
      '--xpub <key>',
      'derive them from an account’s extended public key (m/0/i), as payments need them',
    )
    .addOption(new Option('--limit <count>', 'with --xpub: at most so many').argParser(readCount))
    .option(
      '--confirm-first <address>',
      'with --xpub: the first address as your wallet shows it, to be compared',
    )
    .action(async (addresses: string[], options, command: Command) => {
      if ((options.xpub === undefined) === (addresses.length === 0)) {
        command.error('error: give addresses, or --xpub and no address');
      }
      if (options.xpub !== undefined) return (await import('./derived-pool.ts')).addressDerive(options);
      return (await import('./address.ts')).addressAdd(addresses, options);
    });
  const pools = group(address, 'pools', 'Keys that addresses are derived from, and the gaps in their use.');
  onMerchant(pools, 'list', 'List them; what "pools" does alone.', { isDefault: true }).action(
    async (options) => (await import('./derived-pool.ts')).addressPools(options),
  );
  onMerchant(pools, 'remove', 'Derive nothing more from a key, and retire what was derived from it.')
    .addArgument(new Argument('<pool-id>', 'as "address pools" shows it').argParser(readCount))
    .action(async (poolId, options) =>
      (await import('./derived-pool.ts')).addressPoolRemove(poolId, options),
    );
  onMerchant(address, 'limit', 'Change how many addresses are derived from a key.')
    .addArgument(new Argument('<pool-id>', 'as "address pools" shows it').argParser(readCount))
    .addArgument(new Argument('<count>', 'at most so many').argParser(readCount))
    .action(async (poolId, count, options) =>
      (await import('./derived-pool.ts')).addressLimit(poolId, count, options),
    );
  onMerchant(address, 'import <file>', 'Add the receive addresses of a CSV file, or of a plain list.')
    .addOption(network())
    .option('--currency <name>', 'with --network: use them for this currency alone')
    .option('--allow-contract', 'add addresses that are contracts, too')
    .option(
      '--no-checksum',
      'add addresses all in small letters, too: you have compared each with your wallet',
    )
    .option('--dry-run', 'say what would be added and what refused, and change nothing')
    .addHelpText(
      'after',
      '\nThe first line names the columns: network,address and optionally currency,label; an address book of Safe\n(address,name,chainId) is one, too. With --network the file may be a plain list, one address on each line,\nwith a label behind a comma. Semicolons and tabs separate as well. Rows that are refused are named with their reason; the others are added.',
    )
    .action(async (file, options) => (await import('./address.ts')).addressImport(file, options));
  onMerchant(address, 'list', 'List a merchant’s addresses.')
    .addOption(network())
    .action(async (options) => (await import('./address.ts')).addressList(options));
  onMerchant(
    address,
    'retire <address...>',
    'Retire addresses: no further payment gets them, one that holds them goes on.',
  )
    .addOption(network())
    .action(async (addresses, options) => (await import('./retire.ts')).addressRetire(addresses, options));
  onMerchant(address, 'restore <address...>', 'Make retired addresses active again.')
    .addOption(network())
    .action(async (addresses, options) => (await import('./retire.ts')).addressRestore(addresses, options));
}

function addPoolCommands(program: Command): void {
  const pool = group(program, 'pool', 'Addresses that payments may have which the database has lost.');
  onConfig(
    pool,
    'hold',
    'Give no payment an address that is there now, until payments that were lost cannot be paid any more.',
    { json: true },
  )
    .addOption(
      new Option(
        '--minutes <count>',
        'for so long; default: as long as a payment can be paid, and a strict quarantine',
      ).argParser(readMinutes),
    )
    .action(async (options) => (await import('./pool.ts')).poolHold(options));
  onConfig(pool, 'release', 'Give the held addresses to payments again, now.', { json: true }).action(
    async (options) => (await import('./pool.ts')).poolRelease(options),
  );
}

function addWebhookCommands(program: Command): void {
  const webhook = group(program, 'webhook', 'Webhook endpoints: where a merchant is told what happened.');
  onMerchant(webhook, 'add <url>', 'Add an endpoint, with a secret that is shown this once.')
    .option('--events <names>', 'the events it gets, separated by commas', (names) =>
      names.split(',').map((name) => name.trim()),
    )
    .option('--description <text>', 'a note for yourself')
    .option(
      '--header <line>',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: as it is written on the command line
      "a header that is sent along, as 'Name: value'; ${NAME} in it is taken from the environment, as in the configuration; up to five times",
      (line: string, before: readonly string[]) => [...before, line],
      [],
    )
    .option('--allow-same-url', 'also where this merchant has an endpoint with this URL')
    .action(async (url, options) => (await import('./webhook.ts')).webhookAdd(url, options));
  onMerchant(webhook, 'list', 'List a merchant’s endpoints.').action(async (options) =>
    (await import('./webhook.ts')).webhookList(options),
  );
  onEndpoint(webhook, 'rotate', 'Give an endpoint a new secret; the old one signs beside it for a day.')
    .option('--overlap-hours <hours>', 'how long the old one signs, 0 to 720', readOverlapHours)
    .action(async (id, options) => (await import('./webhook.ts')).webhookRotate(id, options));
  onEndpoint(webhook, 'finish-rotation', 'End a rotation now: the old secret stops signing.').action(
    async (id, options) => (await import('./webhook.ts')).webhookFinishRotation(id, options),
  );
  onEndpoint(webhook, 'test', 'Send an endpoint the event webhook.test.').action(async (id, options) =>
    (await import('./webhook.ts')).webhookTest(id, options),
  );
  onEndpoint(webhook, 'enable', 'Enable a disabled endpoint.').action(async (id, options) =>
    (await import('./webhook.ts')).webhookEnable(id, options),
  );
  onEndpoint(
    webhook,
    'disable',
    'Disable an endpoint; what waits for it, and what happens meanwhile, is kept.',
  ).action(async (id, options) => (await import('./webhook.ts')).webhookDisable(id, options));
  onEndpoint(webhook, 'remove', 'Remove an endpoint for good.').action(async (id, options) =>
    (await import('./webhook.ts')).webhookRemove(id, options),
  );
}

function addDeliveryCommands(program: Command): void {
  const delivery = group(program, 'delivery', 'What was sent to webhook endpoints, and sending it again.');
  onConfig(delivery, 'list', 'List deliveries, newest first.', { json: true })
    .option('--merchant <id>', 'of this merchant')
    .option('--endpoint <id>', 'to this endpoint')
    .addOption(
      new Option('--status <status>', 'that stand so').choices([
        'pending',
        'sending',
        'delivered',
        'failed',
        'cancelled',
      ]),
    )
    .addOption(new Option('--event <name>', 'of this event').choices(eventTypes))
    .option('--since <time>', 'created at or after', readMoment)
    .option('--until <time>', 'created before', readMoment)
    .option('--before <id>', 'older than this delivery', readId)
    .option('--limit <count>', 'how many', readCount, 50)
    .action(async (options) => (await import('./delivery.ts')).deliveryList(options));
  onConfig(delivery, 'show', 'Show a delivery with all its attempts.', { json: true })
    .addArgument(new Argument('<id>', 'the delivery').argParser(readId))
    .action(async (id, options) => (await import('./delivery.ts')).deliveryShow(id, options));
  onConfig(delivery, 'replay', 'Send a delivery again, or what an endpoint did not get since a time.', {
    json: true,
  })
    .addArgument(new Argument('[id]', 'one delivery').argParser(readId))
    .option('--endpoint <id>', 'everything of this endpoint that was not delivered')
    .option('--since <time>', 'created at or after', readMoment)
    .option('--until <time>', 'created before', readMoment)
    .addOption(
      new Option(
        '--status <status>',
        'only what was given up, kept while it was off, delivered before, or never addressed to it',
      ).choices(['failed', 'cancelled', 'delivered', 'missed']),
    )
    .action(async (id, options) => (await import('./delivery.ts')).deliveryReplay(id, options));
}

function group(program: Command, name: string, description: string): Command {
  return program.command(name).description(description).helpCommand(false);
}

function onEndpoint(parent: Command, verb: string, description: string): Command {
  return onConfig(parent, `${verb} <endpoint-id>`, description, { json: true });
}

function onMerchant(
  parent: Command,
  usage: string,
  description: string,
  { isDefault = false } = {},
): Command {
  return onConfig(parent, usage, description, { json: true, isDefault }).requiredOption(
    '--merchant <id>',
    'whose',
  );
}

function onConfig(
  parent: Command,
  usage: string,
  description: string,
  { json = false, isDefault = false } = {},
): Command {
  const command = parent
    .command(usage, { isDefault })
    .description(description)
    .addOption(
      new Option('-c, --config <file>', 'the configuration').env('DEPOSITD_CONFIG').default('./config.json'),
    )
    .option('--debug', 'show where an unexpected error came from');
  return json ? command.option('--json', 'print JSON') : command;
}

/** One sentence on stderr, or one for each mistake of the configuration. Answers the exit code. */
function report(error: unknown, debug: boolean): number {
  if (error instanceof CommanderError) {
    // It has said itself what is wrong; help that was asked for ends with 0.
    return error.exitCode === 0 ? exitCodes.done : exitCodes.wrongUsage;
  }
  if (error instanceof ConfigError) {
    say(`depositd: ${error.message}`);
    for (const fault of error.faults) say(`  ${fault}`);
    return exitCodes.badConfiguration;
  }
  const expected = error instanceof DepositdError;
  say(`depositd: ${expected ? '' : 'unexpected error: '}${reasonOf(error)}`);
  if (debug && error instanceof Error) say(error.stack ?? '');
  return exitCodes.failed;
}
